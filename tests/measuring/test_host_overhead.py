# SPDX-License-Identifier: BSD-3-Clause
"""The loop's own cost on the host, with a clock that takes 40 ns to read."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from scripted_loop import ScriptedLoop, machine

import fasttime
from fasttime.text import format_seconds

READING = 40e-9


@pytest.fixture
def slow_clock(script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch) -> ScriptedLoop:
    script.cuda_is_up = False

    def clock() -> float:
        script.now += READING
        return script.now

    monkeypatch.setattr(machine, "clock", clock)
    return script


@pytest.mark.parametrize("method", ["naive", "sync"])
@pytest.mark.parametrize("arguments", [{"warmup": 1, "repeat": 20}, {"budget": 0.01}])
def test_the_loops_own_cost_is_subtracted(
    slow_clock: ScriptedLoop, method: Any, arguments: Any
) -> None:
    found = fasttime.measure(slow_clock.work, 5e-6, 0.0, method=method, **arguments)
    own = {"naive": READING, "sync": 2 * READING}[method]
    assert found.event_overhead == pytest.approx(own, rel=0.01)
    assert found.is_calibrated
    assert found.times == pytest.approx([5e-6] * len(found), rel=1e-3)
    assert "the loop's own" in str(found)


def test_warnings_quote_the_reported_times(slow_clock: ScriptedLoop) -> None:
    calls = itertools.count()

    def sometimes_slow() -> None:
        slow_clock.work(1e-6 if next(calls) % 5 else 1e-5, 0.0)

    found = fasttime.measure(sometimes_slow, method="naive", warmup=0, repeat=40)
    (message,) = (one.message for one in found.warnings if one.kind == "rare_cost")
    assert message.startswith(f"The mean of {format_seconds(found.mean)} is ")
    assert format_seconds(found.mean) == "2.800 µs"


def test_a_cost_of_zero_is_not_said_to_be_subtracted(script: ScriptedLoop) -> None:
    script.cuda_is_up = False
    found = fasttime.measure(script.work, 5e-6, 0.0, method="naive", warmup=1, repeat=20)
    assert found.event_overhead == 0.0
    assert "subtracted" not in str(found)


def test_compare_subtracts_the_loops_own_cost(slow_clock: ScriptedLoop) -> None:
    a, b = (lambda: slow_clock.work(1e-6, 0.0)), (lambda: slow_clock.work(1.1e-6, 0.0))
    found = fasttime.compare({"a": a, "b": b}, method="naive", budget=0.01)
    assert found.ratio("b") == pytest.approx(1.1, rel=1e-3)  # 1.096 with the loop's own cost


@pytest.mark.parametrize(("time", "warned"), [(49, True), (51, False)])
def test_host_times_near_the_loops_own_cost_are_a_warning(
    slow_clock: ScriptedLoop, time: int, warned: bool
) -> None:
    found = fasttime.measure(slow_clock.work, time * READING, 0.0, method="naive", budget=0.01)
    kinds = [warning.kind for warning in found.warnings]
    assert ("below_resolution" in kinds) is warned
    pair = dict.fromkeys("ab", lambda: slow_clock.work(time * READING, 0.0))
    compared = fasttime.compare(pair, method="naive", budget=0.01)
    assert ("below_resolution" in [warning.kind for warning in compared.warnings]) is warned

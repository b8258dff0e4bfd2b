# SPDX-License-Identifier: BSD-3-Clause
"""How `compare` reads the GPU's state between rounds, and which warnings follow."""

from __future__ import annotations

import functools
import importlib
import itertools
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime import Comparison
from fasttime.environment.gpu_state import GpuState
from fasttime.measuring.clocks import clock_warnings_of_rounds

machine = importlib.import_module("fasttime.measuring.machine")
rounds_module = importlib.import_module("fasttime.comparing.rounds")

NOT_KNOWN = GpuState(None, None, None, None, None, None, ())


def state_of(**seen: Any) -> GpuState:
    """Return a state in which all other fields are unknown."""
    return NOT_KNOWN._replace(**seen)


AT_FULL_SPEED = state_of(sm_clock_mhz=1980)
HELD_BACK = state_of(
    sm_clock_mhz=1980, throttle_reasons=("power cap",), power_w=700.0, temperature_c=81
)


@pytest.fixture
def candidates(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, Callable[[], None]]:
    """Two candidates. A round takes about 30 ms."""
    monkeypatch.setattr(rounds_module, "_new_random", lambda: random.Random(0))
    return {
        "a": functools.partial(simulated.work, 10 * US, 1 * MS),
        "b": functools.partial(simulated.work, 10 * US, 2 * MS),
    }


def script_states(
    monkeypatch: pytest.MonkeyPatch, *states: GpuState | None, takes: Callable[[], None] = list
) -> list[float]:
    """Let each reading find the next state, the last one repeatedly; return when it is read."""
    at: list[float] = []

    def gpu_state() -> GpuState | None:
        at.append(machine.clock())
        takes()
        return states[min(len(at), len(states)) - 1]

    monkeypatch.setattr(machine, "gpu_state", gpu_state)
    return at


def kinds(comparison: Comparison, name: str = "a") -> list[str]:
    return [warning.kind for warning in comparison.measurements[name].warnings]


# --- when the state is read ---


def test_the_gpu_state_is_read_four_times_per_second(
    candidates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = script_states(monkeypatch, AT_FULL_SPEED)
    found = fasttime.compare(candidates, rounds=31)
    a_round = found.duration / 31
    *pauses, last = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert len(pauses) == 3
    assert all(0.25 <= pause < 0.25 + 1.1 * a_round for pause in pauses)
    assert sum(pauses) + last == pytest.approx(found.duration, rel=1e-9)


def test_the_gpu_state_is_never_read_in_timed_code(
    candidates: Any, simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = fasttime.compare(candidates, rounds=15)
    at = script_states(monkeypatch, AT_FULL_SPEED, takes=lambda: simulated.cuda.advance(5 * MS))
    found = fasttime.compare(candidates, rounds=15)
    assert len(at) >= 3
    assert found.duration == pytest.approx(without.duration, rel=1e-9)
    for name in candidates:
        ours, others = found.measurements[name], without.measurements[name]
        assert ours.times == pytest.approx(others.times, rel=1e-6)
        assert ours.host_times == pytest.approx(others.host_times, rel=1e-6)


# --- which warnings follow ---


def test_a_throttled_gpu_brings_one_warning(
    candidates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = script_states(monkeypatch, AT_FULL_SPEED, HELD_BACK, AT_FULL_SPEED)
    found = fasttime.compare(candidates, rounds=15)
    assert kinds(found, "a") == kinds(found, "b") == ["throttled"]
    (warning,) = found.warnings
    assert warning == found.measurements["a"].warnings[0]
    assert f"1 of {len(at)} " in warning.message
    assert "power cap" in warning.message
    printed = " ".join(str(found).split())
    assert printed.count(str(warning)) == 1


def test_a_clock_that_dips_brings_a_warning(
    candidates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    script_states(monkeypatch, AT_FULL_SPEED, state_of(sm_clock_mhz=1200), AT_FULL_SPEED)
    found = fasttime.compare(candidates, rounds=15)
    assert kinds(found) == ["clock_changed"]
    message = found.measurements["a"].warnings[0].message
    assert "1200 MHz and 1980 MHz (-39.4 %)" in message


def test_clock_warnings_survive_saving(
    candidates: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script_states(monkeypatch, HELD_BACK)
    found = fasttime.compare(candidates, rounds=15)
    found.save(tmp_path / "c.json")
    again = fasttime.load(tmp_path / "c.json")
    assert isinstance(again, Comparison)
    assert kinds(again) == ["throttled"]
    assert str(again) == str(found)


@pytest.mark.parametrize("state", [None, NOT_KNOWN, AT_FULL_SPEED])
def test_a_steady_or_unknown_gpu_raises_no_warning(
    candidates: Any, monkeypatch: pytest.MonkeyPatch, state: GpuState | None
) -> None:
    script_states(monkeypatch, state)
    assert kinds(fasttime.compare(candidates, rounds=15)) == []


def test_the_warning_has_the_last_temperature() -> None:
    (warning,) = clock_warnings_of_rounds([AT_FULL_SPEED, None, HELD_BACK])
    assert " 1 of 2 " in warning.message
    assert "power cap; 81 °C, 700 W at the end" in warning.message


@pytest.mark.parametrize(("other", "warnings"), [(1900, 0), (1800, 1)])
def test_clocks_5_percent_apart_bring_a_warning(other: int, warnings: int) -> None:
    states = [AT_FULL_SPEED, state_of(sm_clock_mhz=other), AT_FULL_SPEED]
    assert len(clock_warnings_of_rounds(states)) == warnings


def test_the_clock_of_an_idle_device_is_ignored() -> None:
    idle = state_of(sm_clock_mhz=345, throttle_reasons=("gpu idle",))
    assert clock_warnings_of_rounds([AT_FULL_SPEED, idle, AT_FULL_SPEED]) == ()

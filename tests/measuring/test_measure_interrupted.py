# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C keeps the runs that were complete."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime import Interrupted


def interrupted_in(run: int, fn: Callable[[int], None]) -> Callable[[], None]:
    """Return a callable that passes the run's number to `fn`, and is interrupted in one run."""
    runs = itertools.count()

    def call() -> None:
        number = next(runs)
        fn(number)
        if number == run:
            raise KeyboardInterrupt

    return call


@pytest.mark.parametrize("method", ["naive", "sync", "event"])
def test_counted_runs_are_kept(script: ScriptedLoop, method: str) -> None:
    script.cuda_is_up = False
    call = interrupted_in(7, lambda run: script.sleep(0.25))
    with pytest.raises(Interrupted) as caught:
        fasttime.measure(call, method=method, warmup=2, repeat=50)
    found = caught.value.result
    assert (len(found), found.warmup, found.repeat) == (5, 2, 7)
    assert (found.ended_by, found.warnings[-1].kind) == ("interrupt", "interrupted")
    if method != "event":  # the scopes have their own clock
        assert found.times.tolist() == [0.25] * 5
    assert found.wall_time is None  # it would include the interrupted run


def test_counted_runs_on_a_device_are_kept(cuda: Simulated, simulated: SimulatedMachine) -> None:
    call = interrupted_in(7, lambda run: simulated.work(10 * US, (run + 1) * MS))
    with pytest.raises(Interrupted) as caught:
        fasttime.measure(call, warmup=2, repeat=50)
    assert caught.value.result.times == pytest.approx([3e-3, 4e-3, 5e-3, 6e-3, 7e-3])


def test_held_runs_are_kept(cuda: Simulated, simulated: SimulatedMachine) -> None:
    # Two calls come first: preparing to hold takes one, and the interrupted run is the ninth.
    call = interrupted_in(8, lambda run: simulated.work(10 * US, MS))
    with pytest.raises(Interrupted) as caught:
        fasttime.measure(call, warmup=2, repeat=50, hold=True)
    found = caught.value.result
    assert found.held
    assert found.times == pytest.approx([1e-3] * 5)


def test_automatic_runs_are_kept(cuda: Simulated, simulated: SimulatedMachine) -> None:
    call = interrupted_in(1600, lambda run: simulated.work(10 * US, (950 + run % 100) * US))
    with pytest.raises(Interrupted) as caught:
        fasttime.measure(call, precision=1e-6, budget=5.0)
    found = caught.value.result
    assert 20 <= len(found) < 1600
    assert found.median == pytest.approx(1e-3, rel=0.05)
    assert found.ended_by == "interrupt"


@pytest.mark.parametrize("options", [{"warmup": 5, "repeat": 50}, {}])
def test_without_a_kept_run_the_interrupt_is_plain(
    script: ScriptedLoop, options: dict[str, int]
) -> None:
    script.cuda_is_up = False
    call = interrupted_in(1, lambda run: script.sleep(0.25))
    with pytest.raises(KeyboardInterrupt) as caught:
        fasttime.measure(call, method="sync", **options)  # type: ignore[arg-type]
    assert type(caught.value) is KeyboardInterrupt


def test_what_is_kept_can_be_saved(script: ScriptedLoop, tmp_path: Path) -> None:
    script.cuda_is_up = False
    call = interrupted_in(7, lambda run: script.sleep(0.25))
    with pytest.raises(Interrupted, match="interrupted after 5 kept runs") as caught:
        fasttime.measure(call, method="sync", warmup=2, repeat=50)
    caught.value.result.save(tmp_path / "some.json")
    loaded = fasttime.load(tmp_path / "some.json")
    assert loaded.to_dict() == caught.value.result.to_dict()
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.result.median == caught.value.result.median

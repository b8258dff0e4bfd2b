# SPDX-License-Identifier: BSD-3-Clause
"""The bar while a given number of runs is made: it shows, and changes nothing that is measured.

Drawing takes virtual time here, so that a drawing in the wrong place would show in the times.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fasttime.measuring.run_progress import Pauses, RunProgress
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine
from test_measure_progress import Terminal, a_terminal

import fasttime
from fasttime import Measurement
from fasttime.measuring.progress import ProgressBar

DRAWING = 2 * MS  # for each write; a drawing has several


def percents(terminal: Terminal) -> list[int]:
    return [int(found) for found in re.findall(r"(\d+)%", terminal.getvalue())]


# --- each run timed on its own ---


@pytest.mark.parametrize("method", ["naive", "sync"])
def test_a_bar_shows_after_two_seconds_and_not_before(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    script.cuda_is_up = False
    written_at: list[float] = []
    terminal = a_terminal(monkeypatch, lambda: written_at.append(script.now))
    fasttime.measure(script.work, 0.125, 0.0, method=method, warmup=4, repeat=40)
    assert written_at[0] == 2.0
    assert "measuring work" in terminal.getvalue()
    # Two runs a drawing, the first at the sixteenth of forty; none after the last.
    assert set(percents(terminal)) == {0, *range(40, 100, 5)}


@pytest.mark.parametrize("method", ["naive", "sync"])
def test_drawing_is_in_no_time_that_is_read(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    script.cuda_is_up = False
    terminal = a_terminal(monkeypatch, lambda: script.sleep(0.0625))
    found = fasttime.measure(script.work, 0.125, 0.0, method=method, warmup=4, repeat=40)
    assert terminal.getvalue()
    assert script.now > 40 * 0.125
    assert set(found.times) == set(found.host_times) == {0.125}
    assert (found.loop_time, found.wall_time) == (40 * 0.125, 0.125)


def test_naive_runs_on_a_device_show_none(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.measure(script.work, 1.0, 4.0, method="naive", warmup=1, repeat=20)
    assert terminal.getvalue() == ""


def test_short_runs_show_none(script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.measure(script.work, 1 / 32, 0.0, method="sync", warmup=1, repeat=60)
    assert terminal.getvalue() == ""


# --- a row of runs on a device ---


def measured(
    simulated: SimulatedMachine, work: Callable[[], None], repeat: int, **given: Any
) -> Measurement:
    simulated.cuda.advance(-simulated.cuda.now_ns % (1000 * MS))  # begins on a whole second
    return fasttime.measure(work, repeat=repeat, **{"warmup": 5, **given})


def assert_alike(one: Measurement, other: Measurement) -> None:
    for name in ("times", "warmup_times", "host_times"):
        # A thousandth: what the device may be let to finish before the next run.
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-3)
        assert np.median(getattr(one, name)) == pytest.approx(np.median(getattr(other, name)))
    assert one.loop_time == pytest.approx(other.loop_time, rel=1e-3)
    assert (one.wall_time or 0.0) == pytest.approx(other.wall_time or 0.0, rel=1e-3)
    assert [warning.kind for warning in one.warnings] == [
        warning.kind for warning in other.warnings
    ]
    assert one.is_calibrated == other.is_calibrated
    assert one.bottleneck is not None
    assert other.bottleneck is not None
    assert one.bottleneck.bound == other.bottleneck.bound


# Host time of a run before it issues its work and after, and the work, in us; whether such a row
# shows a bar where it is not held.
ROWS = {
    "device idle at the end of each run": (0, 100_000, 10_000, True),
    "device as good as idle there": (100_000, 0, 50, True),
    "device at work there": (100_000, 0, 10_000, False),
    "device just quicker than the host": (100_000, 0, 99_000, False),
    "device just slower than the host": (100_000, 0, 101_000, True),
    "device far slower, launch queue full": (1_000, 0, 100_000, True),
}


def row(simulated: SimulatedMachine, before: int, after: int, device: int) -> Callable[[], None]:
    def work() -> None:
        simulated.work(before * US, device * US)
        simulated.cuda.advance(after * US)

    return work


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize(("before", "after", "device", "shows"), ROWS.values(), ids=ROWS)
def test_a_measurement_that_is_watched_is_the_one_that_is_not(
    cuda: Simulated,
    simulated: SimulatedMachine,
    monkeypatch: pytest.MonkeyPatch,
    hold: bool,
    before: int,
    after: int,
    device: int,
    shows: bool,
) -> None:
    run = row(simulated, before, after, device)

    def work() -> None:
        run()
        # Room for 20 runs, of which each has two events; but not in what comes after the last run,
        # where more is queued behind a hold.
        cuda.set_queue_limit(40 if simulated.runs % (60 + hold) else 0)

    unwatched = measured(simulated, work, 60, hold=hold)
    with monkeypatch.context() as patch:
        terminal = a_terminal(patch, lambda: cuda.advance(DRAWING))
        watched = measured(simulated, work, 60, hold=hold)
    assert_alike(watched, unwatched)
    assert bool(terminal.getvalue()) is (hold or shows)


def test_a_row_is_drawn_in_only_while_the_device_is_idle_or_has_enough_to_do(
    cuda: Simulated, simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int | None] = []
    for before, after, device, _ in ROWS.values():
        with monkeypatch.context() as patch:
            a_terminal(patch, lambda: left.append(cuda.backlog_ns(0)))
            measured(simulated, row(simulated, before, after, device), 60)
    assert 0 in left
    assert min(work for work in left if work) >= 100 * MS  # a drawing takes a few milliseconds


def test_the_bar_goes_on_while_the_host_waits_for_the_last_runs(
    cuda: Simulated, simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        simulated.work(10 * US, 1000 * MS)

    unwatched = measured(simulated, work, 10)
    with monkeypatch.context() as patch:
        terminal = a_terminal(patch, lambda: cuda.advance(DRAWING))
        watched = measured(simulated, work, 10)
    assert_alike(watched, unwatched)
    shown = [percent for percent in percents(terminal) if percent]
    assert shown == sorted(shown)
    assert set(shown) == {20, 30, 40, 50, 60, 70, 80}  # the last two are waited for at once


def test_the_end_of_a_row_is_heard_at_once(
    cuda: Simulated, simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        simulated.work(10 * US, 10 * MS)

    unwatched = measured(simulated, work, 400)
    with monkeypatch.context() as patch:
        terminal = a_terminal(patch, lambda: cuda.advance(DRAWING))
        watched = measured(simulated, work, 400)
    assert max(percents(terminal)) > 70
    assert watched.loop_time == pytest.approx(unwatched.loop_time, rel=1e-9)


def test_pauses_of_a_host_that_is_slower_do_not_pass_for_a_device_that_is_behind(
    cuda: Simulated, simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch, lambda: cuda.advance(DRAWING))
    found = measured(simulated, row(simulated, 0, 2000, 200), 2000)
    assert terminal.getvalue()
    assert found.bottleneck is not None
    assert found.bottleneck.bound == "host-bound"


def test_a_row_whose_first_run_is_not_done_yet_shows_a_bar_too(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    measured(simulated, lambda: simulated.work(10 * US, 5000 * MS), 3, warmup=0)
    assert {0, 33} <= set(percents(terminal))


def not_yet_due() -> ProgressBar:
    """A bar that somebody watches, long before it is to be drawn."""
    bar = ProgressBar("fn")
    bar.due = 1e9
    return bar


def test_no_clock_is_looked_at_after_each_short_run(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[float] = []
    monkeypatch.setattr(
        "fasttime.measuring.machine.clock",
        lambda: checks.append(0) or simulated.cuda.now_ns * 1e-9,  # type: ignore[func-returns-value]
    )
    assert sum(RunProgress(not_yet_due(), 10_000).stretches()) == 10_000
    assert len(checks) < 20


def test_where_nobody_watches_nothing_stands_between_two_runs() -> None:
    assert list(RunProgress(None, 200).stretches()) == [200]


# --- stretches ---


def test_stretches_add_up_and_follow_how_long_runs_take(script: ScriptedLoop) -> None:
    made: list[int] = []
    for runs in RunProgress(not_yet_due(), 200).stretches():
        made.append(runs)
        script.now += runs * (1 / 1024 if sum(made) < 100 else 1.0)
    assert sum(made) == 200
    assert made[:5] == [1, 2, 4, 8, 16]
    assert made[-5:] == [1] * 5


def test_pauses_are_taken_out_of_what_comes_after_them() -> None:
    pauses = Pauses()
    pauses.add(1, 0.5)
    pauses.add(3, 0.25)
    moments = np.array([0.0, 1.5, 2.5, 3.75])
    assert list(pauses.taken_out_of(moments)) == [0.0, 1.0, 2.0, 3.0]
    assert pauses.total == 0.75


# --- compare ---


def test_a_comparison_of_candidates_shows_a_bar_that_is_in_no_time(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = {
        "a": lambda: simulated.work(10 * US, 200 * MS),
        "b": lambda: simulated.work(10 * US, 300 * MS),
    }
    terminal = a_terminal(monkeypatch, lambda: simulated.cuda.advance(DRAWING))
    found = fasttime.compare(candidates, rounds=8, budget=60.0)
    assert "comparing 2 candidates" in terminal.getvalue()
    assert max(percents(terminal)) == 88  # seven rounds of eight
    assert found.measurements["a"].times == pytest.approx([0.2] * 8, rel=1e-6)
    assert found.measurements["b"].times == pytest.approx([0.3] * 8, rel=1e-6)


def test_a_comparison_of_methods_shows_one_bar_for_all_loops(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch, lambda: script.sleep(0.0625))
    found = fasttime.compare(
        script.work, 0.125, 0.0, methods=("naive", "sync"), warmup=1, repeat=8, rounds=2
    )
    text = terminal.getvalue()
    assert "comparing 2 methods" in text
    assert "measuring" not in text
    shown = [percent for percent in percents(terminal) if percent]
    assert shown == sorted(shown)
    assert 83 <= shown[-1] < 100  # five of six loops are done when the last one begins
    assert found.loop_times == dict.fromkeys(("untimed", "naive", "sync"), (1.0, 1.0))


def test_a_short_comparison_shows_none(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.compare(
        script.work, 1 / 64, 0.0, methods=("naive", "sync"), warmup=1, repeat=8, rounds=2
    )
    assert terminal.getvalue() == ""

# SPDX-License-Identifier: BSD-3-Clause
"""Runs behind a held stream, and what becomes of those that cannot be held."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from leftovers import pool_is_whole
from simulated_cuda import Simulated
from simulated_machine import CLEAR_DEVICE, MS, US, SimulatedMachine, held

import fasttime
from fasttime.measuring import running
from fasttime.measuring.calibration import empty_pair
from fasttime.measuring.held import CannotBeHeld, HeldSampler

NOT_HELD = (
    "not_held",
    "timed without holding the stream, launch latency included, as a run waits for the device, "
    "allocates or frees its memory, or puts more into the launch queue than has room there "
    "(some 1,000 launches)",
)


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [doubt.kind for doubt in measurement.warnings]


def waits_for_the_device(simulated: SimulatedMachine) -> Callable[[], None]:
    def fn() -> None:
        simulated.work(100 * US, 20 * US)
        simulated.cuda.lib.cudaDeviceSynchronize()

    return fn


# --- what is read ---


def test_a_given_number_of_runs_is_called_once_more_before_and_not_held_then(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    held_at_end: list[bool] = []

    def fn() -> None:
        simulated.work(100 * US, 20 * US)
        held_at_end.append(cuda.backlog_ns(0) is None)

    found = fasttime.measure(fn, hold=True, warmup=2, repeat=12)
    assert held_at_end == [False, *[True] * 12]
    assert (found.held, found.ended_by) == (True, "count")
    assert (len(found.warmup_times), len(found)) == (2, 10)


def test_runs_behind_a_hold_read_the_device_s_own_time_without_the_events(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, hold=True, warmup=2, repeat=12)
    assert found.times == pytest.approx([20e-6] * 10, rel=1e-6)
    assert found.warmup_times == pytest.approx([21.25e-6] * 2, rel=1e-6)
    assert found.host_times == pytest.approx([100e-6] * 10, rel=1e-6)
    assert (found.is_calibrated, found.wall_time) == (True, None)
    assert found.warnings == ()


def test_the_floor_of_held_runs_comes_from_the_same_holds(
    cuda: Simulated, simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "empty_pair", lambda: pytest.fail("read apart from the runs"))
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, hold=True, warmup=2, repeat=12)
    assert found.floor == pytest.approx(1.25e-6, rel=1e-6)


def test_runs_come_in_the_order_in_which_they_ran(simulated: SimulatedMachine) -> None:
    durations = iter([9, *range(1, 41)])
    found = fasttime.measure(
        lambda: simulated.work(0, next(durations) * MS), hold=True, warmup=3, repeat=40
    )
    assert found.warmup_times == pytest.approx([1e-3, 2e-3, 3e-3], rel=1e-6)
    assert found.times == pytest.approx([run * 1e-3 for run in range(4, 41)], rel=1e-6)


def test_the_current_stream_is_held_whichever_it_is(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    simulated.use_stream(cuda.create_stream())
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, hold=True, warmup=0, repeat=9)
    assert found.times == pytest.approx([20e-6] * 9, rel=1e-6)


def test_an_empty_pair_reads_what_an_event_takes(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    assert empty_pair() == pytest.approx(1.25e-6, rel=1e-6)
    assert pool_is_whole()


# --- what cannot be held ---


def test_a_callable_that_waits_for_the_device_cannot_be_held(simulated: SimulatedMachine) -> None:
    simulated.let_go_soon()
    with pytest.raises(CannotBeHeld, match=r"^a run waits for the device, allocates or frees"):
        HeldSampler(waits_for_the_device(simulated)).take(5)
    assert simulated.runs == 1 + 2
    assert pool_is_whole()


def test_a_callable_that_fills_the_launch_queue_alone_cannot_be_held(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    simulated.let_go_soon()
    cuda.set_queue_limit(20)

    def fn() -> None:
        for _ in range(30):
            cuda.destroy_event(cuda.recorded())

    with pytest.raises(CannotBeHeld):
        HeldSampler(fn).take(5)


def test_one_failure_in_between_is_taken_for_a_pause_of_the_host_s_own(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocking = (3, 6, 9)

    def fn() -> None:
        waits = simulated.runs in blocking
        simulated.work(1 * MS, 20 * US)
        if waits:
            simulated.cuda.lib.cudaDeviceSynchronize()

    def hold_soon_let_go(self: HeldSampler, recorder: object, patience: float) -> bool:
        soon = simulated.runs in blocking
        monkeypatch.setattr(held, "_PATIENCE", 0.02 if soon else 3600.0)
        monkeypatch.setattr(held, "_PATIENCE_FACTOR", 0.0)
        return run_held(self, recorder, patience)  # type: ignore[arg-type]

    run_held = HeldSampler._run_held
    monkeypatch.setattr(HeldSampler, "_run_held", hold_soon_let_go)
    found = HeldSampler(fn).take(10)
    assert found.times == pytest.approx([20e-6] * 10, rel=1e-6)
    assert simulated.runs == 1 + 10 + 3


@pytest.mark.parametrize("hold", [None, True])
def test_what_cannot_be_held_is_measured_without_and_says_so(
    simulated: SimulatedMachine, hold: bool | None
) -> None:
    simulated.let_go_soon()
    found = fasttime.measure(waits_for_the_device(simulated), hold=hold, budget=0.1)
    assert (found.held, found.is_calibrated) == (False, False)
    assert found.times == pytest.approx([120e-6] * len(found), rel=1e-6)
    assert found.warnings[0] == NOT_HELD
    assert kinds(found) == ["not_held", "raw"]


def test_a_given_number_of_runs_that_cannot_be_held_is_made_without(
    simulated: SimulatedMachine,
) -> None:
    simulated.let_go_soon()
    found = fasttime.measure(waits_for_the_device(simulated), hold=True, warmup=2, repeat=10)
    assert found.held is False
    assert found.times == pytest.approx([120e-6] * 8, rel=1e-6)
    assert found.warnings[0] == NOT_HELD
    assert simulated.runs == 1 + 2 + 10


def test_a_driver_that_cannot_hold_is_an_error_where_it_was_told_to(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    for repeat in (5, "auto"):
        cuda.fail("cuStreamWaitValue32_v2", 801)
        message = "^the stream cannot be held: cuStreamWaitValue32_v2 answered 801"
        with pytest.raises(RuntimeError, match=message):
            fasttime.measure(simulated.work, 10 * US, MS, hold=True, warmup=0, repeat=repeat)  # type: ignore[arg-type]


def test_a_driver_that_cannot_hold_leaves_a_doubt_where_it_was_not_told_to(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.fail("cuStreamWaitValue32_v2", 801, times=-1)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, budget=0.1)
    assert (found.held, found.floor) == (False, None)
    assert kinds(found) == ["not_held", "raw"]
    assert found.warnings[0].message.startswith(
        "timed without holding the stream, launch latency included, as the stream cannot be held: "
        "cuStreamWaitValue32_v2 answered 801"
    )


# --- callables that raise ---


@pytest.mark.parametrize("run", [0, 1, 5])
def test_what_a_held_callable_raises_passes_unchanged_and_the_stream_is_let_go(
    cuda: Simulated, simulated: SimulatedMachine, run: int
) -> None:
    error = OSError("in a run")
    runs = iter(range(100))

    def fn() -> None:
        simulated.work(100 * US, 20 * US)
        if next(runs) == run:
            raise error

    with pytest.raises(OSError, match=r"^in a run$") as caught:
        fasttime.measure(fn, hold=True, warmup=0, repeat=10)
    assert caught.value is error
    cuda.lib.cudaDeviceSynchronize()
    assert cuda.backlog_ns(0) == 0
    assert pool_is_whole()  # though the traceback keeps the frames


def test_after_an_exception_a_stream_can_be_held_again(simulated: SimulatedMachine) -> None:
    with pytest.raises(ZeroDivisionError):
        fasttime.measure(lambda: 1 // 0, hold=True, warmup=0, repeat=10)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, hold=True, warmup=0, repeat=9)
    assert found.times == pytest.approx([20e-6] * 9, rel=1e-6)


def test_a_runtime_error_of_the_callable_s_own_is_not_taken_for_one_of_holding(
    simulated: SimulatedMachine,
) -> None:
    calls = iter(range(10_000))

    def fn() -> None:
        simulated.work(100 * US, 20 * US)
        if next(calls) == 50:  # behind a hold
            raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match=r"^out of luck$"):
        fasttime.measure(fn, budget=0.02)


# --- a cold cache ---


@pytest.mark.parametrize("hold", [False, True])
def test_a_cold_cache_is_cleared_before_each_run_outside_of_its_time(
    simulated: SimulatedMachine, hold: bool
) -> None:
    found = fasttime.measure(
        simulated.work, 10 * US, MS, hold=hold, cache="cold", warmup=2, repeat=10
    )
    log = [entry for entry in simulated.log if entry in ("clear", "run")]
    assert log == ["clear", "run"] * (10 + hold)
    assert found.times == pytest.approx([1e-3] * 8, rel=1e-6)
    assert found.host_times == pytest.approx([10e-6] * 8, rel=1e-6)
    assert found.cache == "cold"
    assert found.loop_time >= 10 * (MS + CLEAR_DEVICE) * 1e-9


def test_a_cold_cache_is_cleared_before_each_timed_run_that_finds_its_own_number(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, cache="cold", budget=0.1)
    assert (found.held, found.cache) == (True, "cold")
    assert found.times == pytest.approx([20e-6] * len(found), rel=1e-6)
    # A loop that is not timed shows what a call takes in all, the cache left as it is.
    assert found.wall_time == pytest.approx(100e-6 + 20e-6 / 19)


def test_a_warm_cache_is_left_as_it_is(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=2, repeat=10)
    assert found.cache == "warm"
    assert "clear" not in simulated.log

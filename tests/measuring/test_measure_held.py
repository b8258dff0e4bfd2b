# SPDX-License-Identifier: BSD-3-Clause
"""Runs behind a held stream, and callables that cannot be held."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from leftovers import no_stream_is_held, pool_is_whole
from simulated_cuda import Simulated
from simulated_machine import CLEAR_DEVICE, MS, US, S, SimulatedMachine, held

import fasttime
from fasttime import TimingWarning
from fasttime._native import Scope
from fasttime.measuring import runner as running
from fasttime.measuring.calibration import empty_pair
from fasttime.measuring.held import CannotBeHeld, HeldSampler

NOT_HELD = TimingWarning(
    "not_held",
    "The stream was not held, so times include launch latency: a run waits for the device, "
    "allocates or frees device memory, or puts more work into the launch queue than there is room "
    "for (about 1,000 launches). Compare them only with other times measured without a hold.",
)


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in measurement.warnings]


def waits_for_the_device(simulated: SimulatedMachine) -> Callable[[], None]:
    def fn() -> None:
        simulated.work(100 * US, 20 * US)
        simulated.cuda.lib.cudaDeviceSynchronize()

    return fn


# --- what is read ---


def test_the_first_call_is_not_held(cuda: Simulated, simulated: SimulatedMachine) -> None:
    held_at_end: list[bool] = []

    def fn() -> None:
        simulated.work(100 * US, 20 * US)
        held_at_end.append(cuda.backlog_ns(0) is None)

    found = fasttime.measure(fn, hold=True, warmup=2, repeat=12)
    assert held_at_end == [False, *[True] * 12]
    assert (found.held, found.ended_by) == (True, "count")
    assert (len(found.warmup_times), len(found)) == (2, 10)


def test_held_runs_read_device_time_alone(cuda: Simulated, simulated: SimulatedMachine) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, hold=True, warmup=2, repeat=12)
    assert found.times == pytest.approx([20e-6] * 10, rel=1e-6)
    assert found.warmup_times == pytest.approx([21.25e-6] * 2, rel=1e-6)
    assert found.host_times == pytest.approx([100e-6] * 10, rel=1e-6)
    assert (found.is_calibrated, found.wall_time) == (True, None)
    assert found.warnings == ()


def test_held_runs_read_overhead_in_the_same_holds(
    cuda: Simulated, simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "empty_pair", lambda: pytest.fail("read apart from the runs"))
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, hold=True, warmup=2, repeat=12)
    assert found.event_overhead == pytest.approx(1.25e-6, rel=1e-6)


def test_times_are_in_the_order_of_the_runs(simulated: SimulatedMachine) -> None:
    durations = iter([9, *range(1, 41)])
    found = fasttime.measure(
        lambda: simulated.work(0, next(durations) * MS), hold=True, warmup=3, repeat=40
    )
    assert found.warmup_times == pytest.approx([1e-3, 2e-3, 3e-3], rel=1e-6)
    assert found.times == pytest.approx([run * 1e-3 for run in range(4, 41)], rel=1e-6)


def test_the_current_stream_is_held(cuda: Simulated, simulated: SimulatedMachine) -> None:
    simulated.use_stream(cuda.create_stream())
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, hold=True, warmup=0, repeat=9)
    assert found.times == pytest.approx([20e-6] * 9, rel=1e-6)


def test_an_empty_pair_reads_the_event_overhead(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    assert empty_pair() == pytest.approx(1.25e-6, rel=1e-6)
    assert pool_is_whole()


@pytest.mark.parametrize(("cold", "warm"), [(30 * S, 200 * US), (30 * S, 600 * MS), (MS, MS)])
def test_a_cold_first_call_does_not_extend_patience(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch, cold: int, warm: int
) -> None:
    timeouts: list[float] = []
    hold = held._native.StreamHold

    def stream_hold(timeout_s: float) -> object:
        timeouts.append(timeout_s)
        return hold(3600.0)

    monkeypatch.setattr(held._native, "StreamHold", stream_hold)
    monkeypatch.setattr(held, "_PATIENCE", 0.03)
    first = iter([cold])
    HeldSampler(lambda: simulated.work(next(first, warm), 20 * US)).take(3)
    assert timeouts == pytest.approx([0.03 + 5 * warm * 1e-9] * 3)
    assert simulated.runs == 3 + (1 if cold == MS else 2)


# --- what cannot be held ---


def test_a_callable_that_waits_cannot_be_held(simulated: SimulatedMachine) -> None:
    simulated.let_go_soon()
    with pytest.raises(CannotBeHeld, match=r"^a run waits for the device, allocates or frees"):
        HeldSampler(waits_for_the_device(simulated)).take(5)
    assert simulated.runs == 1 + 2
    assert pool_is_whole()
    assert no_stream_is_held()


def test_a_callable_that_fills_the_queue_is_not_held(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    simulated.let_go_soon()
    cuda.set_queue_limit(20)

    def fn() -> None:
        for _ in range(30):
            cuda.destroy_event(cuda.recorded())

    with pytest.raises(CannotBeHeld):
        HeldSampler(fn).take(5)


def test_a_single_failed_hold_is_tried_again(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocking = (3, 6, 9)

    def fn() -> None:
        waits = simulated.runs in blocking
        simulated.work(1 * MS, 20 * US)
        if waits:
            simulated.cuda.lib.cudaDeviceSynchronize()

    def hold_soon_let_go(self: HeldSampler, empty: Scope, scope: Scope, patience: float) -> bool:
        soon = simulated.runs in blocking
        monkeypatch.setattr(held, "_PATIENCE", 0.02 if soon else 3600.0)
        monkeypatch.setattr(held, "_PATIENCE_FACTOR", 0.0)
        return run_held(self, empty, scope, patience)

    run_held = HeldSampler._run_held
    monkeypatch.setattr(HeldSampler, "_run_held", hold_soon_let_go)
    found = HeldSampler(fn).take(10)
    assert found.times == pytest.approx([20e-6] * 10, rel=1e-6)
    assert simulated.runs == 1 + 10 + 3


def test_a_second_attempt_has_more_patience(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated.let_go_soon()
    calls = iter(range(1000))
    patience_of: list[float] = []
    run_held = HeldSampler._run_held

    def fn() -> None:  # blocks in the first attempt of each run, which has another time
        is_second_attempt = next(calls) % 2 == 0
        simulated.work(100 * US, 20 * US if is_second_attempt else 40 * US)
        if not is_second_attempt:
            simulated.cuda.lib.cudaDeviceSynchronize()

    def patient(self: HeldSampler, empty: Scope, scope: Scope, patience: float) -> bool:
        patience_of.append(patience)
        # No second attempt may fail because the test machine is slow.
        monkeypatch.setattr(held, "_PATIENCE", 0.02 if patience == 1.0 else 3600.0)
        return run_held(self, empty, scope, patience)

    monkeypatch.setattr(HeldSampler, "_run_held", patient)
    simulated.cuda.set_event_time(1250)
    found = HeldSampler(fn).take(10)
    assert patience_of == [1.0, 4.0] * 10
    assert found.times == pytest.approx([21.25e-6] * 10, rel=1e-6)
    assert found.event_overheads == pytest.approx([1.25e-6] * 10, rel=1e-6)
    assert len(found.host_times) == 10
    assert pool_is_whole()
    assert no_stream_is_held()


@pytest.mark.parametrize("hold", [None, True])
def test_a_failed_hold_falls_back_with_a_warning(
    simulated: SimulatedMachine, hold: bool | None
) -> None:
    simulated.let_go_soon()
    found = fasttime.measure(waits_for_the_device(simulated), hold=hold, budget=0.1)
    assert (found.held, found.is_calibrated) == (False, False)
    assert found.times == pytest.approx([120e-6] * len(found), rel=1e-6)
    assert found.warnings[0] == NOT_HELD
    assert kinds(found) == ["not_held", "raw"]


def test_a_hold_that_fails_later_restarts_without(
    simulated: SimulatedMachine,
) -> None:
    simulated.let_go_soon()

    def fn() -> None:
        simulated.work(100 * US, 20 * US)
        if simulated.runs >= 100:  # behind a hold, after the warm-up
            simulated.cuda.lib.cudaDeviceSynchronize()

    found = fasttime.measure(fn, warmup=0, budget=0.1)
    assert (found.held, found.warnings[0]) == (False, NOT_HELD)
    assert found.times == pytest.approx([120e-6] * len(found), rel=1e-6)
    assert pool_is_whole()
    assert no_stream_is_held()


def test_a_failed_record_behind_a_hold_raises(cuda: Simulated, simulated: SimulatedMachine) -> None:
    def fn() -> None:
        simulated.work(100 * US, 20 * US)
        if simulated.runs == 4:
            cuda.fail("cudaEventRecord", 400, after=1)  # the next run's first empty pair

    with pytest.raises(RuntimeError, match=r"\(status 'failed'\): cudaEventRecord returned 400"):
        fasttime.measure(fn, hold=True, warmup=0, repeat=10)
    assert pool_is_whole()
    assert no_stream_is_held()


def test_other_streams_beside_a_hold_are_a_warning(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream()

    def fn() -> None:
        simulated.work(10 * US, MS)
        cuda.enqueue(other, 3 * MS)

    found = fasttime.measure(fn, hold=True, warmup=0, repeat=10)
    assert kinds(found) == ["other_streams"]
    # The held stream begins when everything is queued, at the same time as the other stream.
    assert "kept working for 2.000 ms after the timed stream" in found.warnings[0].message
    assert found.times == pytest.approx([1e-3] * 10, rel=1e-6)


def test_held_runs_follow_a_change_of_streams(cuda: Simulated, simulated: SimulatedMachine) -> None:
    streams = [cuda.create_stream(), cuda.create_stream()]
    simulated.use_stream(streams[0])

    def fn() -> None:  # the next run's stream is current when that run begins
        run = simulated.runs
        simulated.work(1 * US, (run + 1) * MS)
        simulated.use_stream(streams[(run + 1) % 2])

    found = fasttime.measure(fn, hold=True, warmup=0, repeat=10)
    assert found.times == pytest.approx([run * 1e-3 for run in range(2, 12)], rel=1e-6)


def test_counted_runs_fall_back_to_not_holding(
    simulated: SimulatedMachine,
) -> None:
    simulated.let_go_soon()
    found = fasttime.measure(waits_for_the_device(simulated), hold=True, warmup=2, repeat=10)
    assert found.held is False
    assert found.times == pytest.approx([120e-6] * 8, rel=1e-6)
    assert found.warnings[0] == NOT_HELD
    assert simulated.runs == 1 + 2 + 10


def test_failing_to_hold_raises_on_request(cuda: Simulated, simulated: SimulatedMachine) -> None:
    for repeat in (5, "auto"):
        cuda.fail("cuStreamWaitValue32_v2", 801)
        message = "^the stream cannot be held: cuStreamWaitValue32_v2 returned 801"
        with pytest.raises(RuntimeError, match=message):
            fasttime.measure(simulated.work, 10 * US, MS, hold=True, warmup=0, repeat=repeat)  # type: ignore[arg-type]


def test_failing_to_hold_is_a_warning_by_default(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.fail("cuStreamWaitValue32_v2", 801, times=-1)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, budget=0.1)
    assert (found.held, found.event_overhead) == (False, None)
    assert kinds(found) == ["not_held", "raw"]
    assert found.warnings[0].message.startswith(
        "The stream was not held, so times include launch latency: the stream cannot be held: "
        "cuStreamWaitValue32_v2 returned 801"
    )


# --- callables that raise ---


@pytest.mark.parametrize("run", [0, 1, 5])
def test_an_exception_releases_the_stream(
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
    assert pool_is_whole()  # although the traceback keeps the frames
    assert no_stream_is_held()


def test_a_stream_can_be_held_after_an_exception(simulated: SimulatedMachine) -> None:
    with pytest.raises(ZeroDivisionError):
        fasttime.measure(lambda: 1 // 0, hold=True, warmup=0, repeat=10)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, hold=True, warmup=0, repeat=9)
    assert found.times == pytest.approx([20e-6] * 9, rel=1e-6)


def test_the_callables_runtime_error_passes(
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
def test_clearing_the_cache_is_not_timed(simulated: SimulatedMachine, hold: bool) -> None:
    found = fasttime.measure(
        simulated.work, 10 * US, MS, hold=hold, cache="cold", warmup=2, repeat=10
    )
    log = [entry for entry in simulated.log if entry in ("clear", "run")]
    assert log == ["clear", "run"] * (10 + hold)
    assert found.times == pytest.approx([1e-3] * 8, rel=1e-6)
    assert found.host_times == pytest.approx([10e-6] * 8, rel=1e-6)
    assert found.cache == "cold"
    assert found.loop_time >= 10 * (MS + CLEAR_DEVICE) * 1e-9


def test_adaptive_runs_clear_the_cache_each_time(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, cache="cold", budget=0.1)
    assert (found.held, found.cache) == (True, "cold")
    assert found.times == pytest.approx([20e-6] * len(found), rel=1e-6)
    # The wall time comes from a loop without timing that leaves the cache alone.
    assert found.wall_time == pytest.approx(100e-6 + 20e-6 / 20)


def test_a_warm_cache_is_left_as_it_is(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=2, repeat=10)
    assert found.cache == "warm"
    assert "clear" not in simulated.log

# SPDX-License-Identifier: BSD-3-Clause
"""The event method, on the simulated runtime."""

from __future__ import annotations

import itertools

import pytest
from leftovers import no_stream_is_held, pool_is_whole
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine, calibration

import fasttime
from fasttime import TimingWarning
from fasttime.measuring.warnings import judge_samples
from fasttime.sample import Sample, Status


def test_events_read_the_device_time_of_each_run(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    durations = itertools.count(1)
    found = fasttime.measure(
        lambda: simulated.work(MS // 4, next(durations) * MS), warmup=2, repeat=12
    )
    assert found.times == pytest.approx([run * 1e-3 for run in range(3, 13)], rel=1e-6)
    # Only in the first run is the device idle until its work arrives.
    assert found.warmup_times == pytest.approx([1.25e-3, 2e-3], rel=1e-6)
    assert found.host_times == pytest.approx([0.25e-3] * 10, rel=1e-6)
    assert found.loop_time == pytest.approx(78.25e-3)
    assert found.wall_time == pytest.approx(75e-3 / 10)  # of the kept runs only
    assert [warning.kind for warning in found.warnings] == ["drift"]


def test_a_given_repeat_is_the_number_of_calls(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=3, repeat=20)
    assert simulated.runs == 20
    assert (len(found.warmup_times), len(found), found.ended_by) == (3, 17, "count")
    assert (found.warmup, found.repeat) == (3, 20)


def test_given_numbers_of_runs_are_not_held(cuda: Simulated, simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, warmup=1, repeat=10)
    assert found.held is False
    assert found.times == pytest.approx([100e-6] * 9, rel=1e-6)
    assert simulated.runs == 10


def test_times_with_waits_for_the_host_stay_raw(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, warmup=1, repeat=41)
    assert found.is_calibrated is False
    assert found.event_overhead == pytest.approx(1.25e-6, rel=1e-6)
    assert found.median == pytest.approx(98.75e-6, rel=1e-6)  # from event to event
    assert found.warnings == (
        TimingWarning(
            "raw",
            "The device waited for the host, and times include that wait (issuing a call takes "
            "100.0 µs). Use hold=True to read the device's own time.",
        ),
    )


def test_overhead_is_subtracted_if_work_was_waiting(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=1, repeat=10)
    assert found.is_calibrated is True
    assert found.event_overhead == pytest.approx(1.25e-6, rel=1e-6)
    assert found.times == pytest.approx([1e-3] * 9, rel=1e-6)


def test_warm_up_times_stay_as_they_were_read(cuda: Simulated, simulated: SimulatedMachine) -> None:
    cuda.set_event_time(MS // 4)
    found = fasttime.measure(simulated.work, 0, MS, warmup=2, repeat=10)
    assert found.warmup_times == pytest.approx([1.25e-3] * 2, rel=1e-6)
    assert found.times == pytest.approx([1e-3] * 8, rel=1e-6)


def test_events_wait_at_the_ends_of_the_loop_only(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    fasttime.measure(simulated.work, 10 * US, MS, warmup=5, repeat=50)
    loop = ["wait", *["run"] * 50, "wait for the stream", "wait"]
    assert simulated.log[: len(loop)] == loop
    assert simulated.runs == 50
    assert cuda.calls("cudaEventSynchronize") == 0


def test_every_run_has_two_events_of_its_own(cuda: Simulated, simulated: SimulatedMachine) -> None:
    def records(runs: int) -> int:
        before = cuda.calls("cudaEventRecord")
        fasttime.measure(lambda: cuda.advance(1000), warmup=0, repeat=runs)
        return cuda.calls("cudaEventRecord") - before

    records(40)  # sets up the clock and the lane
    # Reading the overhead takes equally many, and one may place the clock anew.
    assert records(140) - records(40) in (199, 200, 201)


def test_no_hold_means_no_event_overhead(cuda: Simulated, simulated: SimulatedMachine) -> None:
    cuda.set_event_time(1250)
    cuda.fail("cuStreamWaitValue32_v2", 801)
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=1, repeat=11)
    assert (found.event_overhead, found.is_calibrated) == (None, False)
    assert found.median == pytest.approx(1001.25e-6, rel=1e-6)
    assert [warning.kind for warning in found.warnings] == ["raw"]
    assert found.warnings[0].message.startswith(
        "Times include the event overhead, about a microsecond per run, which could not be "
        "measured: the stream cannot be held: cuStreamWaitValue32_v2 returned 801"
    )
    assert pool_is_whole()
    assert no_stream_is_held()


def test_an_early_release_leaves_overhead_unknown(
    cuda: Simulated, simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "_PATIENCE", 0.02)

    def fn() -> None:
        simulated.work(10 * US, MS)
        cuda.set_queue_limit(64)  # fewer than the empty pairs of events take

    found = fasttime.measure(fn, warmup=0, repeat=10)
    assert (found.event_overhead, found.is_calibrated) == (None, False)
    assert [warning.kind for warning in found.warnings] == ["raw"]
    assert "calls took longer to queue than a stream may be held" in found.warnings[0].message
    cuda.set_queue_limit(1024)
    assert pool_is_whole()
    assert no_stream_is_held()


def test_failed_records_leave_overhead_unknown(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    runs = itertools.count()

    def fn() -> None:
        simulated.work(10 * US, MS)
        if next(runs) == 9:
            cuda.fail("cudaEventRecord", 400, after=1)  # the end of this run comes first

    found = fasttime.measure(fn, warmup=0, repeat=10)
    assert (found.event_overhead, found.is_calibrated) == (None, False)
    assert [warning.kind for warning in found.warnings] == ["raw"]
    assert "cudaEventRecord returned 400" in found.warnings[0].message


def test_events_follow_a_change_of_streams(cuda: Simulated, simulated: SimulatedMachine) -> None:
    slow, quick = cuda.create_stream(), cuda.create_stream()
    runs = iter(range(4))

    def fn() -> None:  # the next run's stream is current when that run begins
        run = next(runs)
        cuda.advance(1000)
        cuda.enqueue(quick if run % 2 else slow, (run + 1) * MS)
        simulated.use_stream(slow if run % 2 else quick)

    simulated.use_stream(slow)
    found = fasttime.measure(fn, warmup=0, repeat=4)
    assert found.times[2:] == pytest.approx([3e-3, 4e-3], rel=1e-6)


def test_events_go_back_to_the_pool(cuda: Simulated, simulated: SimulatedMachine) -> None:
    fasttime.measure(lambda: cuda.enqueue(0, MS), warmup=0, repeat=100)
    assert pool_is_whole()


def test_measure_works_with_scopes_disabled(cuda: Simulated, simulated: SimulatedMachine) -> None:
    fasttime.disable()
    try:
        found = fasttime.measure(lambda: cuda.enqueue(0, MS), warmup=0, repeat=1)
    finally:
        fasttime.enable()
    assert found.mean == pytest.approx(1e-3)


def test_a_captured_run_raises(cuda: Simulated, simulated: SimulatedMachine) -> None:
    stream = cuda.create_stream()
    simulated.use_stream(stream)
    runs = iter(range(4))

    def fn() -> None:
        cuda.advance(1000)
        run = next(runs)
        if run == 2:
            cuda.begin_capture(stream)
        elif run == 3:
            cuda.end_capture(stream)

    message = (
        r"^run 2 has no device time \(status 'captured'\): a CUDA graph was being captured; "
        r"call measure\(\) outside the capture$"
    )
    with pytest.raises(RuntimeError, match=message):
        fasttime.measure(fn, warmup=1, repeat=4)
    assert len(fasttime.measure(lambda: None, warmup=1, repeat=4)) == 3


def test_a_failed_run_raises_cudas_own_message(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.fail("cudaEventRecord", 400, after=5)
    with pytest.raises(RuntimeError, match=r"\(status 'failed'\): cudaEventRecord returned 400"):
        fasttime.measure(lambda: None, warmup=1, repeat=10)
    assert len(fasttime.measure(lambda: None, warmup=1, repeat=4)) == 3
    assert pool_is_whole()


def test_a_device_without_timing_raises(
    script: ScriptedLoop,
) -> None:
    with pytest.raises(RuntimeError, match=r"^CUDA is up, but fasttime cannot use it: ") as got:
        fasttime.measure(lambda: None)
    assert str(got.value).endswith("use method='sync', which needs no events")


def samples(*statuses: Status) -> list[Sample]:
    return [Sample("run", status, 0.0, 0.5, None, False) for status in statuses]


def report(backend: str) -> fasttime.Report:
    return fasttime.Report((), backend, "because", 0.0, 0, 0, 0, "")


def test_starting_cuda_in_the_warm_up_is_a_warning() -> None:
    found = judge_samples(samples("host_only", "host_only", "ok"), 2, report("cuda"), True)
    assert found == TimingWarning(
        "cuda_started",
        "fn started CUDA itself in run 1, so warm-up times up to that run are the host's. The kept "
        "runs are not affected.",
    )


def test_starting_cuda_in_a_kept_run_raises() -> None:
    message = (
        r"^run 0 has no device time, because fn started CUDA itself in that run, and it is not a "
        r"warm-up run \(warmup=0\); use a larger warmup, or call torch\.cuda\.init\(\) first$"
    )
    with pytest.raises(RuntimeError, match=message):
        judge_samples(samples("host_only", "ok"), 0, report("cuda"), True)


def test_a_run_without_room_raises(cuda: Simulated, simulated: SimulatedMachine) -> None:
    message = r"^run 2048 has no device time \(status 'dropped'\): there was no room to keep it"
    with pytest.raises(RuntimeError, match=message):
        fasttime.measure(simulated.work, 1, MS, warmup=1, repeat=2100)
    assert pool_is_whole()

# SPDX-License-Identifier: BSD-3-Clause
"""The event method, on the simulated runtime."""

from __future__ import annotations

import pytest
from leftovers import no_stream_is_held, pool_is_whole
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine, calibration

import fasttime
from fasttime.measuring.warnings import judge_samples
from fasttime.sample import Sample, Status


def test_events_read_the_device_time_of_each_run(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    durations = iter(range(1, 13))
    found = fasttime.measure(
        lambda: simulated.work(MS // 4, next(durations) * MS), warmup=2, repeat=12
    )
    assert found.times == pytest.approx([run * 1e-3 for run in range(3, 13)], rel=1e-6)
    # The device stands idle before the first run's work, and in that run alone.
    assert found.warmup_times == pytest.approx([1.25e-3, 2e-3], rel=1e-6)
    assert found.host_times == pytest.approx([0.25e-3] * 10, rel=1e-6)
    assert found.loop_time == pytest.approx(78.25e-3)
    assert found.wall_time == pytest.approx(75e-3 / 10)  # of the runs that count alone
    assert found.warnings == ()


def test_given_numbers_of_runs_mean_exactly_so_many_calls(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=3, repeat=20)
    assert simulated.runs == 20
    assert (len(found.warmup_times), len(found), found.ended_by) == (3, 17, "count")
    assert (found.warmup, found.repeat) == (3, 20)


def test_given_numbers_of_runs_hold_nothing_though_the_host_is_the_bottleneck(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, warmup=1, repeat=10)
    assert found.held is False
    assert found.times == pytest.approx([100e-6] * 9, rel=1e-6)
    assert simulated.runs == 10


def test_times_in_which_the_device_waits_for_the_host_stay_raw_and_say_so(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, warmup=1, repeat=41)
    assert found.is_calibrated is False
    assert found.event_overhead == pytest.approx(1.25e-6, rel=1e-6)
    assert found.median == pytest.approx(98.75e-6, rel=1e-6)  # from event to event
    assert found.warnings == (
        (
            "raw",
            "the device waited for the host, which is in these times (issuing a call takes "
            "100.0 µs); behind a held stream, as by measure(hold=True), the device's own time is "
            "read",
        ),
    )


def test_the_events_own_time_is_taken_off_where_work_was_waiting(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=1, repeat=10)
    assert found.is_calibrated is True
    assert found.event_overhead == pytest.approx(1.25e-6, rel=1e-6)
    assert found.times == pytest.approx([1e-3] * 9, rel=1e-6)


def test_the_times_of_the_warm_up_stay_as_they_were_read(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
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
    # The floor takes as many either way, and one may place the clock anew.
    assert records(140) - records(40) in (199, 200, 201)


def test_a_device_that_cannot_hold_streams_reads_no_event_overhead(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    cuda.fail("cuStreamWaitValue32_v2", 801)
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=1, repeat=11)
    assert (found.event_overhead, found.is_calibrated) == (None, False)
    assert found.median == pytest.approx(1001.25e-6, rel=1e-6)
    assert [warning.kind for warning in found.warnings] == ["raw"]
    assert found.warnings[0].message.startswith(
        "what the events read by themselves, a microsecond or so a run, is in these times and not "
        "known, as the stream cannot be held: cuStreamWaitValue32_v2 answered 801"
    )
    assert pool_is_whole()
    assert no_stream_is_held()


def test_a_event_overhead_behind_a_hold_that_was_let_go_early_is_no_event_overhead(
    cuda: Simulated, simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "_PATIENCE", 0.02)

    def fn() -> None:
        simulated.work(10 * US, MS)
        cuda.set_queue_limit(64)  # fewer than the empty pairs of events take

    found = fasttime.measure(fn, warmup=0, repeat=10)
    assert (found.event_overhead, found.is_calibrated) == (None, False)
    assert [warning.kind for warning in found.warnings] == ["raw"]
    assert "calls took longer to queue than a stream is held" in found.warnings[0].message
    cuda.set_queue_limit(1024)
    assert pool_is_whole()
    assert no_stream_is_held()


def test_a_event_overhead_of_events_that_cannot_be_recorded_is_no_event_overhead(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    runs = iter(range(10))

    def fn() -> None:
        simulated.work(10 * US, MS)
        if next(runs) == 9:
            cuda.fail("cudaEventRecord", 400, after=1)  # the end of this run comes first

    found = fasttime.measure(fn, warmup=0, repeat=10)
    assert (found.event_overhead, found.is_calibrated) == (None, False)
    assert [warning.kind for warning in found.warnings] == ["raw"]
    assert "cudaEventRecord answered 400" in found.warnings[0].message


def test_events_follow_a_callable_that_changes_streams(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
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


def test_measuring_works_while_the_default_recorder_is_off(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    fasttime.disable()
    try:
        found = fasttime.measure(lambda: cuda.enqueue(0, MS), warmup=0, repeat=1)
    finally:
        fasttime.enable()
    assert found.mean == pytest.approx(1e-3)


def test_a_run_that_was_captured_is_an_error(cuda: Simulated, simulated: SimulatedMachine) -> None:
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
        r"^run 2 has no device time, its status is 'captured': a CUDA graph was being captured; "
        r"call measure\(\) outside of captures$"
    )
    with pytest.raises(RuntimeError, match=message):
        fasttime.measure(fn, warmup=1, repeat=4)
    assert len(fasttime.measure(lambda: None, warmup=1, repeat=4)) == 3


def test_a_run_that_failed_is_an_error_with_cuda_s_own_words(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.fail("cudaEventRecord", 400, after=5)
    with pytest.raises(RuntimeError, match=r"its status is 'failed': cudaEventRecord answered 400"):
        fasttime.measure(lambda: None, warmup=1, repeat=10)
    assert len(fasttime.measure(lambda: None, warmup=1, repeat=4)) == 3
    assert pool_is_whole()


def test_a_device_that_cannot_be_timed_is_an_error_and_no_silent_fallback(
    script: ScriptedLoop,
) -> None:
    with pytest.raises(
        RuntimeError, match=r"^CUDA is up, but fasttime cannot time with it: "
    ) as got:
        fasttime.measure(lambda: None)
    assert str(got.value).endswith("method='sync' does without")


def samples(*statuses: Status) -> list[Sample]:
    return [Sample("run", status, 0.0, 0.5, None, False) for status in statuses]


def report(backend: str) -> fasttime.Report:
    return fasttime.Report((), backend, "because", 0.0, 0, 0, 0, "")


def test_a_warm_up_run_in_which_cuda_started_leaves_a_warning() -> None:
    found = judge_samples(samples("host_only", "host_only", "ok"), 2, report("cuda"), True)
    assert found == (
        "cuda_started",
        "fn itself started CUDA in run 1; up to there the warm-up times are the host's",
    )


def test_a_kept_run_in_which_cuda_started_is_an_error() -> None:
    message = (
        r"^run 0 has no device time, as fn itself started CUDA in it, and it is not among the "
        r"warm-up runs \(warmup=0\); give more of these, or start CUDA before with "
        r"torch\.cuda\.init\(\)$"
    )
    with pytest.raises(RuntimeError, match=message):
        judge_samples(samples("host_only", "ok"), 0, report("cuda"), True)


def test_a_run_without_room_is_an_error(cuda: Simulated, simulated: SimulatedMachine) -> None:
    message = "^run 2048 has no device time, its status is 'dropped': there was no room to keep it"
    with pytest.raises(RuntimeError, match=message):
        fasttime.measure(simulated.work, 1, MS, warmup=1, repeat=2100)
    assert pool_is_whole()

# SPDX-License-Identifier: BSD-3-Clause
"""The event method, on the simulated runtime."""

from __future__ import annotations

import pytest
from leftovers import pool_is_whole
from scripted_loop import ScriptedLoop, machine
from simulated_cuda import Simulated

import fasttime
from fasttime.measuring.doubts import judge_samples
from fasttime.sample import Sample, Status

MS = 1_000_000  # in ns


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ScriptedLoop:
    made = ScriptedLoop()
    made.install(monkeypatch)
    return made


def test_events_read_the_device_time_of_each_run(cuda: Simulated, script: ScriptedLoop) -> None:
    durations = iter(range(1, 7))

    def fn() -> None:
        cuda.advance(MS // 4)
        cuda.enqueue(0, next(durations) * MS)

    found = fasttime.measure(fn, warmup=2, repeat=6)
    assert found.times == pytest.approx([3e-3, 4e-3, 5e-3, 6e-3], rel=1e-6)
    # The device stands idle before the first run's work, and in that run alone.
    assert found.warmup_times == pytest.approx([1.25e-3, 2e-3], rel=1e-6)
    assert found.host_times == pytest.approx([0.25e-3] * 4, rel=1e-6)
    assert found.warnings == ()


def test_events_follow_a_callable_that_changes_streams(
    cuda: Simulated, script: ScriptedLoop
) -> None:
    slow, quick = cuda.create_stream(), cuda.create_stream()
    cuda.enqueue(slow, 100 * MS)
    runs = iter(range(4))

    def fn() -> None:  # the next run's stream is current when that run begins
        run = next(runs)
        cuda.advance(1000)
        cuda.enqueue(quick if run % 2 else slow, (run + 1) * MS)
        cuda.set_current_stream(slow if run % 2 else quick)

    cuda.set_current_stream(slow)
    found = fasttime.measure(fn, warmup=0, repeat=4)
    assert found.times[2:] == pytest.approx([3e-3, 4e-3], rel=1e-6)


def test_events_add_no_wait_between_the_runs(
    cuda: Simulated, script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def let_go() -> None:
        script.log.append("wait")
        if script.log.count("wait") == 2:
            cuda.release(0)

    def fn() -> None:
        script.log.append("run")
        cuda.advance(1000)
        cuda.enqueue(0, 3 * MS)

    monkeypatch.setattr(machine, "synchronize", let_go)
    cuda.hold(0)
    found = fasttime.measure(fn, warmup=5, repeat=50)
    assert script.log == ["wait", *["run"] * 50, "wait"]
    assert found.times == pytest.approx([3e-3] * 45, rel=1e-6)
    waits = ("cudaEventSynchronize", "cudaStreamSynchronize", "cudaDeviceSynchronize")
    assert [cuda.calls(function) for function in waits] == [0, 0, 0]


def test_every_run_has_two_events_of_its_own(cuda: Simulated, script: ScriptedLoop) -> None:
    fasttime.measure(lambda: None, warmup=0, repeat=40)  # sets up the clock and the lane
    before = cuda.calls("cudaEventRecord")
    fasttime.measure(lambda: None, warmup=0, repeat=100)
    assert cuda.calls("cudaEventRecord") - before in (200, 201)  # one may place the clock anew


def test_events_go_back_to_the_pool(cuda: Simulated, script: ScriptedLoop) -> None:
    fasttime.measure(lambda: cuda.enqueue(0, MS), warmup=0, repeat=100)
    assert pool_is_whole()


def test_measuring_works_while_the_default_recorder_is_off(
    cuda: Simulated, script: ScriptedLoop
) -> None:
    fasttime.disable()
    try:
        found = fasttime.measure(lambda: cuda.enqueue(0, MS), warmup=0, repeat=1)
    finally:
        fasttime.enable()
    assert found.mean == pytest.approx(1e-3)


def test_a_run_that_was_captured_is_an_error(cuda: Simulated, script: ScriptedLoop) -> None:
    stream = cuda.create_stream()
    cuda.set_current_stream(stream)
    runs = iter(range(4))

    def fn() -> None:
        cuda.advance(1000)
        if next(runs) == 2:
            cuda.begin_capture(stream)

    message = (
        r"^run 2 has no device time, its status is 'captured': a CUDA graph was being captured; "
        r"call measure\(\) outside of captures$"
    )
    with pytest.raises(RuntimeError, match=message):
        fasttime.measure(fn, warmup=1, repeat=4)
    assert cuda.capture_alive(stream)
    cuda.end_capture(stream)
    assert len(fasttime.measure(lambda: None, warmup=1, repeat=4)) == 3


def test_a_run_that_failed_is_an_error_with_cuda_s_own_words(
    cuda: Simulated, script: ScriptedLoop
) -> None:
    cuda.fail("cudaEventRecord", 400, after=5)
    with pytest.raises(RuntimeError, match=r"its status is 'failed': cudaEventRecord answered 400"):
        fasttime.measure(lambda: None, warmup=1, repeat=10)
    assert len(fasttime.measure(lambda: None, warmup=1, repeat=4)) == 3
    assert pool_is_whole()


def test_a_run_without_room_is_an_error(
    cuda: Simulated, script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda.hold(0)
    waits = iter([lambda: None, lambda: cuda.release(0)])
    monkeypatch.setattr(machine, "synchronize", lambda: next(waits)())
    message = "^run 2048 has no device time, its status is 'dropped': there was no room to keep it"
    with pytest.raises(RuntimeError, match=message):
        fasttime.measure(lambda: cuda.advance(1000), warmup=1, repeat=2100)


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


def test_a_warm_up_run_in_which_cuda_started_leaves_a_doubt() -> None:
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

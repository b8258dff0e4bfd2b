# SPDX-License-Identifier: BSD-3-Clause
"""`measure` and the three methods, on a scripted clock and on the simulated runtime."""

from __future__ import annotations

import doctest
import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from leftovers import pool_is_whole
from scripted_loop import ScriptedLoop, loops
from simulated_cuda import Simulated, run_under_simulation, torch_has_cuda_build

import fasttime
from fasttime.doubts import judge_naive, judge_samples
from fasttime.sample import Sample, Status

MS = 1_000_000  # in ns
METHODS = ("naive", "sync", "event")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ScriptedLoop:
    made = ScriptedLoop()
    made.install(monkeypatch)
    return made


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [doubt.kind for doubt in measurement.warnings]


# --- the loop ---


@pytest.mark.parametrize("method", METHODS)
def test_the_first_runs_are_ignored_and_the_others_kept(method: Any) -> None:
    calls: list[int] = []
    found = fasttime.measure(lambda: calls.append(0), method=method, warmup=3, repeat=10)
    assert len(calls) == 10
    assert (len(found), len(found.warmup_times), len(found.host_times)) == (7, 3, 7)
    assert (found.method, found.warmup, found.repeat) == (method, 3, 10)


def test_the_defaults_are_fifty_event_runs_less_five() -> None:
    found = fasttime.measure(lambda: None)
    assert (found.method, len(found.warmup_times), len(found)) == ("event", 5, 45)


def test_arguments_reach_the_callable() -> None:
    seen: list[object] = []

    def fn(*args: object, **kwargs: object) -> None:
        seen.append((args, kwargs))

    fasttime.measure(fn, 1, 2, warmup=0, repeat=1, fn=3)
    assert seen == [((1, 2), {"fn": 3})]


class Module:
    def __call__(self) -> None: ...


def named() -> None: ...


@pytest.mark.parametrize(
    ("fn", "label"),
    [
        (named, "named"),
        (lambda: None, "<lambda>"),
        (Module(), "Module"),
        (functools.partial(functools.partial(named)), "named"),
    ],
)
def test_the_label_is_the_name_of_the_callable_or_of_its_type(
    fn: Callable[[], None], label: str
) -> None:
    assert fasttime.measure(fn, warmup=0, repeat=1).label == label


# --- naive and sync, on a scripted clock ---


def test_naive_reads_the_host_alone_and_waits_at_the_ends_only(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 1.0, method="naive", warmup=1, repeat=4)
    assert found.times.tolist() == [0.25] * 3
    assert found.warmup_times.tolist() == [0.25]
    assert found.host_times.tolist() == [0.25] * 3
    assert found.loop_time == 4.25
    assert found.device == "cuda:0 Scripted"
    assert script.log == ["wait", "run", "run", "run", "run", "wait"]


def test_sync_reads_host_and_device_of_each_run_and_waits_around_it(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 1.0, method="sync", warmup=1, repeat=3)
    assert found.times.tolist() == [1.25] * 2
    assert found.host_times.tolist() == [0.25] * 2
    assert found.loop_time == 3.75
    assert found.warnings == ()
    assert script.log == ["wait", *(["wait", "run", "wait"] * 3)]


def test_sync_waits_before_it_reads_its_first_clock(script: ScriptedLoop) -> None:
    script.done = 8.0  # work from before, which is not to be billed to the callable
    found = fasttime.measure(script.work, 0.25, 1.0, method="sync", warmup=0, repeat=1)
    assert found.times.tolist() == [1.25]
    assert found.loop_time == 1.25


def test_naive_says_that_it_measured_queueing_only(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 1.0, method="naive", warmup=2, repeat=10)
    assert found.warnings == (
        (
            "queued_only",
            "wrong by -75.0 %, as it measured how long the host took to queue the work: the host "
            "read 250.0 ms a run, the device took 1.000 s, and had 7.750 s of work left at the end",
        ),
    )


def test_naive_says_that_a_full_launch_queue_made_it_right_by_accident(
    script: ScriptedLoop,
) -> None:
    script.queue_limit = 2.0
    found = fasttime.measure(script.work, 0.25, 1.0, method="naive", warmup=5, repeat=20)
    assert found.median == 1.0
    assert found.warnings == (
        (
            "launch_queue_full",
            "right by accident, as the launch queue was full and held the host back: the host read "
            "1.000 s a run, the device took 1.000 s, and had 2.000 s of work left at the end",
        ),
    )


def test_naive_says_that_the_host_was_the_bottleneck(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 1.0, 0.03125, method="naive", warmup=2, repeat=10)
    assert found.warnings == (
        (
            "host_bound",
            "right, as the device kept up: the host is the bottleneck, or the callable waits for "
            "the device itself: the host read 1.000 s a run, the device took 1.000 s, and had "
            "31.25 ms of work left at the end",
        ),
    )


def test_naive_is_unclear_where_what_is_left_is_less_than_a_run(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 1.0, 0.5, method="naive", warmup=2, repeat=10)
    assert kinds(found) == ["unclear"]
    assert found.warnings[0].message.startswith("a full launch queue, a wait inside the callable")


def test_naive_is_unclear_where_hardly_anything_was_to_be_done() -> None:
    doubt = judge_naive(5e-6, device_time=8e-6, backlog=10e-6)
    assert doubt == (
        "unclear",
        "too little work to tell the host's part from the device's: the host read 5.000 µs a run, "
        "the device took 8.000 µs, and had 10.00 µs of work left at the end",
    )


def test_naive_compares_with_the_device_s_kept_runs_only(script: ScriptedLoop) -> None:
    durations = iter([64.0, 1.0, 1.0])  # the first call is a cold one
    found = fasttime.measure(
        lambda: script.work(0.25, next(durations)), method="naive", warmup=1, repeat=3
    )
    assert "the device took 1.000 s" in found.warnings[0].message


@pytest.mark.parametrize(
    ("starts_in", "kind"), [(0, "queued_only"), (1, "queued_only"), (2, "cuda_started")]
)
def test_naive_checks_itself_where_cuda_was_started_in_the_warm_up(
    script: ScriptedLoop, starts_in: int, kind: str
) -> None:
    script.cuda_is_up = False
    runs = iter(range(6))

    def fn() -> None:
        script.cuda_is_up = script.cuda_is_up or next(runs) == starts_in
        script.work(0.25, 1.0)

    found = fasttime.measure(fn, method="naive", warmup=2, repeat=6)
    assert kinds(found) == [kind]
    assert found.device == "cuda:0 Scripted"


def test_naive_says_where_it_could_not_be_checked(script: ScriptedLoop) -> None:
    script.cuda_is_up = False

    def fn() -> None:
        script.cuda_is_up = True

    found = fasttime.measure(fn, method="naive", warmup=0, repeat=2)
    assert found.warnings == (
        ("cuda_started", "not checked against the device, as fn itself started CUDA"),
    )


@pytest.mark.parametrize("method", METHODS)
def test_on_the_cpu_each_method_says_that_all_agree(script: ScriptedLoop, method: Any) -> None:
    script.cuda_is_up = False
    found = fasttime.measure(script.work, 0.25, 0.0, method=method, warmup=1, repeat=4)
    assert found.device == "cpu"
    assert found.warnings == (
        (
            "cpu",
            "CUDA was not in use; on the CPU the work is done when the call returns, so naive, "
            "sync and event agree by nature",
        ),
    )
    if method != "event":  # whose clock is the recorder's
        assert found.times.tolist() == [0.25] * 3
    assert found.host_times.tolist() == found.times.tolist()


# --- events, on the simulated runtime ---


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

    monkeypatch.setattr(loops, "_synchronize", let_go)
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
    monkeypatch.setattr(loops, "_synchronize", lambda: next(waits)())
    message = "^run 2048 has no device time, its status is 'dropped': there was no room to keep it"
    with pytest.raises(RuntimeError, match=message):
        fasttime.measure(lambda: cuda.advance(1000), warmup=1, repeat=2100)


def test_a_device_that_cannot_be_timed_is_an_error_and_no_silent_fallback(
    script: ScriptedLoop,
) -> None:
    with pytest.raises(RuntimeError, match="^CUDA is up, but fasttime cannot time with it: ") as got:
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


# --- under the real torch ---


@pytest.mark.skipif(not torch_has_cuda_build(), reason="torch here is a CPU build")
def test_measure_stands_on_torch_s_own_cuda(simulated_library: Any) -> None:
    done = run_under_simulation(
        """
import fasttime
import torch
from simulated_cuda import Simulated

sim = Simulated.preloaded()
assert not torch.cuda.is_initialized()
assert fasttime.measure(lambda: None, warmup=0, repeat=2).warnings[0].kind == "cpu"
assert not torch.cuda.is_initialized(), "measure() started CUDA"

def fn():
    torch.ones(10, device="cuda")
    torch.cuda.synchronize()
    sim.enqueue(0, 2_000_000)

try:
    fasttime.measure(fn, warmup=0, repeat=2)
except RuntimeError as error:
    assert "run 0 has no device time, as fn itself started CUDA" in str(error), error
else:
    raise AssertionError("no error")

x = torch.ones(1000, device="cuda")
sim.set_launch_time(2_000_000)
found = fasttime.measure(torch.add, x, x, warmup=2, repeat=10)
assert found.times.round(9).tolist() == [0.002] * 8, found
assert found.device == "cuda:0 Simulated" and found.warnings == (), found
before = sim.calls("cudaDeviceSynchronize")
fasttime.measure(torch.add, x, x, method="sync", warmup=0, repeat=10)
assert sim.calls("cudaDeviceSynchronize") - before == 21
naive = fasttime.measure(torch.add, x, x, method="naive")
assert "the device took 2.000 ms" in naive.warnings[0].message, naive

graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
with torch.cuda.graph(graph, stream=stream):
    try:
        fasttime.measure(torch.add, x, x)
    except RuntimeError as error:
        assert "while a CUDA graph is being captured" in str(error), error
    else:
        raise AssertionError("no error")
    y = x + x
graph.replay()
torch.cuda.synchronize()
""",
        simulated_library,
    )
    assert done.returncode == 0, done.stderr


# --- bad input, and callables that raise ---


@pytest.mark.parametrize("method", METHODS)
def test_what_the_callable_raises_passes_unchanged_and_nothing_is_lost(
    cuda: Simulated, script: ScriptedLoop, method: Any
) -> None:
    error = OSError("in run 37")
    runs = iter(range(50))

    def fn() -> None:
        cuda.enqueue(0, 1000)
        cuda.advance(2000)
        if next(runs) == 37:
            raise error

    with pytest.raises(OSError, match="^in run 37$") as caught:
        fasttime.measure(fn, method=method)
    assert caught.value is error
    assert pool_is_whole()  # though the traceback keeps the frames
    assert len(fasttime.measure(lambda: None, method=method, warmup=1, repeat=3)) == 2


def test_something_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^measure\(\) takes a callable, got 3 of type int$"):
        fasttime.measure(3)  # type: ignore[arg-type]


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    message = "^unknown method 'events'; there are naive, sync, event$"
    with pytest.raises(ValueError, match=message):
        fasttime.measure(print, method="events")  # type: ignore[arg-type]


@pytest.mark.parametrize(("warmup", "repeat"), [(-1, 10), (5, 5), (7, 5), (0, 0)])
def test_a_number_of_runs_out_of_range_is_refused(warmup: int, repeat: int) -> None:
    message = (
        "^warmup must be at least 0 and repeat greater than warmup, "
        f"got warmup={warmup}, repeat={repeat}$"
    )
    with pytest.raises(ValueError, match=message):
        fasttime.measure(print, warmup=warmup, repeat=repeat)


@pytest.mark.parametrize(("warmup", "repeat"), [(1.0, 10), (1, "10"), (True, 10), (0, True)])
def test_a_number_of_runs_that_is_no_int_is_refused(warmup: Any, repeat: Any) -> None:
    message = f"^warmup and repeat must be ints, got warmup={warmup!r}, repeat={repeat!r}$"
    with pytest.raises(TypeError, match=message):
        fasttime.measure(print, warmup=warmup, repeat=repeat)


def test_more_runs_than_samples_can_be_kept_are_refused_before_the_first() -> None:
    calls: list[int] = []
    with pytest.raises(ValueError, match="1,000,000"):
        fasttime.measure(lambda: calls.append(0), repeat=1_000_001)
    assert calls == []


def test_measuring_inside_a_capture_is_refused(script: ScriptedLoop) -> None:
    script.is_capturing = True
    message = (
        r"^measure\(\) cannot wait for the device while a CUDA graph is being captured on the "
        r"current stream; call it outside of the capture$"
    )
    with pytest.raises(RuntimeError, match=message):
        fasttime.measure(print)
    assert script.log == []


@pytest.mark.parametrize("module", ["measure", "compare", "units"])
def test_the_examples_in_the_documentation_run(module: str) -> None:
    done = doctest.testmod(importlib.import_module(f"fasttime.{module}"))
    assert done.attempted > 0
    assert done.failed == 0


def test_times_are_arrays_of_float64(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 0.0, method="sync", warmup=1, repeat=2)
    for values in (found.times, found.warmup_times, found.host_times):
        assert isinstance(values, np.ndarray)
        assert (values.dtype, values.ndim) == (np.float64, 1)

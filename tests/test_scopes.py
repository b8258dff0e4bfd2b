# SPDX-License-Identifier: BSD-3-Clause
"""Scopes on the simulated runtime: what they record, where, and what they read back."""

from __future__ import annotations

import copy
import threading
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
import torch
from leftovers import pool_is_whole
from private_simulation import private_simulation, rebind
from simulated_cuda import Simulated

from fasttime import Recorder, _native

MS = 1_000_000


def warm_up(cuda: Simulated, recorder: Recorder) -> int:
    """Let the recorder set up its lane and clock; return how many events it has recorded."""
    with recorder.scope("warm-up"):
        cuda.advance(1000)
    cuda.advance(1000)
    recorder.report()
    recorder.reset()
    return cuda.calls("cudaEventRecord")


def test_device_time_is_of_the_work_inside(cuda: Simulated, recorder: Recorder) -> None:
    cuda.enqueue(0, 5 * MS)
    with recorder.scope("a"):
        cuda.enqueue(0, 3 * MS)
    cuda.enqueue(0, 7 * MS)
    cuda.advance(20 * MS)
    site = recorder.report()["a"]
    assert site.device is not None
    assert site.device.mean == 3e-3
    assert site.counts == {"ok": 1, "host_only": 0, "dropped": 0, "captured": 0, "failed": 0}


def test_host_time_is_the_time_of_the_body(cuda: Simulated, recorder: Recorder) -> None:
    cuda.set_host_cost(1000)  # per record
    with recorder.scope("a"):
        cuda.advance(2 * MS)
    assert recorder.report()["a"].host.mean == 2e-3


def test_work_on_another_stream_is_not_seen(cuda: Simulated, recorder: Recorder) -> None:
    mine, other = cuda.create_stream(), cuda.create_stream()
    cuda.set_current_stream(mine)
    with recorder.scope("a"):
        cuda.enqueue(other, 3 * MS)
    cuda.advance(20 * MS)
    assert recorder.report()["a"].device.mean == 0.0


def test_a_scope_records_two_events_and_no_more(cuda: Simulated, recorder: Recorder) -> None:
    before = warm_up(cuda, recorder)
    for _ in range(100):
        with recorder.scope("a"):
            pass
    assert cuda.calls("cudaEventRecord") - before == 200


def test_reading_asks_for_elapsed_time_alone(cuda: Simulated, recorder: Recorder) -> None:
    for _ in range(100):
        with recorder.scope("a"):
            cuda.enqueue(0, MS)
        cuda.advance(MS // 2)
        recorder.report()
    for function in ("cudaEventQuery", "cudaEventSynchronize", "cudaStreamQuery"):
        assert cuda.calls(function) == 0
    assert cuda.calls("cudaStreamSynchronize") == 0
    assert cuda.calls("cudaDeviceSynchronize") == 0


def test_nothing_waits_while_the_stream_is_held(cuda: Simulated, recorder: Recorder) -> None:
    cuda.hold(0)
    for _ in range(300):
        with recorder.scope("a"):
            pass
    report = recorder.report()
    assert report.pending == 300
    assert report.sites == ()
    cuda.release(0)
    cuda.advance(1)
    assert recorder.report()["a"].count == 300


def test_the_end_uses_the_stream_of_the_begin(cuda: Simulated, recorder: Recorder) -> None:
    first, second = cuda.create_stream(device=0), cuda.create_stream(device=1)
    cuda.set_current_stream(first, device=0)
    cuda.set_current_stream(second, device=1)
    with recorder.scope("a"):
        cuda.enqueue(first, 3 * MS)
        cuda.set_device(1)
        cuda.enqueue(second, 50 * MS)
    cuda.advance(100 * MS)
    assert recorder.report()["a"].device.mean == 3e-3
    assert cuda.device() == 1
    cuda.set_device(0)


def test_a_default_stream_scope_ends_elsewhere(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("a"):
        cuda.enqueue(0, 3 * MS)
        cuda.set_device(1)
        with recorder.scope("b"):
            cuda.enqueue(0, 5 * MS)
    assert cuda.device() == 1
    cuda.advance(100 * MS)
    report = recorder.report()
    assert report["a"].device.mean == 3e-3
    assert report["a/b"].device.mean == 5e-3
    cuda.set_device(0)


def test_a_slow_stream_delays_no_other_reading(cuda: Simulated, recorder: Recorder) -> None:
    slow, fast = cuda.create_stream(), cuda.create_stream()
    cuda.hold(slow)
    with recorder.scope("slow", stream=slow):
        pass
    with recorder.scope("fast", stream=fast):
        pass
    cuda.advance(MS)
    report = recorder.report()
    assert [site.path for site in report.sites] == ["fast"]
    assert report.pending == 1
    cuda.release(slow)
    recorder.report(wait=True)


def test_stream_argument_overrides_the_current_stream(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.scope("a", stream=stream):
        cuda.enqueue(stream, 4 * MS)
    cuda.advance(10 * MS)
    assert recorder.report()["a"].device.mean == 4e-3


def test_a_stream_object_brings_its_device(cuda: Simulated, recorder: Recorder) -> None:
    class Stream:
        device_index = 1
        cuda_stream = 0

    with recorder.scope("a", stream=Stream()):  # type: ignore[arg-type]
        with cuda.on_device(1):
            cuda.enqueue(0, 4 * MS)
    cuda.advance(10 * MS)
    assert recorder.report()["a"].device.mean == 4e-3


@pytest.mark.parametrize("stream", ["cuda:0", 1.5, True, object(), -1])
def test_a_stream_of_another_kind_is_refused(
    cuda: Simulated, recorder: Recorder, stream: object
) -> None:
    with pytest.raises(TypeError, match=r"stream must be a torch\.cuda\.Stream"):
        recorder.scope("a", stream=stream)  # type: ignore[arg-type]
    with recorder.scope("a"):
        pass


def test_begin_and_end_make_a_scope(cuda: Simulated, recorder: Recorder) -> None:
    token = recorder.begin("a")
    cuda.enqueue(0, 3 * MS)
    with recorder.scope("b"):
        pass
    recorder.end(token)
    cuda.advance(10 * MS)
    report = recorder.report()
    assert report["a"].device.mean == 3e-3
    assert report["a/b"].count == 1


def test_a_token_ends_once(cuda: Simulated, recorder: Recorder) -> None:
    token = recorder.begin("a")
    recorder.end(token)
    with pytest.raises(RuntimeError, match="scope 'a' is not open"):
        recorder.end(token)
    cuda.advance(1)
    assert recorder.report()["a"].count == 1


def test_end_takes_tokens_only(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match=r"end\(\) takes the token that begin\(\) returned"):
        recorder.end("a")  # type: ignore[arg-type]


def test_exit_without_enter_is_an_error(recorder: Recorder) -> None:
    with pytest.raises(RuntimeError, match=r"call end\(\) once per"):
        recorder.scope("a").__exit__(None, None, None)


@pytest.mark.parametrize("name", [None, 3, b"a", ["a"]])
def test_a_name_that_is_not_a_str_is_refused(recorder: Recorder, name: object) -> None:
    with pytest.raises(TypeError, match="name of a scope or phase must be a str"):
        recorder.scope(name)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="name of a scope or phase must be a str"):
        recorder.begin(name)  # type: ignore[arg-type]


def test_an_empty_name_is_refused(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        recorder.scope("")


def test_arguments_are_checked_by_name(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match="takes one name, got 0"):
        recorder.scope()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes one name, got 2"):
        recorder.scope("a", "b")  # type: ignore[misc]
    with pytest.raises(TypeError, match="unexpected argument 'steam'"):
        recorder.scope("a", steam=None)  # type: ignore[call-arg]
    with recorder.scope(name="a", stream=None):
        pass


def test_a_meaningless_call_is_refused(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match=r"got a call with 2 arguments; write `with scope"):
        recorder.scope("a")(1, 2)  # type: ignore[call-arg,type-var]
    with pytest.raises(TypeError, match="to time a block, write `with`"):
        recorder.scope("a")(3)  # type: ignore[type-var]


def test_exit_takes_three_arguments(recorder: Recorder) -> None:
    with recorder.scope("a") as scope:
        message = (
            r"takes an exception's type, value and traceback, got 0 arguments.*\(None, None, None"
        )
        with pytest.raises(TypeError, match=message):
            scope.__exit__()  # type: ignore[call-arg]
        assert recorder.report().open == 1
    assert recorder.report()["a"].count == 1


def test_enter_takes_no_arguments(recorder: Recorder) -> None:
    scope = recorder.scope("a")
    with pytest.raises(TypeError, match=r"takes no arguments, got 3|got a call with 3 arguments"):
        scope.__enter__(None, None, None)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes no arguments, got 1"):
        type(scope).__enter__(scope, None)  # type: ignore[call-arg]
    assert recorder.report().open == 0


def test_a_scope_is_not_a_forward_hook(recorder: Recorder) -> None:
    model = torch.nn.Linear(1, 1)
    with recorder.scope("a") as scope:
        model.register_forward_hook(scope)  # called with three arguments
        with pytest.raises(TypeError, match="got a call with 3 arguments"):
            model(torch.zeros(1))
        assert recorder.report().open == 1


def test_methods_may_be_called_by_their_type(recorder: Recorder) -> None:
    scope = recorder.scope("a")
    kind = type(scope)
    kind.__enter__(scope)
    kind.__exit__(scope, None, None, None)
    assert recorder.report()["a"].count == 1
    for method in (kind.__enter__, kind.__exit__):
        with pytest.raises(TypeError, match=r"need a fasttime\._C\.Scope as first argument"):
            method(3)  # type: ignore[call-arg,arg-type]
        assert method.__get__(3) is not None  # type: ignore[attr-defined]


def test_an_exit_method_keeps_its_scope(recorder: Recorder) -> None:
    scope = recorder.scope("a").__enter__()
    methods = [scope.__exit__ for _ in range(3)]
    del scope
    assert recorder.report().open == 1
    methods.pop()(None, None, None)
    methods.clear()
    assert recorder.report()["a"].counts["dropped"] == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, SystemExit, RuntimeError])
def test_errors_of_a_stream_pass_through(recorder: Recorder, error: type[BaseException]) -> None:
    class Stream:
        device_index = 0

        @property
        def cuda_stream(self) -> int:
            raise error

    with pytest.raises(error):
        recorder.scope("a", stream=Stream())  # type: ignore[arg-type]


def test_a_keyword_need_not_be_interned(recorder: Recorder) -> None:
    keyword = "".join(["str", "eam"])
    with recorder.scope("a", **{keyword: None}), recorder.scope(**{"".join(["na", "me"]): "b"}):
        pass
    assert [site.path for site in recorder.report().walk()] == ["a", "a/b"]


def test_the_end_of_a_mark_counts_as_outside(cuda: Simulated) -> None:
    recorder = Recorder(keep_samples=10)

    def end(token: str) -> None:
        cuda.advance(3000)
        cuda.enqueue(0, 5 * MS)

    _native.set_marks(recorder.scope, lambda name: name, end)
    for name in ("a", "b"):
        with recorder.scope(name):
            cuda.advance(10_000)
    _native.set_marks(recorder.scope, None, None)
    cuda.advance(100 * MS)
    recorder.report(wait=True)
    (sample,) = recorder.samples("b")
    assert sample.device_time == 0  # its body put nothing on the stream


def test_an_exception_passes_and_the_scope_counts(cuda: Simulated, recorder: Recorder) -> None:
    error = ValueError("theirs")
    with pytest.raises(ValueError, match="theirs") as caught, recorder.scope("a"):
        cuda.enqueue(0, MS)
        raise error
    assert caught.value is error
    assert error.__context__ is None
    cuda.advance(10 * MS)
    assert recorder.report()["a"].device.count == 1


def test_a_scope_object_is_re_entrant(cuda: Simulated, recorder: Recorder) -> None:
    scope = recorder.scope("a")
    with scope:
        with scope:
            cuda.enqueue(0, 2 * MS)
        cuda.enqueue(0, MS)
    cuda.advance(10 * MS)
    report = recorder.report()
    assert report["a"].device.mean == 3e-3
    assert report["a/a"].device.mean == 2e-3


def test_exit_stack_works(cuda: Simulated, recorder: Recorder) -> None:
    with ExitStack() as stack:
        stack.enter_context(recorder.scope("a"))
        stack.enter_context(recorder.scope("b"))
        cuda.enqueue(0, MS)
    cuda.advance(10 * MS)
    assert recorder.report()["a/b"].device.mean == 1e-3


def test_a_scope_left_open_is_counted_as_dropped(cuda: Simulated) -> None:
    recorder = Recorder()
    token = recorder.begin("a")
    assert recorder.report().open == 1
    del token
    cuda.advance(1)
    report = recorder.report()
    assert (report.open, report.dropped) == (0, 1)
    assert report["a"].host.count == 0
    with recorder.scope("b"):
        pass
    cuda.advance(1)
    assert [site.path for site in recorder.report().sites] == ["a", "b"]


def test_threads_on_streams_of_their_own(cuda: Simulated, recorder: Recorder) -> None:
    def work(duration: int) -> None:
        stream = cuda.create_stream()
        cuda.set_current_stream(stream)
        for _ in range(50):
            with recorder.scope(f"thread {duration}"):
                cuda.enqueue(stream, duration)

    threads = [threading.Thread(target=work, args=(n * MS,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuda.advance(1000 * MS)
    report = recorder.report()
    for n in (1, 2, 3):
        device = report[f"thread {n * MS}"].device
        assert (device.count, device.min, device.max) == (50, n * 1e-3, n * 1e-3)


def test_events_are_made_early_and_reused(cuda: Simulated, recorder: Recorder) -> None:
    for _ in range(1000):
        with recorder.scope("a"):
            pass
        cuda.advance(1)
    warm = cuda.calls("cudaEventCreateWithFlags")
    for _ in range(1000):
        with recorder.scope("a"):
            pass
        cuda.advance(1)
    assert cuda.calls("cudaEventCreateWithFlags") == warm
    assert cuda.calls("cudaEventDestroy") == 0


def test_a_recorder_gives_its_events_back(cuda: Simulated) -> None:
    recorder = Recorder()
    for _ in range(100):
        with recorder.scope("a"):
            pass
    cuda.advance(1)
    recorder.report()
    del recorder
    assert pool_is_whole(0)


def test_events_in_flight_outlive_their_recorder(cuda: Simulated) -> None:
    recorder = Recorder()
    cuda.hold(0)
    for _ in range(100):
        with recorder.scope("a"):
            pass
    del recorder
    stream = cuda.create_stream()
    other = Recorder()
    for _ in range(300):  # more than the pool has free
        with other.scope("b", stream=stream):
            pass
    cuda.release(0)
    cuda.advance(1)
    assert other.report(wait=True)["b"].count == 300
    assert cuda.rerecorded_in_flight == 0


def test_idle_streams_leave_events_for_others(simulated_library: Path, tmp_path: Path) -> None:
    with private_simulation(simulated_library, tmp_path) as cuda:
        rebind(cuda)
        first, second = Recorder(share_boundaries=False), Recorder(share_boundaries=False)
        for _ in range(128):  # one batch of events each, so the pool is used up
            with first.scope("a", stream=cuda.create_stream()):
                pass
        cuda.advance(1)
        assert first.report().pending == 0
        for _ in range(100):
            with second.scope("b"):
                pass
        cuda.advance(1)
        assert second.report()["b"].counts["ok"] == 100


def test_the_per_thread_default_stream_is_refused(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("a", stream=2):
        pass
    report = recorder.report()
    assert report["a"].counts["failed"] == 1
    assert "use a torch.cuda.Stream()" in report.last_failure


def test_a_full_lane_drops_the_newest_scope(cuda: Simulated, recorder: Recorder) -> None:
    cuda.hold(0)
    for _ in range(2048 + 10):
        with recorder.scope("a"):
            pass
    report = recorder.report()
    assert (report.pending, report.dropped) == (2048, 10)
    cuda.release(0)
    cuda.advance(1)
    report = recorder.report()
    assert report["a"].counts["ok"] == 2048
    with recorder.scope("a"):
        pass
    cuda.advance(1)
    assert recorder.report()["a"].counts["ok"] == 2049


def test_close_boundaries_share_an_event(cuda: Simulated) -> None:
    recorder = Recorder(keep_samples=10)
    before = warm_up(cuda, recorder)
    with recorder.scope("outer"):
        with recorder.scope("inner"):
            cuda.advance(1000)  # longer than the share window
            cuda.enqueue(0, 3 * MS)
        cuda.advance(1000)
    records = cuda.calls("cudaEventRecord") - before
    cuda.advance(10 * MS)
    report = recorder.report()
    assert records == 3  # inner begins at outer's event; the ends lie apart
    assert report["outer"].device.mean == pytest.approx(3.001e-3)
    assert report["outer/inner"].device.mean == pytest.approx(3.001e-3)
    assert [sample.shares_boundary for sample in recorder.samples("outer/inner")] == [True]
    assert [sample.shares_boundary for sample in recorder.samples("outer")] == [False]
    del recorder
    assert pool_is_whole(0)


def test_a_scope_never_ends_on_its_own_begin(cuda: Simulated) -> None:
    recorder = Recorder()
    with recorder.scope("a"):
        cuda.enqueue(0, 3 * MS)  # no host time passes
    cuda.advance(10 * MS)
    assert recorder.report()["a"].device.mean == 3e-3


def test_a_lent_boundary_does_not_renew_the_window(cuda: Simulated) -> None:
    recorder = Recorder()
    before = warm_up(cuda, recorder)
    with recorder.scope("a"):
        cuda.advance(200)
        with recorder.scope("b"):  # on a's event
            cuda.advance(200)
            with recorder.scope("c"):  # 400 ns after it: an event of its own
                cuda.advance(1000)
            cuda.advance(1000)
        cuda.advance(1000)
    assert cuda.calls("cudaEventRecord") - before == 5


def test_sharing_can_be_switched_off(cuda: Simulated) -> None:
    recorder = Recorder(share_boundaries=False)
    before = warm_up(cuda, recorder)
    with recorder.scope("a"), recorder.scope("b"):
        pass
    assert cuda.calls("cudaEventRecord") - before == 4


def test_a_disabled_scope_calls_nothing(cuda: Simulated, recorder: Recorder) -> None:
    recorder.disable()
    assert not recorder.enabled
    with recorder.scope("a"):
        pass
    recorder.end(recorder.begin("a"))
    assert cuda.calls("cudaEventRecord") == 0
    assert recorder.report().sites == ()
    recorder.enable()
    with recorder.scope("a"):
        pass
    cuda.advance(1)
    assert recorder.report()["a"].count == 1


def test_scopes_may_be_switched_while_open(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("a"):
        recorder.disable()
    with recorder.scope("b"):
        recorder.enable()
    cuda.advance(1)
    assert [site.path for site in recorder.report().sites] == ["a"]


def test_a_pass_begun_off_leaves_an_open_pass_alone(cuda: Simulated, recorder: Recorder) -> None:
    scope = recorder.scope("a")
    with scope:
        recorder.disable()
        with scope:
            pass
        recorder.enable()
        with scope:
            cuda.advance(1_000)
        cuda.advance(10_000)
    report = recorder.report()
    assert report["a/a"].host.total == pytest.approx(1e-6)
    assert report["a"].host.total == pytest.approx(11e-6)


class Visit:
    """A thread that enters a scope, and leaves it on request."""

    def __init__(self, scope: AbstractContextManager[object]) -> None:
        self._is_inside, self._may_leave = threading.Event(), threading.Event()
        self._scope = scope
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._is_inside.wait(30)

    def _run(self) -> None:
        with self._scope:
            self._is_inside.set()
            self._may_leave.wait(30)

    def leave(self) -> None:
        self._may_leave.set()
        self._thread.join()


def test_a_pass_begun_off_ends_no_other_pass(cuda: Simulated, recorder: Recorder) -> None:
    scope = recorder.scope("a")
    recorder.disable()
    early = Visit(scope)
    recorder.enable()
    timed = Visit(scope)
    cuda.advance(MS)
    early.leave()
    cuda.advance(10 * MS)
    timed.leave()
    report = recorder.report()
    assert (report["a"].count, report.open) == (1, 0)
    assert report["a"].host.mean == pytest.approx(11e-3)


def test_a_pass_begun_off_never_keeps_others_open(cuda: Simulated, recorder: Recorder) -> None:
    scope = recorder.scope("a")
    timed = Visit(scope)
    recorder.disable()
    untimed = Visit(scope)
    another = Visit(scope)
    cuda.advance(MS)
    timed.leave()
    cuda.advance(50 * MS)
    untimed.leave()
    recorder.enable()
    last = Visit(scope)
    cuda.advance(3 * MS)
    another.leave()
    last.leave()
    report = recorder.report()
    assert (report["a"].count, report.open) == (2, 0)
    assert (report["a"].host.min, report["a"].host.max) == pytest.approx((1e-3, 3e-3))


def test_a_pass_begun_off_need_not_end(cuda: Simulated, recorder: Recorder) -> None:
    scope = recorder.scope("a")
    scope.__enter__()
    recorder.disable()
    scope.__enter__()
    recorder.enable()
    del scope
    with recorder.scope("b"):
        pass
    cuda.advance(MS)
    report = recorder.report()
    assert {site.path: site.count for site in report.walk()} == {"a": 1, "b": 1}
    assert (report.dropped, report.open) == (1, 0)


def test_a_scope_object_outlives_its_recorder() -> None:
    scope = Recorder().scope("a")
    neighbours = [[].append for _ in range(2000)]  # at the address of the scope function
    decorated = scope(lambda: "done")
    assert decorated() == "done"
    assert len(neighbours) == 2000
    with scope:
        pass


def test_a_name_counts_under_each_parent(
    recorder: Recorder,
) -> None:
    for above in ("a", "b", "a", "a", "b"):
        with recorder.scope(above), recorder.scope("x"):
            pass
        with recorder.scope("x"):
            pass
    report = recorder.report()
    assert (report["a/x"].count, report["b/x"].count, report["x"].count) == (3, 2, 5)


def test_two_recorders_have_their_own_sites(recorder: Recorder) -> None:
    other = Recorder()
    for each in (recorder, other, recorder):
        with each.scope("a"), each.scope("x"):
            pass
    assert recorder.report()["a/x"].count == 2
    assert other.report()["a/x"].count == 1


def test_nanoseconds_around_minutes_are_exact(cuda: Simulated, recorder: Recorder) -> None:
    for ns in (1, 1_000_000_000_000, 1_000_000_000_004, 1_000_000_000_008):
        with recorder.scope("far" if ns > 1 else "near"):
            cuda.advance(ns)
    host = recorder.report()["far"].host
    assert host.std == pytest.approx(4e-9, rel=1e-9)
    assert host.mean == pytest.approx(1000.000000004, rel=1e-15)


def test_a_model_that_keeps_a_scope_can_be_copied(cuda: Simulated, recorder: Recorder) -> None:
    kept = [recorder.scope("a"), recorder]
    scope, copied = copy.deepcopy(kept)
    with scope:
        pass
    assert copied is recorder
    assert copy.copy(kept[0]) is kept[0]
    assert recorder.report()["a"].count == 1


def test_a_function_as_a_name_is_refused(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match=r'write @fasttime.scope\("name"\)'):
        recorder.scope(print)  # type: ignore[arg-type]

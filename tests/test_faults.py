# SPDX-License-Identifier: BSD-3-Clause
"""What happens when CUDA answers errors, captures graphs, or holds streams."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import binding
import pytest
from leftovers import pool_is_whole
from simulated_cuda import GLOBAL, RELAXED, THREAD_LOCAL, Simulated, in_thread

from fasttime import _C, Recorder

MS = 1_000_000
ILLEGAL_ADDRESS = 700
OUT_OF_MEMORY = 2
INVALID_HANDLE = 400


def keeping_the_gil(cuda: Simulated) -> ctypes.PyDLL:
    """Return the simulation with calls that keep the GIL."""
    lib = ctypes.PyDLL(str(cuda.path))
    for name in ("sim_hold", "sim_release"):
        getattr(lib, name).argtypes = (ctypes.c_void_p,)
    lib.sim_enqueue.argtypes = (ctypes.c_void_p, ctypes.c_int64)
    lib.sim_advance.argtypes = (ctypes.c_int64,)
    lib.fasttime_host_now_ns.restype = ctypes.c_int64
    return lib


@contextmanager
def no_switching() -> Iterator[None]:
    """Keep the interpreter from switching threads; threads may still release the GIL."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def let_go_by_a_thread(cuda: Simulated, stream: int) -> Iterator[threading.Event]:
    """Release the stream in another Python thread, once that thread gets the GIL."""
    may_start = threading.Event()

    def let_go() -> None:
        may_start.wait(30)
        cuda.release(stream)

    thread = threading.Thread(target=let_go)
    thread.start()
    yield may_start
    thread.join()


def scope_works(cuda: Simulated, recorder: Recorder) -> bool:
    with recorder.scope("after"):
        cuda.enqueue(0, MS)
    cuda.advance(2 * MS)
    return recorder.report()["after"].counts["ok"] == 1


@pytest.mark.parametrize(
    ("function", "after"),
    [
        ("cudaEventRecord", 0),
        ("cudaEventRecord", 1),
        ("cudaEventElapsedTime", 0),
        ("cudaEventElapsedTime", 1),
        ("cudaGetDevice", 0),
        ("aoti_torch_get_current_cuda_stream", 0),
        ("aoti_torch_get_current_cuda_stream", 1),
    ],
)
def test_a_failing_call_is_counted_and_survived(
    cuda: Simulated, recorder: Recorder, function: str, after: int
) -> None:
    with recorder.scope("before"):
        cuda.enqueue(0, MS)
    cuda.advance(2 * MS)
    assert recorder.report()["before"].counts["ok"] == 1
    cuda.fail(function, OUT_OF_MEMORY, after, 1)
    for _ in range(3):
        with recorder.scope("a"):
            pass
        cuda.advance(1)
        recorder.report()
        assert cuda.peek_error() == 0
    report = recorder.report()
    assert report["a"].counts["failed"] == 1
    assert report["before"].counts["ok"] == 1
    told = "torch could not say" if function.startswith("aoti") else f"{function} returned 2"
    assert report.last_failure.startswith(told)
    assert scope_works(cuda, recorder)


def test_an_event_that_cannot_be_made_fails_the_scope(cuda: Simulated) -> None:
    cuda.fail("cudaEventCreateWithFlags", OUT_OF_MEMORY, 0, 3)  # pool, clock, and the scope itself
    recorder = Recorder()
    with recorder.scope("a"):
        pass
    report = recorder.report()
    assert report["a"].counts["failed"] == 1
    assert "cudaEventCreateWithFlags returned 2 (cudaErrorMemoryAllocation" in report.last_failure
    assert any(
        "cudaEventCreateWithFlags returned 2" in warning.message for warning in report.warnings
    )
    assert scope_works(cuda, recorder)


def test_a_failed_end_waits_for_its_begin(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.scope("warm", stream=stream):
        pass
    cuda.hold(stream)
    token = recorder.begin("a", stream=stream)
    cuda.fail("cudaEventRecord", INVALID_HANDLE, 0, 1)
    recorder.end(token)
    assert recorder.report().pending == 2 - recorder.report()["warm"].count
    for _ in range(200):
        with recorder.scope("b"):
            pass
    cuda.release(stream)
    cuda.advance(1)
    assert recorder.report()["a"].counts["failed"] == 1


def test_an_error_of_other_code_is_left_alone(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("a"):
        pass
    cuda.lib.cudaSetDevice(99)
    theirs = cuda.peek_error()
    assert theirs != 0
    with recorder.scope("a", stream=cuda.create_stream()):
        cuda.hold(0)
        recorder.report()
    cuda.release(0)
    assert cuda.last_error() == theirs


def test_a_lost_device_is_reported_once(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("before"):
        cuda.enqueue(0, MS)
    cuda.advance(2 * MS)
    recorder.report()
    with recorder.scope("pending"):
        pass
    open_then = recorder.begin("open")
    cuda.set_sticky(ILLEGAL_ADDRESS)
    for _ in range(3):
        with recorder.scope("a"):
            pass
    recorder.end(open_then)
    report = recorder.report()
    assert report.backend == "host"
    assert "returned 700 (cudaErrorIllegalAddress" in report.backend_reason
    assert "the device is lost to this process" in " ".join(str(report).split())
    assert report["before"].counts["ok"] == 1
    assert report["pending"].counts["failed"] == 1
    assert report["open"].count == 1
    assert report.pending == 0
    calls = cuda.calls("cudaEventRecord")
    with recorder.scope("a"):
        pass
    assert cuda.calls("cudaEventRecord") == calls
    cuda.set_sticky(0)
    cuda.last_error()  # a sticky error cannot be cleared while it lasts


@pytest.mark.parametrize("mode", [GLOBAL, THREAD_LOCAL, RELAXED])
@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_scopes_never_destroy_a_capture(
    cuda: Simulated, recorder: Recorder, mode: int, blocking: bool, elsewhere: bool
) -> None:
    capturing = cuda.create_stream(blocking=blocking)
    other = cuda.create_stream()
    before = recorder.begin("begun before", stream=capturing)
    early = recorder.begin("default stream")
    cuda.begin_capture(capturing, mode)
    nodes = cuda.capture_nodes(capturing)

    def work() -> None:
        for _ in range(20):
            with recorder.scope("inside", stream=capturing):
                pass
            with recorder.scope("beside", stream=other):
                pass
            with recorder.scope("default"):
                pass
            recorder.report()
        recorder.report(wait=True)

    in_thread(work) if elsewhere else work()
    recorder.end(early)
    recorder.end(before)
    assert cuda.capture_alive(capturing)
    assert cuda.capture_nodes(capturing) == nodes
    code, _ = cuda.end_capture(capturing)
    assert code == 0
    cuda.advance(1)
    report = recorder.report()
    paths = {site.name: site for site in report.walk()}
    assert paths["inside"].counts["captured"] == 20
    assert paths["beside"].counts["ok"] == 20
    assert paths["begun before"].counts["captured"] == 1
    # A record on the default stream while a blocking stream captures would destroy the capture.
    assert paths["default"].counts["captured" if blocking else "ok"] == 20
    assert paths["default stream"].counts["captured" if blocking else "ok"] == 1


def test_an_event_in_a_capture_is_captured(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    # The capture starts between the question about captures and the record.
    token = recorder.begin("a", stream=stream)
    cuda.begin_capture(stream)
    cuda.fail("cuStreamIsCapturing", 201, 0, 1)
    cuda.fail("cudaStreamIsCapturing", 0, 0, 1)
    recorder.end(token)
    cuda.end_capture(stream)
    cuda.advance(1)
    report = recorder.report()
    assert report["a"].counts["ok"] == 0


def test_a_thread_without_a_context_is_timed(cuda: Simulated, recorder: Recorder) -> None:
    cuda.set_driver_needs_context(True)

    def work() -> None:
        with recorder.scope("a"):
            pass

    in_thread(work)
    cuda.advance(1)
    assert recorder.report()["a"].counts["ok"] == 1


def test_the_runtime_serves_without_the_driver(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    cuda.fail("cuStreamIsCapturing", 201, 0, -1)
    cuda.begin_capture(stream)
    with recorder.scope("a", stream=stream):
        pass
    assert cuda.capture_alive(stream)
    cuda.end_capture(stream)
    assert recorder.report()["a"].counts["captured"] == 1


def test_the_runtime_records_without_a_context(cuda: Simulated, recorder: Recorder) -> None:
    cuda.fail("cuEventRecord", 201, 0, -1)
    with recorder.scope("a", stream=cuda.create_stream()):
        pass
    cuda.advance(1)
    assert recorder.report()["a"].counts["ok"] == 1
    assert cuda.calls("cuEventRecord") == 2
    assert cuda.peek_error() == 0


def test_the_runtime_reads_without_a_context(cuda: Simulated, recorder: Recorder) -> None:
    cuda.fail("cuEventElapsedTime_v2", 201, 0, -1)
    with recorder.scope("a"):
        cuda.enqueue(0, 3 * MS)
    assert recorder.report().pending == 1
    cuda.advance(4 * MS)
    assert recorder.report()["a"].device.mean == pytest.approx(3e-3)
    assert cuda.calls("cudaEventElapsedTime") > 0
    assert cuda.peek_error() == 0


def test_the_runtime_records_on_another_device(cuda: Simulated, recorder: Recorder) -> None:
    token = recorder.begin("a")
    by_driver = cuda.calls("cuEventRecord")
    assert by_driver == 1
    in_thread(lambda: recorder.end(token))  # a thread that has no context yet
    token = recorder.begin("a")
    assert cuda.calls("cuEventRecord") == by_driver + 1
    cuda.set_device(1)
    recorder.end(token)
    assert cuda.calls("cuEventRecord") == by_driver + 1
    cuda.set_device(0)
    cuda.advance(1)
    assert recorder.report()["a"].counts["ok"] == 2


def test_drain_waits_and_reads(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("a"):
        cuda.enqueue(0, 30 * MS)
    report = recorder.report(wait=True)  # its pauses move the clock
    assert report["a"].device.mean == pytest.approx(30e-3)
    assert report.pending == 0
    assert cuda.calls("cudaEventSynchronize") == 0


# Calls 17 and 35 are backlog checks, which fail no scope.
@pytest.mark.parametrize("failing", [0, 1, 15, 16, 18, 41])
def test_one_failed_reading_spoils_one_scope(cuda: Simulated, failing: int) -> None:
    recorder = Recorder(share_boundaries=False)
    with recorder.scope("first"):  # compares the clocks, so that the next scope does not
        pass
    cuda.advance(1)
    recorder.report(wait=True)
    cuda.hold(0)
    for _ in range(40):
        with recorder.scope("a"):
            pass
    cuda.release(0)
    cuda.advance(1)
    cuda.fail("cudaEventElapsedTime", OUT_OF_MEMORY, failing, 1)
    report = recorder.report(wait=True)
    assert report["a"].counts["ok"] == 39
    assert report["a"].counts["failed"] == 1
    assert report.pending == 0
    assert scope_works(cuda, recorder)
    del recorder
    assert pool_is_whole()


def test_drain_has_a_time_limit(cuda: Simulated, recorder: Recorder) -> None:
    cuda.hold(0)
    with recorder.scope("a"):
        pass
    started = cuda.now_ns
    assert recorder.report(wait=True, timeout=0.25).pending == 1
    assert cuda.now_ns - started == pytest.approx(250 * MS, rel=0.01)
    cuda.release(0)
    assert recorder.report(wait=True)["a"].count == 1


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_time_limit_must_be_a_length_of_time(recorder: Recorder, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be a number of seconds >= 0"):
        recorder.report(wait=True, timeout=timeout)


def test_a_time_limit_needs_something_that_waits(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match=r"write report\(wait=True, timeout=3\)"):
        recorder.report(timeout=3)
    assert recorder.report(wait=True, timeout=3).sites == ()


def test_a_drain_can_be_interrupted(cuda: Simulated, recorder: Recorder) -> None:
    cuda.hold(0)
    with recorder.scope("a"):
        pass
    ran = threading.Event()

    def interrupt() -> None:
        while cuda.calls("fasttime_pause") == 0:  # until the drain has begun
            pass
        ran.set()
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        recorder.report(wait=True)
    thread.join()
    assert ran.is_set()
    cuda.release(0)
    assert recorder.report(wait=True)["a"].count == 1


def test_a_python_thread_can_let_a_full_queue_go(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    cuda.set_queue_limit(64)
    cuda.hold(stream)
    with let_go_by_a_thread(cuda, stream) as may_start:
        for number in range(100):
            if number == 20:
                may_start.set()
            with recorder.scope("a", stream=stream):  # the 33rd would block while holding the GIL
                pass
    cuda.advance(1)
    assert recorder.report(wait=True)["a"].count == 100


def test_short_scopes_on_an_idle_device_keep_the_gil(cuda: Simulated) -> None:
    recorder = Recorder(share_boundaries=False)
    for _ in range(40):
        with recorder.scope("plain Python"):
            cuda.advance(MS // 5)
        cuda.advance(MS // 10)
    for_the_clock = cuda.calls("cudaEventRecord") - 80
    assert cuda.calls_without_gil("cudaEventRecord") == 1 + for_the_clock  # the very first begin


def test_long_scopes_on_an_idle_stream_keep_the_gil(cuda: Simulated) -> None:
    """Each release would let other Python threads wait anew for their turn."""
    recorder = Recorder(share_boundaries=False)
    streams = [0, cuda.create_stream()]
    for number in range(10):
        with recorder.scope("plain Python", stream=streams[number % 2]):
            cuda.advance(3 * MS)
        cuda.advance(MS)
    for_the_clock = cuda.calls("cudaEventRecord") - 20
    first_begins = 2  # of the streams
    assert cuda.calls_without_gil("cudaEventRecord") == first_begins + for_the_clock


def test_long_scopes_in_a_row_keep_the_gil(cuda: Simulated) -> None:
    """Reading an earlier scope does not undo what is known about the stream."""
    recorder = Recorder(share_boundaries=False)
    for _ in range(40):
        with recorder.scope("plain Python"):
            cuda.advance(MS)
        cuda.advance(1_000)
    for_the_clock = cuda.calls("cudaEventRecord") - 80
    assert cuda.calls_without_gil("cudaEventRecord") == 1 + for_the_clock  # the very first begin


def test_a_record_on_a_busy_stream_frees_the_gil(cuda: Simulated) -> None:
    """The queue may have filled since the last record, although the device has reached that."""
    recorder = Recorder(share_boundaries=False)
    stream = cuda.create_stream()
    with recorder.scope("a", stream=stream):
        cuda.advance(MS)
        cuda.hold(stream)
        before = cuda.calls("cudaEventRecord"), cuda.calls_without_gil("cudaEventRecord")
    records = cuda.calls("cudaEventRecord") - before[0]
    cuda.release(stream)
    assert cuda.calls_without_gil("cudaEventRecord") == before[1] + records


def test_records_behind_a_busy_device_free_the_gil(cuda: Simulated) -> None:
    recorder = Recorder(share_boundaries=False)
    stream = cuda.create_stream()
    with recorder.scope("a", stream=stream):
        cuda.hold(stream)
    cuda.advance(MS)
    before = cuda.calls_without_gil("cudaEventRecord")
    asked = cuda.calls("cudaEventElapsedTime")
    for _ in range(10):
        with recorder.scope("a", stream=stream):
            cuda.advance(10_000)
    assert cuda.calls_without_gil("cudaEventRecord") == before + 20
    assert cuda.calls("cudaEventElapsedTime") - asked < 8  # a device behind is asked now and then
    cuda.release(stream)


def test_comparing_clocks_waits_without_the_gil(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.scope("a"):
        pass
    cuda.advance(10_000 * MS)  # the clocks are due to be compared
    cuda.set_queue_limit(8)
    cuda.set_one_queue(True)
    cuda.hold(stream)
    for _ in range(8):
        cuda.enqueue(stream, 1)
    with let_go_by_a_thread(cuda, stream) as may_start, no_switching():
        may_start.set()
        report = recorder.report()  # would wait for room while holding the GIL
    assert (report["a"].counts["ok"], report.last_failure) == (1, "")


def test_a_capture_begun_during_reading_is_seen(cuda: Simulated, recorder: Recorder) -> None:
    blocking, full = cuda.create_stream(blocking=True), cuda.create_stream()
    cuda.hold(0)
    for _ in range(2048):
        with recorder.scope("earlier"):
            pass
    cuda.release(0)
    cuda.advance(10_000 * MS)  # the clocks are due to be compared, which has to wait:
    cuda.set_queue_limit(8)
    cuda.set_one_queue(True)
    cuda.hold(full)
    for _ in range(8):
        cuda.enqueue(full, 1)
    may_start = threading.Event()

    def capture() -> None:
        may_start.wait(30)
        cuda.begin_capture(blocking, RELAXED)  # so that it can end in another thread
        cuda.release(full)

    thread = threading.Thread(target=capture)
    thread.start()
    with no_switching():
        may_start.set()
        with recorder.scope("a"):  # a record on the default stream would destroy the capture
            pass
    thread.join()
    assert cuda.capture_alive(blocking)
    cuda.end_capture(blocking)
    cuda.set_one_queue(False)
    report = recorder.report(wait=True)
    assert report["a"].counts["captured"] == 1
    assert (report["earlier"].counts["ok"], report.open, report.last_failure) == (2048, 0, "")


@pytest.mark.parametrize("function", ["cuEventRecord", "cuEventElapsedTime_v2"])
def test_a_driver_error_keeps_other_errors(
    cuda: Simulated, recorder: Recorder, function: str
) -> None:
    stream = cuda.create_stream()
    with recorder.scope("a", stream=stream):
        pass
    cuda.advance(MS)
    assert recorder.report()["a"].counts["ok"] == 1
    cuda.fail("cudaStreamCreateWithFlags", INVALID_HANDLE)
    with pytest.raises(RuntimeError):
        cuda.create_stream()
    assert cuda.peek_error() == INVALID_HANDLE
    cuda.fail(function, INVALID_HANDLE)
    with recorder.scope("b", stream=stream):
        pass
    cuda.advance(MS)
    assert recorder.report()["b"].counts["failed"] == 1
    assert cuda.last_error() == INVALID_HANDLE


def test_work_queued_during_a_begin_is_not_done(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    cuda.set_queue_limit(8)

    def fill_queue() -> None:
        lib.sim_hold(stream)
        for _ in range(8):
            lib.sim_enqueue(stream, 1)

    def begin() -> None:
        recorder.begin("never ended", stream=stream)

    def let_go() -> None:
        started.wait(30)
        lib.sim_release(stream)

    started = threading.Event()
    beginning, letting_go = threading.Thread(target=begin), threading.Thread(target=let_go)
    lib = keeping_the_gil(cuda)
    cuda.advance(MS)
    fill_queue()
    records = cuda.calls("cudaEventRecord")
    beginning.start()
    letting_go.start()
    while (
        cuda.calls("cudaEventRecord") == records
    ):  # until the thread waits for room, without the GIL
        pass
    with no_switching():
        now_ns = lib.fasttime_host_now_ns()
        lib.sim_release(stream)
        while (
            lib.fasttime_host_now_ns() == now_ns
        ):  # until the thread has recorded, and waits for the GIL
            pass
        lib.sim_advance(MS)
        fill_queue()
    beginning.join()
    recorder.report()
    with no_switching():
        started.set()
        with recorder.scope("a", stream=stream):  # would wait for room while holding the GIL
            pass
    letting_go.join()
    cuda.advance(MS)
    counts = {site.path: site.counts for site in recorder.report(wait=True).walk()}
    assert (counts["never ended"]["dropped"], counts["a"]["ok"]) == (1, 1)


def test_after_all_that_every_event_is_in_its_pool(cuda: Simulated) -> None:
    recorder = Recorder()
    stream = cuda.create_stream()
    for number in range(300):
        if number % 7 == 0:
            cuda.fail("cudaEventRecord", INVALID_HANDLE, number % 2, 1)
        if number % 11 == 0:
            cuda.begin_capture(stream)
        with recorder.scope("a", stream=stream):
            pass
        if number % 11 == 0:
            cuda.end_capture(stream)
        if number % 13 == 0:
            recorder.begin("never ended", stream=stream)
    cuda.advance(1)
    recorder.report(wait=True)
    assert recorder.report()["a"].count == 300
    del recorder
    assert pool_is_whole(0)


def test_a_shared_boundary_skips_the_capture_check(cuda: Simulated) -> None:
    recorder = Recorder()
    with recorder.scope("warm-up"):
        pass
    cuda.advance(MS)
    recorder.report()
    before = cuda.calls("cuStreamIsCapturing"), cuda.calls("cudaEventRecord")
    with recorder.scope("outer"), recorder.scope("middle"), recorder.scope("inner"):
        cuda.advance(1000)
    asked = cuda.calls("cuStreamIsCapturing") - before[0]
    recorded = cuda.calls("cudaEventRecord") - before[1]
    assert asked == recorded == 2
    cuda.advance(1)
    assert [site.counts["ok"] for site in recorder.report(wait=True).walk()] == [1, 1, 1, 1]


def test_a_scope_in_a_new_capture_is_captured(cuda: Simulated) -> None:
    recorder = Recorder()
    stream = cuda.create_stream()
    cuda.set_current_stream(stream)
    with recorder.scope("before"):
        cuda.advance(1000)
    cuda.begin_capture(stream)
    cuda.advance(300)  # longer than the share window
    with recorder.scope("inside"):
        cuda.advance(1000)
    token = recorder.begin("out of")
    cuda.end_capture(stream)
    recorder.end(token)
    counts = {site.name: site.counts for site in recorder.report(wait=True).walk()}
    assert counts["before"]["ok"] == 1
    assert counts["inside"]["captured"] == counts["out of"]["captured"] == 1


def test_a_shared_boundary_adds_nothing_to_a_capture(cuda: Simulated) -> None:
    recorder = Recorder()
    stream = cuda.create_stream()
    cuda.set_current_stream(stream)
    with recorder.scope("before"):
        cuda.advance(1000)
    cuda.begin_capture(stream)  # takes no time here, so the next boundary is shared
    with recorder.scope("inside"):
        cuda.advance(1000)
    assert cuda.capture_nodes(stream) == 0
    assert cuda.end_capture(stream)[0] == 0
    counts = {site.name: site.counts for site in recorder.report(wait=True).walk()}
    assert counts["inside"]["captured"] == 1  # the end of the scope finds the capture


def test_a_runtime_without_a_symbol_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"libm\.so\.6 has no symbol cudaEventCreateWithFlags"):
        binding.bind_library("libm.so.6")
    assert not _C.backend()["has_cuda"]


def test_backend_says_what_is_missing(cuda: Simulated) -> None:
    with pytest.raises(RuntimeError, match="cannot open shared object file"):
        binding.bind_library("/nonexistent.so")

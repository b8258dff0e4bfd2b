# SPDX-License-Identifier: BSD-3-Clause
"""Scopes in, beside and across stream captures on a real device. Captures survive unchanged."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from latch import Latch, host_must_not_wait_for, long_work

from fasttime import _C, Recorder

pytestmark = pytest.mark.gpu

MODES = {"global": 0, "thread_local": 1, "relaxed": 2}  # values of cudaStreamCaptureMode
KINDS = {"blocking": 0, "non-blocking": 1}  # flags of cudaStreamCreateWithFlags
ACTIVE = 1  # cudaStreamCaptureStatusActive


def call_cuda(name: str, *arguments: object) -> None:
    """Call a function of torch's CUDA runtime, which must succeed.

    The look-up has the order in which torch's own calls are resolved: the global scope, then the
    dependencies of libc10_cuda.
    """
    try:
        function = getattr(ctypes.CDLL(None), name)
    except AttributeError:
        function = getattr(ctypes.CDLL("libc10_cuda.so"), name)
    status = function(*arguments)
    assert status == 0, f"{name} returned {status}"


@dataclass
class Captured:
    """A capture, and the number of nodes in its graph after its end."""

    stream: torch.cuda.ExternalStream
    memory: torch.Tensor
    nodes: int = -1

    def add_node(self) -> None:
        """Issue one operation to the capturing stream, without torch."""
        call_cuda(
            "cudaMemsetAsync",
            ctypes.c_void_p(self.memory.data_ptr()),
            0,
            ctypes.c_size_t(self.memory.nbytes),
            ctypes.c_void_p(self.stream.cuda_stream),
        )

    def is_active(self) -> bool:
        status = ctypes.c_int(-1)
        handle = ctypes.c_void_p(self.stream.cuda_stream)
        call_cuda("cudaStreamIsCapturing", handle, ctypes.byref(status))
        return status.value == ACTIVE


@pytest.fixture(params=KINDS)
def raw_stream(request: pytest.FixtureRequest) -> Iterator[torch.cuda.ExternalStream]:
    """A stream of the runtime. torch creates no blocking streams."""
    torch.cuda.init()
    torch.cuda.synchronize()
    made = ctypes.c_void_p()
    call_cuda("cudaStreamCreateWithFlags", ctypes.byref(made), ctypes.c_uint(KINDS[request.param]))
    assert made.value is not None
    yield torch.cuda.ExternalStream(made.value)
    torch.cuda.synchronize()
    call_cuda("cudaStreamDestroy", made)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> int:
    return MODES[request.param]


@pytest.fixture(params=["same thread", "other thread"])
def run_there(request: pytest.FixtureRequest) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Run a body on the capturing thread, or on a thread that is older than the capture."""
    if request.param == "same thread":
        yield lambda body: body()
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(torch.cuda.current_stream).result()
        yield lambda body: pool.submit(body).result(120)


@pytest.fixture(autouse=True)
def _all_events_return_to_the_pool() -> Iterator[None]:
    """Check that all events are back in the pool after the test's recorders are gone."""

    def away() -> int:
        gc.collect()
        created, free = _C.event_pool(0) or (0, 0)
        return created - free

    with Recorder().scope("binds the runtime"):
        torch.cuda.synchronize()
    before = away()
    yield
    torch.cuda.synchronize()
    assert away() <= before


@contextmanager
def fresh_recorder() -> Iterator[Recorder]:
    """Yield a recorder that is deleted before the events in the pool are counted.

    It creates its events before any capture, so a test sees only the calls of begin and end.
    """
    made = Recorder(keep_samples=1000, share_boundaries=False)
    with made.scope("warm"):
        pass
    made.report(wait=True, reset=True)
    yield made
    assert made.report(wait=True).open == 0


@contextmanager
def capture(stream: torch.cuda.ExternalStream, mode: int) -> Iterator[Captured]:
    """Capture the stream on this thread. The capture must succeed."""
    made = Captured(stream, torch.zeros(64, device="cuda"))
    torch.cuda.current_stream().synchronize()  # not the device: a stream may be held
    handle = ctypes.c_void_p(stream.cuda_stream)
    graph = ctypes.c_void_p()
    call_cuda("cudaStreamBeginCapture", handle, mode)
    try:
        yield made
    finally:
        ended = ctypes.CDLL(None).cudaStreamEndCapture(handle, ctypes.byref(graph))
    assert ended == 0, f"the capture was destroyed: cudaStreamEndCapture returned {ended}"
    count = ctypes.c_size_t()
    call_cuda("cudaGraphGetNodes", graph, None, ctypes.byref(count))
    call_cuda("cudaGraphDestroy", graph)
    made.nodes = count.value
    call_cuda("cudaPeekAtLastError")  # an error left here would reach torch's next launch


@contextmanager
def scope_on(recorder: Recorder, name: str, stream: torch.cuda.Stream) -> Iterator[None]:
    with torch.cuda.stream(stream), recorder.scope(name):
        yield


def test_without_scopes_a_graph_has_its_own_nodes(
    raw_stream: torch.cuda.ExternalStream, mode: int
) -> None:
    with capture(raw_stream, mode) as captured:
        captured.add_node()
        captured.add_node()
    assert captured.nodes == 2


def test_a_scope_in_a_capture_adds_no_node(
    raw_stream: torch.cuda.ExternalStream, mode: int, run_there: Callable[..., None]
) -> None:
    with fresh_recorder() as recorder:
        with capture(raw_stream, mode) as captured:

            def body() -> None:
                for _ in range(20):
                    with scope_on(recorder, "inside", raw_stream):
                        pass
                    recorder.report()
                recorder.report(wait=True)

            captured.add_node()
            run_there(body)
            captured.add_node()
            assert captured.is_active()
        assert captured.nodes == 2
        counts = recorder.report(wait=True)["inside"].counts
        assert (counts["captured"], sum(counts.values())) == (20, 20)


def test_scopes_beside_a_capture_are_timed(
    raw_stream: torch.cuda.ExternalStream, mode: int, run_there: Callable[..., None]
) -> None:
    other = torch.cuda.Stream()
    with fresh_recorder() as recorder:
        with scope_on(recorder, "beside", other):
            pass
        with capture(raw_stream, mode) as captured:

            def body() -> None:
                for _ in range(50):
                    with scope_on(recorder, "beside", other):
                        pass
                    recorder.report()
                assert recorder.report(wait=True).pending == 0

            captured.add_node()
            run_there(body)
            assert captured.is_active()
        assert captured.nodes == 1
        counts = recorder.report(wait=True)["beside"].counts
        assert (counts["ok"], sum(counts.values())) == (51, 51)


def test_the_null_stream_beside_a_capture(
    raw_stream: torch.cuda.ExternalStream,
    mode: int,
    run_there: Callable[..., None],
    request: pytest.FixtureRequest,
) -> None:
    is_blocking = request.node.callspec.params["raw_stream"] == "blocking"
    with fresh_recorder() as recorder:
        with capture(raw_stream, mode) as captured:

            def body() -> None:
                for _ in range(50):
                    with scope_on(recorder, "null", torch.cuda.default_stream()):
                        pass
                    recorder.report()
                recorder.report(wait=True)

            captured.add_node()
            run_there(body)
            assert captured.is_active()
        assert captured.nodes == 1
        counts = recorder.report(wait=True)["null"].counts
        assert counts["captured" if is_blocking else "ok"] == 50
        assert sum(counts.values()) == 50


def test_a_scope_that_ends_in_a_capture(
    raw_stream: torch.cuda.ExternalStream, mode: int, run_there: Callable[..., None]
) -> None:
    with fresh_recorder() as recorder:
        token = recorder.begin("across", stream=raw_stream)
        with capture(raw_stream, mode) as captured:
            captured.add_node()
            run_there(lambda: recorder.end(token))
            run_there(recorder.report)
            assert captured.is_active()
        assert captured.nodes == 1
        counts = recorder.report(wait=True)["across"].counts
        assert (counts["captured"], sum(counts.values())) == (1, 1)


def test_a_scope_that_begins_in_a_capture(
    raw_stream: torch.cuda.ExternalStream, mode: int, run_there: Callable[..., None]
) -> None:
    tokens = []
    with fresh_recorder() as recorder:
        with capture(raw_stream, mode) as captured:
            captured.add_node()
            run_there(lambda: tokens.append(recorder.begin("across", stream=raw_stream)))
        run_there(lambda: recorder.end(tokens.pop()))
        assert captured.nodes == 1
        counts = recorder.report(wait=True)["across"].counts
        assert (counts["captured"], sum(counts.values())) == (1, 1)


def test_phases_continue_after_a_capture(
    raw_stream: torch.cuda.ExternalStream, mode: int, run_there: Callable[..., None]
) -> None:
    with fresh_recorder() as recorder:
        with recorder.phases("step", stream=raw_stream) as phase:
            phase("before")
            phase("into")
            with capture(raw_stream, mode) as captured:
                captured.add_node()
                run_there(lambda: phase("inside"))
                run_there(lambda: phase("out of"))
                assert captured.is_active()
            for _ in range(3):
                phase("after")
                with torch.cuda.stream(raw_stream):
                    long_work()
        assert captured.nodes == 1
        report = recorder.report(wait=True)
        counts = {
            site.name: {status: count for status, count in site.counts.items() if count}
            for site in report["step"].children
        }
        assert counts == {
            "before": {"ok": 1},
            "into": {"captured": 1},
            "inside": {"captured": 1},
            "out of": {"captured": 1},
            "after": {"ok": 3},
        }
        assert report["step/after"].device.min > 1e-3


def test_pending_scopes_resolve_during_a_capture(
    raw_stream: torch.cuda.ExternalStream, mode: int, run_there: Callable[..., None]
) -> None:
    with fresh_recorder() as recorder:
        for _ in range(10):
            with scope_on(recorder, "before", raw_stream):
                pass
        with capture(raw_stream, mode) as captured:
            captured.add_node()

            def body() -> None:
                assert recorder.report(wait=True).pending == 0

            run_there(body)
            assert recorder.report()["before"].counts["ok"] == 10
            assert captured.is_active()
        assert captured.nodes == 1


def test_a_drain_in_a_capture_waits_for_others(
    raw_stream: torch.cuda.ExternalStream, mode: int, run_there: Callable[..., None], latch: Latch
) -> None:
    held = torch.cuda.Stream()
    with fresh_recorder() as recorder:
        with scope_on(recorder, "held", held):
            pass
        recorder.report(wait=True, reset=True)
        latch.hold(held)
        with scope_on(recorder, "held", held):
            pass
        with host_must_not_wait_for(latch), capture(raw_stream, mode) as captured:
            captured.add_node()
            draining = threading.Event()

            def release_later() -> None:
                draining.wait(60)
                latch.release()

            def body() -> None:
                assert recorder.report(wait=True, timeout=0.05).pending == 1
                draining.set()
                assert recorder.report(wait=True).pending == 0

            other = threading.Thread(target=release_later)
            other.start()
            run_there(body)
            other.join()
            assert captured.is_active()
        assert captured.nodes == 1
        assert recorder.report()["held"].counts["ok"] == 1

# SPDX-License-Identifier: BSD-3-Clause
"""Only a drain waits for a held stream, and waiting releases the GIL for other threads."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from latch import Latch, host_must_not_wait_for
from test_process_on_gpu import run

from fasttime import Recorder

pytestmark = pytest.mark.gpu


@pytest.fixture
def held(
    recorder: Recorder, stream: torch.cuda.Stream, latch: Latch
) -> Iterator[Callable[[], None]]:
    """Hold the current stream with one scope pending. Yield a function that checks this."""
    with recorder.scope("a"):
        pass
    recorder.report(wait=True, reset=True)
    latch.hold(stream)
    with recorder.scope("a"):
        pass

    def is_held() -> None:
        report = recorder.report()
        assert (report.pending, report.sites) == (1, ())

    yield is_held
    latch.release()
    assert recorder.report(wait=True)["a"].counts["ok"] >= 1


def begin_and_end(recorder: Recorder) -> None:
    with recorder.scope("a"):
        pass


def begin_and_drop(recorder: Recorder) -> None:
    recorder.begin("a")  # the token is dropped at once


OPERATIONS: dict[str, Callable[[Recorder], object]] = {
    "begin and end": begin_and_end,
    "begin, never ended": begin_and_drop,
    "report": lambda recorder: recorder.report(),
    "report, printed": lambda recorder: str(recorder.report()),
    "report and reset": lambda recorder: recorder.report(reset=True),
    "samples": lambda recorder: recorder.samples("a"),
    "poll": lambda recorder: recorder._core.poll(),
    "disable and enable": lambda recorder: (recorder.disable(), recorder.enable()),
    "another recorder's end": lambda recorder: begin_and_end(Recorder()),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_does_not_wait(
    recorder: Recorder, held: Callable[[], None], latch: Latch, operation: str
) -> None:
    with host_must_not_wait_for(latch):
        for _ in range(20):
            OPERATIONS[operation](recorder)
        assert recorder.report().pending >= 1


def test_a_drain_keeps_its_timeout(
    recorder: Recorder, held: Callable[[], None], latch: Latch
) -> None:
    with host_must_not_wait_for(latch):
        for limit_s in (0, 0.01, 0.05):
            assert recorder.report(wait=True, timeout=limit_s).pending == 1


@contextmanager
def once_in_report(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` on another thread as soon as this thread is inside report()."""
    waiter, pause = threading.get_ident(), threading.Event()

    def body() -> None:
        while sys._current_frames()[waiter].f_code.co_name != "report":
            pause.wait(0.001)
        action()

    thread = threading.Thread(target=body)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_a_drain_lets_a_thread_release_the_stream(
    recorder: Recorder, held: Callable[[], None], latch: Latch
) -> None:
    with host_must_not_wait_for(latch), once_in_report(latch.release):
        assert recorder.report(wait=True).pending == 0


def test_a_drain_can_be_interrupted_and_repeated(
    recorder: Recorder, held: Callable[[], None], latch: Latch
) -> None:
    with host_must_not_wait_for(latch), pytest.raises(KeyboardInterrupt):
        with once_in_report(_thread.interrupt_main):
            recorder.report(wait=True)
    held()
    latch.release()
    assert recorder.report(wait=True)["a"].counts["ok"] == 1


# If a thread kept the GIL while it waits for the device, nothing inside its process could end that.
# So these tests run in processes of their own. `guarded` releases the stream once the main thread
# has stopped in the middle of `body`. It notices that only if it gets the GIL, and returns how far
# `body` had come. After a minute, a watchdog releases the latch and the process fails.
FULL_QUEUE = """
import contextvars, os, threading
import torch, fasttime
from latch import Latch

recorder = fasttime.Recorder(share_boundaries=False)
stream, latch = torch.cuda.Stream(), Latch()
torch.cuda.set_stream(stream)
x = torch.zeros(16, device="cuda")
x.add_(1)
with recorder.scope("a"):
    pass
torch.cuda.synchronize()
recorder.report(wait=True, reset=True)
done = [0]

def begin():
    return contextvars.Context().run(recorder.begin, "a")  # side by side, not nested

def fail():
    latch.release()
    print("the stream was not released within a minute", flush=True)
    os._exit(1)

def guarded(body):
    stood_at, finished = [], threading.Event()
    def release_when_still():
        seen, still = -1, 0
        while still < 300 and not finished.wait(0.001):
            still = still + 1 if done[0] == seen and seen > 0 else 0
            seen = done[0]
        stood_at.append(seen)
        latch.release()
    watchdog = threading.Timer(60, fail)
    watchdog.daemon = True
    watchdog.start()
    latch.hold(stream)
    other = threading.Thread(target=release_when_still)
    other.start()
    body()
    finished.set()
    other.join()
    watchdog.cancel()
    return stood_at[0]
"""


def run_with_a_full_queue(code: str) -> None:
    run(FULL_QUEUE + code, timeout_s=100)


def test_a_begin_with_a_full_queue_frees_the_gil() -> None:
    run_with_a_full_queue("""
tokens = []
def body():
    for _ in range(1800):
        tokens.append(begin())
        done[0] += 1
stood_at = guarded(body)
assert 0 < stood_at < 1800, f"no begin had to wait: {stood_at}"
for token in tokens:
    recorder.end(token)
assert recorder.report(wait=True)["a"].counts["ok"] == 1800
""")


def test_an_end_with_a_full_queue_frees_the_gil() -> None:
    run_with_a_full_queue("""
tokens = []
def body():
    for _ in range(900):  # fewer than the queue holds, so an end meets the full queue
        tokens.append(begin())
        done[0] += 1
    for token in tokens:
        recorder.end(token)
        done[0] += 1
stood_at = guarded(body)
assert 900 <= stood_at < 1800, f"no end had to wait: {stood_at}"
assert recorder.report(wait=True)["a"].counts["ok"] == 900
""")


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_kernels_and_scopes_with_a_full_queue(where: str) -> None:
    run_with_a_full_queue(f"""
inside = {where == "inside"}
def body():
    for _ in range(1200):
        with recorder.scope("a"):
            if inside:
                x.add_(1)
        if not inside:
            x.add_(1)
        done[0] += 1
stood_at = guarded(body)
assert 0 < stood_at < 1200, f"nothing had to wait: {{stood_at}}"
assert recorder.report(wait=True)["a"].counts["ok"] == 1200
""")


def test_a_scope_behind_another_threads_kernels() -> None:
    run_with_a_full_queue("""
launching = threading.Event()
def launch():
    torch.cuda.set_stream(stream)
    for i in range(1500):
        x.add_(1)
        done[0] += 1
        if i == 800:
            launching.set()
def body():
    other = threading.Thread(target=launch)
    other.start()
    launching.wait()
    for _ in range(300):
        with recorder.scope("a"):
            pass
        done[0] += 1
    other.join()
stood_at = guarded(body)
assert 0 < stood_at < 1800, f"nothing had to wait: {stood_at}"
assert recorder.report(wait=True)["a"].counts["ok"] == 300
""")

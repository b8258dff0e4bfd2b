# SPDX-License-Identifier: BSD-3-Clause
"""Phases with marks, and in several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from leftovers import pool_is_whole
from simulated_cuda import Simulated, in_thread
from site_counts import paths, statuses

from fasttime import Recorder, _native

MS = 1_000_000


# --- marks ---


@contextmanager
def marks(recorder: Recorder) -> Iterator[list[str]]:
    """Record the order in which marks begin and end."""
    log: list[str] = []

    def begin(name: str) -> str:
        log.append(f"+{name}")
        return name

    def end(name: str) -> None:
        log.append(f"-{name}")

    _native.set_marks(recorder.scope, begin, end)
    yield log
    _native.set_marks(recorder.scope, None, None)


def test_phases_are_marked_while_they_are_open(recorder: Recorder) -> None:
    with marks(recorder) as log:
        with recorder.phases("step") as phase:
            phase("a")
            phase("b")
            phase(None)
            phase("c")
    assert log == ["+step", "+a", "-a", "+b", "-b", "+c", "-c", "-step"]
    assert set(paths(recorder)) == {"step", "step/a", "step/b", "step/c"}


def test_marks_switched_off_in_a_phase_still_end(recorder: Recorder) -> None:
    with marks(recorder) as log:
        phase = recorder.phases("step").__enter__()
        phase("a")
    phase("b")
    phase.__exit__(None, None, None)
    assert log == ["+step", "+a", "-a", "-step"]


def test_marks_of_dropped_phases_end(recorder: Recorder) -> None:
    with marks(recorder) as log:
        phase = recorder.phases("step").__enter__()
        phase("a")
        del phase
    assert log == ["+step", "+a", "-a", "-step"]


def test_an_interrupted_mark_leaves_the_phase_open(recorder: Recorder) -> None:
    def begin(name: str) -> str:
        if name == "b":
            raise KeyboardInterrupt
        return name

    _native.set_marks(recorder.scope, begin, lambda token: None)
    with recorder.phases("step") as phase:
        phase("a")
        with pytest.raises(KeyboardInterrupt):
            phase("b")
        with recorder.scope("inner"):
            pass
    _native.set_marks(recorder.scope, None, None)
    assert paths(recorder) == {"step": 1, "step/a": 1, "step/a/inner": 1}


def test_a_mark_cannot_change_the_phase(recorder: Recorder) -> None:
    errors: list[str] = []

    def begin(name: str) -> None:
        if name == "b":
            with pytest.raises(RuntimeError, match="in use by another call") as caught:
                phase("from the mark")
            errors.append(str(caught.value))

    with recorder.phases("step") as phase:
        phase("a")
        _native.set_marks(recorder.scope, begin, lambda token: None)
        phase("b")
        _native.set_marks(recorder.scope, None, None)
    assert len(errors) == 1
    assert set(paths(recorder)) == {"step", "step/a", "step/b"}


def test_a_mark_may_leave_the_block(recorder: Recorder) -> None:
    def begin(name: str) -> None:
        if name == "b":
            phase.__exit__(None, None, None)

    phase = recorder.phases("step").__enter__()
    phase("a")
    _native.set_marks(recorder.scope, begin, lambda token: None)
    phase("b")
    _native.set_marks(recorder.scope, None, None)
    assert paths(recorder) == {"step": 1, "step/a": 1}
    with pytest.raises(RuntimeError, match="not open"):
        phase("c")


# --- threads ---


def test_another_thread_may_change_the_phase(cuda: Simulated, recorder: Recorder) -> None:
    def other() -> None:
        phase("b")
        with recorder.scope("elsewhere"):  # nesting stays with the block's own context
            pass

    with recorder.phases("step") as phase:
        phase("a")
        in_thread(other)
        with recorder.scope("here"):
            pass
    assert set(paths(recorder)) == {"step", "step/a", "step/b", "step/b/here", "elsewhere"}


def test_another_thread_may_begin_the_first_phase(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        in_thread(lambda: phase("a"))
        with recorder.scope("here"):
            pass
        cuda.enqueue(0, MS)
    assert set(paths(recorder)) == {"step", "step/a", "step/a/here"}
    device = recorder.report()["step/a"].device
    assert device is not None
    assert device.mean == pytest.approx(1e-3)


def test_another_thread_may_leave_the_block(cuda: Simulated, recorder: Recorder) -> None:
    phase = recorder.phases("step").__enter__()
    phase("a")
    in_thread(lambda: phase.__exit__(None, None, None))
    with recorder.scope("after"):
        pass
    assert statuses(recorder) == {
        "step": {"ok": 1},
        "step/a": {"ok": 1},
        "after": {"ok": 1},
    }


def test_a_phase_belongs_to_the_thread_that_began_it(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        with recorder.phases("step") as phase:
            phase("a")
            cuda.advance(1000)

            def other() -> None:  # a thread that has never begun a scope
                phase("b")
                cuda.advance(1000)

            in_thread(other)
        cuda.advance(1000)
    threads = {span.name: span.thread for span in timeline.spans}
    assert 0 not in threads.values()
    assert threads["a"] == threads["step"] != threads["b"]


def test_new_threads_share_no_boundary(cuda: Simulated, recorder: Recorder) -> None:
    first, second = recorder.phases("s1"), recorder.phases("s2")
    turns = [threading.Event() for _ in range(2)]
    with first as a, second as b:
        a("x")
        b("x")
        cuda.advance(10_000)

        def one() -> None:
            b("x0")
            turns[0].set()
            turns[1].wait(60)
            a("y1")  # this thread's last record lies before the begin of the phase that ends

        def other() -> None:
            turns[0].wait(60)
            cuda.enqueue(0, 2_000_000)
            a("y0")
            turns[1].set()

        threads = [threading.Thread(target=work) for work in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    cuda.advance(10_000_000)
    site = recorder.report()["s1/y0"]
    assert site.device is not None
    assert site.device.min >= 0


@contextmanager
def another_thread_in(body: Callable[[], object], cuda: Simulated, stream: int) -> Iterator[None]:
    """Let another thread wait for room in the launch queue, with the GIL released, in `body`."""
    cuda.set_queue_limit(8)
    cuda.advance(MS)  # so that the state of the queue is unknown
    cuda.hold(stream)
    for _ in range(8):
        cuda.enqueue(stream, 1)
    before = cuda.calls("cudaEventRecord")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(body)
        while cuda.calls("cudaEventRecord") == before:
            pass
        try:
            yield
        finally:
            cuda.release(stream)
        running.result()
    cuda.advance(MS)


@contextmanager
def released_at_next_record(cuda: Simulated, stream: int) -> Iterator[None]:
    """Release the stream once another record waits for room."""
    records = cuda.calls("cudaEventRecord")

    def release() -> None:
        while cuda.calls("cudaEventRecord") == records:
            pass
        cuda.release(stream)

    releasing = threading.Thread(target=release)
    releasing.start()
    yield
    releasing.join()


@pytest.mark.parametrize("is_first", [True, False])
def test_a_block_is_left_during_a_call(cuda: Simulated, is_first: bool) -> None:
    recorder, stream = Recorder(), cuda.create_stream()
    phase = recorder.phases("step", stream=stream)
    phase.__enter__()
    if not is_first:
        phase("early")
    with another_thread_in(partial(phase, "late"), cuda, stream):
        with released_at_next_record(cuda, stream):
            phase.__exit__(None, None, None)
    with recorder.scope("after"):
        pass
    expected = {"step": 1, "step/late": 1, "after": 1}
    assert paths(recorder) == (expected if is_first else {**expected, "step/early": 1})
    assert recorder.report().open == 0
    with pytest.raises(RuntimeError, match="not open"):
        phase("later")
    with phase:  # and may be used again
        phase("again")
    cuda.advance(MS)
    assert paths(recorder)["step/again"] == 1
    del recorder, phase
    assert pool_is_whole(0)


def test_a_marked_block_is_freed_in_a_first_call(cuda: Simulated) -> None:
    recorder, stream = Recorder(), cuda.create_stream()
    with marks(recorder) as log:
        phase = recorder.phases("step", stream=stream)
        phase.__enter__()
        with another_thread_in(partial(phase, "late"), cuda, stream):
            # The end of the block fails, so it waits for no room, and its memory is free at once.
            cuda.fail("cuStreamIsCapturing", 2)
            cuda.fail("cudaStreamIsCapturing", 2)
            phase.__exit__(None, None, None)
            others = [recorder.begin("other") for _ in range(4)]  # their memory is the block's
            for other in others:
                recorder.end(other)
    assert sorted(log[:2]) == ["+late", "+step"]
    assert statuses(recorder)["step/late"] == {"ok": 1}
    assert recorder.report().open == 0
    del recorder, phase, others, other
    assert pool_is_whole(0)


def test_a_block_is_left_while_its_phase_ends(cuda: Simulated) -> None:
    recorder, stream = Recorder(), cuda.create_stream()
    phase = recorder.phases("step", stream=stream)
    phase.__enter__()
    phase("a")
    with another_thread_in(partial(phase, None), cuda, stream):
        with released_at_next_record(cuda, stream):
            phase.__exit__(None, None, None)
    assert paths(recorder) == {"step": 1, "step/a": 1}
    assert recorder.report().open == 0
    del recorder, phase
    assert pool_is_whole(0)


def test_two_threads_cannot_call_at_once(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.phases("step", stream=stream) as phase:
        phase("zero")
        with another_thread_in(partial(phase, "one"), cuda, stream):
            with pytest.raises(RuntimeError, match=r"in use by another call.*its own `with"):
                phase("two")
            with pytest.raises(RuntimeError, match="in use by another call"):
                phase(None)
        phase("three")
    assert set(paths(recorder)) == {"step", "step/zero", "step/one", "step/three"}


def test_two_threads_cannot_enter_at_once(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    phase = recorder.phases("step", stream=stream)
    with another_thread_in(phase.__enter__, cuda, stream):
        with pytest.raises(RuntimeError, match="open already"):
            phase.__enter__()
        with pytest.raises(RuntimeError, match="in use by another call"):
            phase("a")
    phase.__exit__(None, None, None)
    assert paths(recorder) == {"step": 1}


def test_phases_are_not_entered_while_they_are_left(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    phase = recorder.phases("step", stream=stream)
    phase.__enter__()
    phase("a")
    with another_thread_in(partial(phase.__exit__, None, None, None), cuda, stream):
        with pytest.raises(RuntimeError, match="open already"):
            phase.__enter__()
        with pytest.raises(RuntimeError, match="in use by another call"):
            phase("b")
        with pytest.raises(RuntimeError, match="not open"):
            phase.__exit__(None, None, None)
    assert paths(recorder) == {"step": 1, "step/a": 1}

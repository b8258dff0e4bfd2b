# SPDX-License-Identifier: BSD-3-Clause
"""Held streams wait until their hold or its watchdog releases them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from leftovers import no_stream_is_held
from simulated_cuda import Simulated

from fasttime import _C

LONG = 60.0  # seconds: the watchdog must not come first
MS = 1_000_000


def test_work_behind_a_hold_starts_at_its_release(cuda: Simulated) -> None:
    hold = _C.StreamHold(LONG)
    cuda.enqueue(0, MS)
    cuda.advance(10 * MS)
    assert cuda.backlog_ns(0) is None
    assert hold.release() is True
    assert cuda.backlog_ns(0) == MS


def test_only_the_current_stream_is_held(cuda: Simulated) -> None:
    mine, other = cuda.create_stream(), cuda.create_stream()
    cuda.set_current_stream(mine)
    hold = _C.StreamHold(LONG)
    cuda.enqueue(other, MS)
    cuda.enqueue(mine, MS)
    cuda.advance(2 * MS)
    assert (cuda.backlog_ns(mine), cuda.backlog_ns(other)) == (None, 0)
    hold.release()
    assert cuda.backlog_ns(mine) == MS


def test_the_watchdog_frees_a_waiting_host(cuda: Simulated) -> None:
    hold = _C.StreamHold(0.01)
    cuda.enqueue(0, MS)
    cuda.synchronize(cuda.recorded())  # returns only thanks to the watchdog
    assert hold.release() is False


def test_the_watchdog_frees_a_host_with_a_full_queue(cuda: Simulated) -> None:
    cuda.set_queue_limit(8)
    hold = _C.StreamHold(0.01)
    for _ in range(20):
        cuda.recorded()
    assert hold.release() is False


def test_a_hold_waits_for_room_without_the_gil(cuda: Simulated) -> None:
    cuda.set_queue_limit(8)
    cuda.hold(0)
    for _ in range(8):
        cuda.enqueue(0, 1)
    may_start = threading.Event()

    def let_go() -> None:
        may_start.wait(30)
        cuda.release(0)

    thread = threading.Thread(target=let_go)
    thread.start()
    may_start.set()
    hold = _C.StreamHold(LONG)  # waits for room; would never return with the GIL
    thread.join()
    assert hold.release() is True


def test_a_second_release_returns_the_same(cuda: Simulated) -> None:
    hold = _C.StreamHold(LONG)
    assert [hold.release(), hold.release()] == [True, True]


def test_a_hold_that_dies_is_released(cuda: Simulated) -> None:
    hold = _C.StreamHold(LONG)
    cuda.enqueue(0, MS)
    del hold
    gc.collect()
    cuda.synchronize(cuda.recorded())
    assert cuda.backlog_ns(0) == 0


def test_each_hold_waits_for_its_own_release(cuda: Simulated) -> None:
    first = _C.StreamHold(LONG)
    first.release()
    del first
    for _ in range(200):  # more often than there are words
        hold = _C.StreamHold(LONG)
        cuda.enqueue(0, MS)
        cuda.advance(5 * MS)
        assert cuda.backlog_ns(0) is None
        hold.release()
        del hold
        assert cuda.backlog_ns(0) == MS
        cuda.advance(MS)


def test_64_streams_can_be_held_at_once(cuda: Simulated) -> None:
    holds = []
    for _ in range(64):
        cuda.set_current_stream(cuda.create_stream())
        holds.append(_C.StreamHold(LONG))
    with pytest.raises(RuntimeError, match="64 streams are held already; release one"):
        _C.StreamHold(LONG)
    del holds
    assert _C.StreamHold(LONG).release() is True


def test_a_released_hold_leaves_room_while_it_lives(cuda: Simulated) -> None:
    kept = []
    for _ in range(65):
        kept.append(_C.StreamHold(LONG))
        assert kept[-1].release() is True
    hold = _C.StreamHold(LONG)
    cuda.enqueue(0, MS)
    assert [old.release() for old in kept] == [True] * 65
    del kept
    gc.collect()
    cuda.advance(MS)
    assert cuda.backlog_ns(0) is None  # an old hold does not release a newer one
    assert no_stream_is_held(63)
    with pytest.raises(RuntimeError, match="64 streams are held already"):
        no_stream_is_held(64)
    assert hold.release() is True


def test_a_failed_hold_takes_no_room(cuda: Simulated) -> None:
    cuda.fail("cuStreamWaitValue32_v2", 801, times=100)
    for _ in range(100):
        with pytest.raises(RuntimeError, match="cuStreamWaitValue32_v2 returned 801"):
            _C.StreamHold(LONG)
    assert no_stream_is_held()


def test_a_hold_that_timed_out_leaves_room(cuda: Simulated) -> None:
    hold = _C.StreamHold(0.001)
    cuda.synchronize(cuda.recorded())
    assert [hold.release(), hold.release()] == [False, False]
    assert no_stream_is_held()


def test_a_hold_on_another_device_than_the_first(cuda: Simulated) -> None:
    with cuda.on_device(1):
        hold = _C.StreamHold(LONG)
        cuda.enqueue(0, MS)
        cuda.advance(MS)
        assert cuda.backlog_ns(0) is None
        assert hold.release()
        assert cuda.backlog_ns(0) == MS


def test_a_failed_hold_gives_the_reason(cuda: Simulated) -> None:
    cuda.fail("cuStreamWaitValue32_v2", 801)
    message = "the stream cannot be held: cuStreamWaitValue32_v2 returned 801"
    with pytest.raises(RuntimeError, match=message):
        _C.StreamHold(LONG)
    cuda.enqueue(0, MS)
    cuda.synchronize(cuda.recorded())
    assert _C.StreamHold(LONG).release() is True


def test_without_cuda_a_hold_gives_the_reason() -> None:
    with pytest.raises(RuntimeError, match=r"the stream cannot be held.*: torch has not started"):
        _C.StreamHold(LONG)


def test_threads_can_hold_streams_at_the_same_time(cuda: Simulated) -> None:
    answers: list[bool] = []

    def hold_often() -> None:
        cuda.set_current_stream(cuda.create_stream())
        answers.extend(_C.StreamHold(LONG).release() for _ in range(50))

    threads = [threading.Thread(target=hold_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 200


def run_in_a_new_process(code: str, library: Path) -> None:
    """Run `code` with the simulation as `cuda`, before any hold. It must print no error."""
    head = f"""
from simulated_cuda import Simulated
import binding
from fasttime import _C
cuda = Simulated({str(library)!r})
cuda.reset()
binding.bind_library({str(library)!r})
"""
    paths = [str(Path(__file__).parent / "simulated_cuda"), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_first_hold_without_memory_can_be_repeated(simulated_library: Path) -> None:
    run_in_a_new_process(
        """
        cuda.fail("cudaHostAlloc", 2)
        try:
            _C.StreamHold(60.0)
        except RuntimeError as error:
            assert "the stream cannot be held: cudaHostAlloc returned 2" in str(error), error
        else:
            raise SystemExit("held without memory")
        assert _C.StreamHold(60.0).release()
        """,
        simulated_library,
    )


def test_the_first_hold_allocates_without_the_gil(simulated_library: Path) -> None:
    """The allocation ends only when another Python thread lets it."""
    run_in_a_new_process(
        """
        import threading
        started = threading.Event()

        def allow() -> None:
            started.wait()
            while cuda.calls("cudaHostAlloc") == 0:
                pass
            cuda.hold_allocations(False)

        cuda.hold_allocations(True)
        thread = threading.Thread(target=allow)
        thread.start()
        started.set()
        hold = _C.StreamHold(60.0)
        thread.join()
        assert hold.release()
        """,
        simulated_library,
    )


def test_two_first_holds_at_once_share_the_words(simulated_library: Path) -> None:
    run_in_a_new_process(
        """
        import threading
        cuda.hold_allocations(True)
        kept = []

        def hold() -> None:
            cuda.set_current_stream(cuda.create_stream())
            kept.append(_C.StreamHold(60.0))

        threads = [threading.Thread(target=hold) for _ in range(2)]
        for thread in threads:
            thread.start()
        while cuda.calls("cudaHostAlloc") < 2:
            pass
        cuda.hold_allocations(False)
        for thread in threads:
            thread.join()
        assert [hold.release() for hold in kept] == [True, True]
        assert _C.StreamHold(60.0).release()
        """,
        simulated_library,
    )

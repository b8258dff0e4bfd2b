# SPDX-License-Identifier: BSD-3-Clause
"""A held stream: it waits until it is let go, by whoever made it wait or by the watchdog."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from leftovers import no_stream_is_held
from simulated_cuda import Simulated

from fasttime import _C

LONG = 60.0  # seconds; no watchdog is to be seen
MS = 1_000_000


def test_work_behind_a_hold_starts_when_it_is_let_go(cuda: Simulated) -> None:
    hold = _C.StreamHold(LONG)
    cuda.enqueue(0, MS)
    cuda.advance(10 * MS)
    assert cuda.backlog_ns(0) is None
    assert hold.release() is True
    assert cuda.backlog_ns(0) == MS


def test_the_current_stream_is_held_and_no_other(cuda: Simulated) -> None:
    mine, other = cuda.create_stream(), cuda.create_stream()
    cuda.set_current_stream(mine)
    hold = _C.StreamHold(LONG)
    cuda.enqueue(other, MS)
    cuda.enqueue(mine, MS)
    cuda.advance(2 * MS)
    assert (cuda.backlog_ns(mine), cuda.backlog_ns(other)) == (None, 0)
    hold.release()
    assert cuda.backlog_ns(mine) == MS


def test_the_watchdog_lets_go_of_a_host_that_waits_for_its_own_release(cuda: Simulated) -> None:
    hold = _C.StreamHold(0.01)
    cuda.enqueue(0, MS)
    cuda.synchronize(cuda.recorded())  # would not come back
    assert hold.release() is False


def test_the_watchdog_lets_go_of_a_host_that_fills_the_launch_queue(cuda: Simulated) -> None:
    cuda.set_queue_limit(8)
    hold = _C.StreamHold(0.01)
    for _ in range(20):
        cuda.recorded()
    assert hold.release() is False


def test_a_hold_that_finds_the_queue_full_lets_a_python_thread_let_it_go(cuda: Simulated) -> None:
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
    hold = _C.StreamHold(LONG)  # would wait for room with the GIL in hand
    thread.join()
    assert hold.release() is True


def test_a_release_can_be_repeated_and_answers_the_same(cuda: Simulated) -> None:
    hold = _C.StreamHold(LONG)
    assert [hold.release(), hold.release()] == [True, True]


def test_a_hold_that_is_forgotten_lets_go(cuda: Simulated) -> None:
    hold = _C.StreamHold(LONG)
    cuda.enqueue(0, MS)
    del hold
    gc.collect()
    cuda.synchronize(cuda.recorded())
    assert cuda.backlog_ns(0) == 0


def test_one_hold_after_another_waits_for_its_own_release(cuda: Simulated) -> None:
    first = _C.StreamHold(LONG)
    first.release()
    del first
    for _ in range(200):  # more often than there are words to wait on
        hold = _C.StreamHold(LONG)
        cuda.enqueue(0, MS)
        cuda.advance(5 * MS)
        assert cuda.backlog_ns(0) is None
        hold.release()
        del hold
        assert cuda.backlog_ns(0) == MS
        cuda.advance(MS)


def test_streams_can_be_held_side_by_side_up_to_a_bound(cuda: Simulated) -> None:
    holds = []
    for _ in range(64):
        cuda.set_current_stream(cuda.create_stream())
        holds.append(_C.StreamHold(LONG))
    with pytest.raises(RuntimeError, match="64 others are held already; release one"):
        _C.StreamHold(LONG)
    del holds
    assert _C.StreamHold(LONG).release() is True


def test_what_was_let_go_leaves_room_for_others_though_it_is_kept(cuda: Simulated) -> None:
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
    assert cuda.backlog_ns(0) is None  # none of them lets go of one that came later
    assert no_stream_is_held(63)
    with pytest.raises(RuntimeError, match="64 others are held already"):
        no_stream_is_held(64)
    assert hold.release() is True


def test_what_cannot_be_held_takes_no_room(cuda: Simulated) -> None:
    cuda.fail("cuStreamWaitValue32_v2", 801, times=100)
    for _ in range(100):
        with pytest.raises(RuntimeError, match="cuStreamWaitValue32_v2 answered 801"):
            _C.StreamHold(LONG)
    assert no_stream_is_held()


def test_what_the_watchdog_let_go_leaves_room_once_it_is_released(cuda: Simulated) -> None:
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


def test_a_stream_that_cannot_be_held_says_why_and_is_not_held(cuda: Simulated) -> None:
    cuda.fail("cuStreamWaitValue32_v2", 801)
    message = "the stream cannot be held: cuStreamWaitValue32_v2 answered 801"
    with pytest.raises(RuntimeError, match=message):
        _C.StreamHold(LONG)
    cuda.enqueue(0, MS)
    cuda.synchronize(cuda.recorded())
    assert _C.StreamHold(LONG).release() is True


def test_without_cuda_a_hold_is_refused_with_the_reason() -> None:
    with pytest.raises(RuntimeError, match="the stream cannot be held: torch has not started CUDA"):
        _C.StreamHold(LONG)


def test_other_threads_can_hold_streams_at_the_same_time(cuda: Simulated) -> None:
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


def test_a_first_hold_without_memory_says_so_and_the_next_one_asks_again(
    simulated_library: Path,
) -> None:
    run_in_a_process_of_its_own = f"""
from simulated_cuda import Simulated
import binding
from fasttime import _C
cuda = Simulated({str(simulated_library)!r})
cuda.reset()
binding.bind_library({str(simulated_library)!r})
cuda.fail("cudaHostAlloc", 2)
try:
    _C.StreamHold(60.0)
except RuntimeError as error:
    assert "the stream cannot be held: cudaHostAlloc answered 2" in str(error), error
else:
    raise SystemExit("held without memory")
assert _C.StreamHold(60.0).release()
"""
    paths = [str(Path(__file__).parent / "simulated_cuda"), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", run_in_a_process_of_its_own],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")

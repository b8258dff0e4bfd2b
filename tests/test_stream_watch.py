# SPDX-License-Identifier: BSD-3-Clause
"""Streams that work beyond a scope's end, on the simulated runtime."""

from __future__ import annotations

import pytest
from leftovers import pool_is_whole
from simulated_cuda import GLOBAL, Simulated, in_thread

from fasttime import _C

US = 1_000
MS = 1_000_000
SECOND = 1000 * MS
Answers = tuple[list[tuple[int, int, int, int]], list[int]]


@pytest.fixture
def watch(cuda: Simulated) -> _C.StreamWatch:
    made = _C.StreamWatch()
    assert made.prepare(0)
    assert made.prepare(1)
    return made


def later(cuda: Simulated, watch: _C.StreamWatch) -> Answers:
    cuda.advance(10 * MS)
    return watch.read()


def test_a_busy_stream_is_found_exactly(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    cuda.enqueue(own, 5 * US)
    cuda.enqueue(side, 250 * US)
    assert watch.mark(7, [(0, own)], [(0, side)])
    assert later(cuda, watch) == ([(7, 0, side, 245 * US)], [7])
    assert pool_is_whole()


def test_idle_streams_get_no_event(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own = cuda.create_stream()
    idle = [(0, cuda.create_stream()) for _ in range(40)]
    before = cuda.calls("cuEventRecord")
    assert watch.mark(7, [(0, own)], idle) == 0
    assert cuda.calls("cuEventRecord") == before + 1
    assert later(cuda, watch) == ([], [])
    assert watch.skipped == 0
    assert pool_is_whole()


def test_idle_streams_may_share_a_busy_queue(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, ignored, idle, side = (cuda.create_stream() for _ in range(4))
    cuda.share_hardware_queue(ignored, idle)
    cuda.enqueue(ignored, 106 * US)  # an event on the idle stream would lie behind this
    cuda.enqueue(side, 250 * US)
    assert watch.mark(7, [(0, own)], [(0, idle), (0, side)]) == 1
    assert later(cuda, watch) == ([(7, 0, side, 250 * US)], [7])
    assert watch.skipped == 0


def test_work_that_ends_before_its_event(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, long, short = (cuda.create_stream() for _ in range(3))
    cuda.share_hardware_queue(short, long)
    cuda.set_host_cost(100 * US)  # of the event on the scope's stream, then of the next one
    cuda.enqueue(short, 150 * US)
    cuda.enqueue(long, 1 * MS)  # an event on the short stream would lie behind this
    assert watch.mark(7, [(0, own)], [(0, long), (0, short)]) == 1
    busy, _ = later(cuda, watch)
    assert [stream for _, _, stream, _ in busy] == [long]


def test_a_slow_record_is_no_work(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    cuda.set_host_cost(100 * US)  # so the two events lie 100 us apart
    cuda.enqueue(side, 150 * US)
    assert watch.mark(7, [(0, own)], [(0, side)]) == 1
    assert later(cuda, watch) == ([], [7])


def test_work_that_the_scope_waited_for_is_inside(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    cuda.enqueue(side, 250 * US)
    cuda.wait_event(own, cuda.recorded(side))
    assert watch.mark(7, [(0, own)], [(0, side)])
    assert later(cuda, watch) == ([], [7])


def test_work_that_ends_before_a_busy_scope(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    cuda.enqueue(own, 2 * MS)
    cuda.enqueue(side, 1 * MS)
    assert watch.mark(7, [(0, own)], [(0, side)])
    assert later(cuda, watch) == ([], [7])


def test_the_last_of_the_own_streams_counts(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own = [cuda.create_stream() for _ in range(3)]
    side = cuda.create_stream()
    cuda.enqueue(own[1], 100 * US)
    cuda.enqueue(side, 300 * US)
    assert watch.mark(7, [(0, stream) for stream in own], [(0, side)])
    assert later(cuda, watch) == ([(7, 0, side, 200 * US)], [7])


@pytest.mark.parametrize(("work", "is_busy"), [(19 * US, False), (30 * US, True)])
def test_short_work_is_within_the_margin(
    cuda: Simulated, watch: _C.StreamWatch, work: int, is_busy: bool
) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    cuda.enqueue(side, work)
    watch.mark(7, [(0, own)], [(0, side)])
    assert bool(later(cuda, watch)[0]) == is_busy


def test_another_device_is_found(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side = cuda.create_stream(), cuda.create_stream(device=1)
    idle = cuda.create_stream(device=1)
    cuda.enqueue(side, 250 * US)
    assert watch.mark(7, [(0, own)], [(1, side), (1, 0), (1, idle)]) == 1
    ((number, device, stream, beyond_ns),), done = later(cuda, watch)
    assert (number, device, stream, done) == (7, 1, side, [7])
    assert beyond_ns == pytest.approx(250 * US, abs=100)


def test_a_mark_stays_until_all_have_answered(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side, other = (cuda.create_stream() for _ in range(3))
    with cuda.held(side):
        cuda.enqueue(other, 100 * US)
        watch.mark(7, [(0, own)], [(0, side), (0, other)])
        assert later(cuda, watch) == ([(7, 0, other, 100 * US)], [])
        assert watch.pending == 1
    assert later(cuda, watch) == ([(7, 0, side, 10 * MS)], [7])


def test_a_mark_never_waits_for_held_streams(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    with cuda.held(own), cuda.held(side):
        before = cuda.now_ns
        assert watch.mark(7, [(0, own)], [(0, side)])
        assert watch.read() == ([], [])
        assert cuda.now_ns == before


def test_captures_are_left_alone(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side, other = (cuda.create_stream() for _ in range(3))
    cuda.begin_capture(side, GLOBAL)
    cuda.enqueue(other, 100 * US)
    assert watch.mark(7, [(0, own)], [(0, side), (0, other)])
    assert later(cuda, watch) == ([(7, 0, other, 100 * US)], [7])
    assert watch.mark(8, [(0, side)], [(0, other)]) is None
    assert watch.skipped == 2
    assert cuda.capture_nodes(side) == 0
    assert cuda.end_capture(side)[0] == 0


def test_captures_of_other_threads_survive(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side, capturing = (cuda.create_stream() for _ in range(3))
    cuda.enqueue(side, 100 * US)
    in_thread(lambda: cuda.begin_capture(capturing, GLOBAL))
    assert watch.mark(7, [(0, own)], [(0, side), (0, capturing)]) == 1
    assert cuda.capture_alive(capturing)
    assert later(cuda, watch) == ([(7, 0, side, 100 * US)], [7])
    assert watch.skipped == 1


def test_marks_are_bounded(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    with cuda.held(side):
        marked = [watch.mark(number, [(0, own)], [(0, side)]) for number in range(70)]
        assert marked == [1] * 64 + [None] * 6
        assert (watch.pending, watch.skipped) == (64, 6)
    assert later(cuda, watch)[1] == list(range(64))


@pytest.mark.parametrize("error", [1, 400, 907, 999])
def test_a_failed_reading_skips_the_stream(
    cuda: Simulated, watch: _C.StreamWatch, error: int
) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    cuda.enqueue(side, 100 * US)
    watch.mark(7, [(0, own)], [(0, side)])
    cuda.fail("cuEventElapsedTime_v2", error, after=1)
    assert later(cuda, watch) == ([], [7])
    assert watch.skipped == 1
    cuda.advance(SECOND)
    assert pool_is_whole()


def test_a_failed_record_skips_the_stream(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    cuda.enqueue(side, 100 * US)
    cuda.fail("cuEventRecord", 400, after=1)
    assert watch.mark(7, [(0, own)], [(0, side)]) is None
    assert watch.skipped == 1
    cuda.fail("cuEventRecord", 400)
    assert watch.mark(8, [(0, own)], [(0, side)]) is None
    assert watch.skipped == 2
    cuda.advance(SECOND)
    assert pool_is_whole()


def test_a_failed_question_skips_the_stream(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, first, side = (cuda.create_stream() for _ in range(3))
    cuda.enqueue(side, 100 * US)
    cuda.fail("cudaStreamQuery", 400)
    assert watch.mark(7, [(0, own)], [(0, first), (0, side)]) == 1
    assert watch.skipped == 1
    assert cuda.last_error() == 0
    cuda.fail("cudaThreadExchangeStreamCaptureMode", 999)  # no stream may be asked
    before = cuda.calls("cudaStreamQuery")
    assert watch.mark(8, [(0, own)], [(0, first), (0, side)]) is None
    assert (cuda.calls("cudaStreamQuery"), watch.skipped) == (before, 3)


def test_a_lost_device_ends_the_marks(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    cuda.enqueue(side, 100 * US)
    watch.mark(7, [(0, own)], [(0, side)])
    cuda.fail("cuEventElapsedTime_v2", 700)
    assert later(cuda, watch) == ([], [7])
    assert watch.mark(8, [(0, own)], [(0, side)]) is None
    assert watch.skipped == 1
    assert watch.pending == 0


def test_without_cuda_nothing_is_marked() -> None:
    watch = _C.StreamWatch()
    assert not watch.prepare(0)
    assert watch.mark(1, [(0, 0)], [(0, 5)]) is None
    assert (watch.read(), watch.skipped) == (([], []), 0)
    assert _C.current_stream() is None


def test_unused_devices_stay_unused(cuda: Simulated, watch: _C.StreamWatch) -> None:
    own = cuda.create_stream()
    cuda.set_unused(1)
    _C.StreamWatch().mark(7, [(0, own)], [(1, 0)])
    assert not cuda.is_started(1)


def test_dropped_watches_return_their_events(cuda: Simulated) -> None:
    own, side = cuda.create_stream(), cuda.create_stream()
    watch = _C.StreamWatch()
    with cuda.held(side):
        assert watch.mark(7, [(0, own)], [(0, side)]) == 1
        del watch
    cuda.advance(SECOND)
    assert pool_is_whole()

# SPDX-License-Identifier: BSD-3-Clause
"""Device times on the host's clock: anchors, and times between and after anchors."""

from __future__ import annotations

import math

from simulated_cuda import Simulated

from fasttime import Recorder, Timeline
from fasttime._C import host_now_ns

US = 1_000
MS = 1_000_000
S = 1_000_000_000
BRACKET = 6 * US  # the host time of one record here, and so the width of an anchor


def ns(seconds: float | None) -> int:
    assert seconds is not None
    return round(seconds * 1e9)


def record_with_bracket(cuda: Simulated) -> None:
    cuda.set_host_cost(BRACKET)


def test_an_anchor_is_off_by_half_its_bracket_at_most(cuda: Simulated, recorder: Recorder) -> None:
    record_with_bracket(cuda)
    with recorder.scope("a"):
        pass
    with recorder.record_timeline() as timeline:
        with recorder.scope("a"):
            cuda.enqueue(0, MS)
        cuda.advance(2 * MS)
    (span,) = timeline.spans
    assert ns(span.uncertainty) == BRACKET // 2


def test_the_first_scopes_of_a_process_are_placed_too(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        for _ in range(3):
            with recorder.scope("a"):
                cuda.enqueue(0, MS)
                cuda.advance(MS)
    assert all(span.device_begin is not None for span in timeline.spans)


def test_without_an_anchor_there_is_no_place(cuda: Simulated, recorder: Recorder) -> None:
    cuda.fail("cudaStreamCreateWithFlags", 2)  # the stream of the anchors
    with recorder.record_timeline() as timeline:
        for _ in range(3):
            with recorder.scope("a"):
                cuda.enqueue(0, MS)
                cuda.advance(2 * MS)
    for span in timeline.spans:
        assert span.status == "ok"
        assert (span.device_begin, span.device_end, span.uncertainty) == (None, None, None)
    assert "3 scopes" in repr(timeline)
    assert "0 placed on a device" in repr(timeline)
    (warning,) = timeline.warnings
    assert warning.kind == "unplaced"
    assert "3 scopes got no place on the device" in warning.message


def test_a_slow_anchor_does_not_replace_a_better_one(cuda: Simulated, recorder: Recorder) -> None:
    record_with_bracket(cuda)
    with recorder.record_timeline() as timeline:
        for _ in range(3):
            with recorder.scope("a"):
                pass
            cuda.advance(200 * MS)
        cuda.set_host_cost(10 * MS)  # as if the thread lost its core
        with recorder.scope("late"):
            pass
    assert all(ns(span.uncertainty) < MS for span in timeline.spans)


def long_timeline(cuda: Simulated, recorder: Recorder, seconds: int) -> Timeline:
    """Ten scopes per second, each of 2 ms after a delay of 1 ms."""
    with recorder.record_timeline() as timeline:
        for _ in range(10 * seconds):
            cuda.enqueue(0, MS)
            with recorder.scope("a"):
                cuda.enqueue(0, 2 * MS)
            cuda.advance(100 * MS)
    return timeline


def test_a_long_timeline_stays_accurate(cuda: Simulated, recorder: Recorder) -> None:
    timeline = long_timeline(cuda, recorder, 60)
    assert len(timeline) == 600
    for span in timeline.spans:
        assert abs(ns(span.device_begin) - ns(span.host_begin) - MS) <= ns(span.uncertainty)
        assert ns(span.device_time) in range(2 * MS - 1, 2 * MS + 2)
        # One second as a float of ms has an error of 0.03 us. The second itself has one too.
        assert ns(span.uncertainty) <= 270


def test_a_long_scope_is_placed_like_a_short_one(cuda: Simulated, recorder: Recorder) -> None:
    record_with_bracket(cuda)
    with recorder.record_timeline() as timeline:
        with recorder.scope("long"):
            for _ in range(60):
                with recorder.scope("short"):
                    cuda.enqueue(0, 2 * MS)
                cuda.advance(S)
    by_name = {span.name: span for span in reversed(timeline.spans)}
    long, short = by_name["long"], by_name["short"]
    apart = abs(ns(long.device_begin) - ns(short.device_begin))
    # The long scope has the error of one minute as a float of ms.
    assert ns(long.uncertainty) <= ns(short.uncertainty) + 10 * US
    assert apart <= ns(short.uncertainty)


def test_anchors_are_renewed_each_second(cuda: Simulated, recorder: Recorder) -> None:
    long_timeline(cuda, recorder, 1)
    before = cuda.calls("cudaEventRecord")
    timeline = long_timeline(cuda, recorder, 60)
    anchors = cuda.calls("cudaEventRecord") - before - 2 * len(timeline)
    assert 55 <= anchors <= 65


def test_scopes_are_placed_after_long_gaps(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        for _ in range(3):
            with recorder.scope("a"):
                cuda.enqueue(0, 2 * MS)
            cuda.advance(30 * S)
    for span in timeline.spans:
        uncertainty = ns(span.uncertainty)
        assert abs(ns(span.device_begin) - ns(span.host_begin)) <= uncertainty
        assert uncertainty <= 4 * US  # 30 s as a float of ms


def test_a_shared_event_has_one_time_for_both_scopes(cuda: Simulated) -> None:
    recorder = Recorder()
    with recorder.record_timeline() as timeline:
        for _ in range(50):
            with recorder.scope("outer"), recorder.scope("inner"):
                cuda.enqueue(0, 7 * MS // 3)
            cuda.advance(77 * MS)
    outer = [span for span in timeline.spans if span.name == "outer"]
    inner = [span for span in timeline.spans if span.name == "inner"]
    assert len(outer) == len(inner) == 50
    for a, b in zip(outer, inner, strict=True):
        assert (a.device_begin, a.device_end) == (b.device_begin, b.device_end)


def test_host_times_come_from_the_host_clock(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        before = host_now_ns()
        with recorder.scope("a"):
            cuda.advance(MS)
    (span,) = timeline.spans
    assert (ns(span.host_begin), ns(span.host_end)) == (before, before + MS)
    assert math.isclose(timeline.begin, before / 1e9)

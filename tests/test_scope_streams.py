# SPDX-License-Identifier: BSD-3-Clause
"""Scopes over several streams: from the first begin to the last end."""

from __future__ import annotations

import contextvars
import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from leftovers import pool_is_whole
from private_simulation import private_simulation, rebind
from simulated_cuda import GLOBAL, Simulated

from fasttime import Recorder, Sample

US = 1_000
MS = 1_000_000
SECOND = 1000 * MS


class StreamObject:
    """A stream object such as torch's."""

    def __init__(self, cuda_stream: int, device_index: int = 0) -> None:
        self.cuda_stream = cuda_stream
        self.device_index = device_index


def pair(cuda: Simulated) -> tuple[int, int]:
    return cuda.create_stream(), cuda.create_stream()


def the_sample(cuda: Simulated, recorder: Recorder, name: str = "a") -> Sample:
    cuda.advance(SECOND)
    recorder.report()
    (sample,) = recorder.samples(name)
    return sample


def ms_of(sample: Sample) -> float:
    """Return the device time in ms, to the nanosecond."""
    assert sample.device_time is not None
    return round(sample.device_time * 1e3, 6)


def scope(recorder: Recorder, name: str, streams: object) -> Any:
    return recorder.scope(name, streams=streams)  # type: ignore[arg-type]


def test_the_first_begin_and_the_last_end_count(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    cuda.enqueue(a, 4 * MS)  # a begins 4 ms later than b
    with scope(recorder, "a", [a, b]):
        cuda.enqueue(b, 1 * MS)
        cuda.enqueue(a, 5 * MS)
    sample = the_sample(cuda, recorder)
    assert (sample.status, ms_of(sample)) == ("ok", 9)


@pytest.mark.parametrize("device", [-1, -2, -3])
def test_a_negative_device_is_the_current_one(
    cuda: Simulated, recorder: Recorder, device: int
) -> None:
    stream = cuda.create_stream()
    with recorder.scope("a", stream=StreamObject(stream, device)):
        cuda.enqueue(stream, 5 * MS)
    assert ms_of(the_sample(cuda, recorder)) == 5


def test_the_order_of_the_streams_does_not_matter(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    cuda.enqueue(a, 4 * MS)
    with scope(recorder, "a", [b, a]):
        cuda.enqueue(b, 1 * MS)
        cuda.enqueue(a, 5 * MS)
    assert ms_of(the_sample(cuda, recorder)) == 9


def test_one_stream_alone_misses_the_others(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    with recorder.scope("one", stream=a), scope(recorder, "both", [a, b]):
        cuda.enqueue(b, 3 * MS)
    cuda.advance(SECOND)
    recorder.report()
    assert ms_of(recorder.samples("one")[0]) == 0
    assert ms_of(recorder.samples("one/both")[0]) == 3


def test_a_wait_before_the_block_lies_outside(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    other = cuda.create_stream()
    cuda.enqueue(other, 7 * MS)
    event = cuda.recorded(other)
    for stream in (a, b):
        cuda.wait_event(stream, event)
    with scope(recorder, "a", [a, b]):
        cuda.enqueue(a, 2 * MS)
        cuda.enqueue(b, 1 * MS)
    assert ms_of(the_sample(cuda, recorder)) == 2


def test_a_scope_waits_for_its_slowest_stream(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    with cuda.held(b):
        with scope(recorder, "a", [a, b]):
            cuda.enqueue(a, MS)
        cuda.advance(SECOND)
        report = recorder.report()
        assert (report.pending, report.open) == (1, 0)
    report = recorder.report()
    assert (report.pending, report["a"].counts["ok"]) == (0, 1)


def test_two_records_per_scope_and_stream(cuda: Simulated, recorder: Recorder) -> None:
    streams = [cuda.create_stream() for _ in range(3)]
    with scope(recorder, "warm", streams):
        pass
    before = cuda.calls("cuEventRecord")
    with scope(recorder, "a", streams):
        pass
    assert cuda.calls("cuEventRecord") - before == 6


def test_scopes_over_streams_never_wait(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    with cuda.held(a), cuda.held(b):
        for _ in range(50):
            with scope(recorder, "a", [a, b]):
                cuda.enqueue(a, MS)
        assert recorder.report().pending == 50
    cuda.advance(SECOND)
    assert recorder.report()["a"].counts["ok"] == 50


def test_late_streams_hold_up_only_their_own(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    c, d = pair(cuda)
    with cuda.held(a):
        for _ in range(40):
            with scope(recorder, "late", [a, b]):
                pass
        with scope(recorder, "ready", [c, d]):
            pass
        cuda.advance(MS)
        report = recorder.report()
        assert report["ready"].counts["ok"] == 1
        assert report.pending == 40
    cuda.advance(MS)
    assert recorder.report()["late"].counts["ok"] == 40


def test_ends_read_earlier_scopes(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    for _ in range(200):
        with scope(recorder, "a", [a, b]):
            cuda.enqueue(b, US)
        cuda.advance(2 * US)
        assert recorder._core.counts().pending <= 2


def test_waiting_reports_include_them(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    with scope(recorder, "a", [a, b]):
        cuda.enqueue(b, 5 * MS)
    assert recorder.report(wait=True, timeout=1)["a"].counts["ok"] == 1


@pytest.mark.parametrize(("late", "bottleneck"), [(0, "host-bound"), (3 * MS, "device-bound")])
def test_the_last_stream_decides_the_bottleneck(
    cuda: Simulated, recorder: Recorder, late: int, bottleneck: str
) -> None:
    a, b = pair(cuda)
    for _ in range(20):
        with scope(recorder, "a", [a, b]):
            cuda.enqueue(b, 100 * US + late)
            cuda.advance(100 * US)
        cuda.advance(300 * MS)
    assert recorder.report()["a"].bottleneck.bound == bottleneck


# --- states other than ok ---


def test_a_capture_on_one_stream_is_left_alone(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    cuda.begin_capture(b, GLOBAL)
    with scope(recorder, "a", [a, b]):
        pass
    assert cuda.capture_nodes(b) == 0
    assert cuda.end_capture(b)[0] == 0
    cuda.advance(MS)
    report = recorder.report()
    assert (report["a"].counts["captured"], report.open, report.pending) == (1, 0, 0)


def test_a_capture_that_begins_inside_counts(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    with scope(recorder, "a", [a, b]):
        cuda.begin_capture(b, GLOBAL)
    assert cuda.capture_nodes(b) == 0
    assert cuda.end_capture(b)[0] == 0
    cuda.advance(MS)
    report = recorder.report()
    assert (report["a"].counts["captured"], report.open, report.pending) == (1, 0, 0)


def test_a_failed_record_makes_the_scope_fail(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    with scope(recorder, "a", [a, b]):
        cuda.fail("cuEventRecord", 400, after=1)
    cuda.advance(MS)
    report = recorder.report()
    assert (report["a"].counts["failed"], report.open, report.pending) == (1, 0, 0)
    assert "cudaEventRecord returned 400" in report.last_failure


def test_lost_devices_make_pending_scopes_fail(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    with cuda.held(a):
        with scope(recorder, "pending", [a, b]):
            pass
        still_open = recorder.begin("open", streams=[a, b])
        cuda.set_sticky(700)
        recorder.report()
        recorder.end(still_open)
    report = recorder.report()
    assert report["pending"].counts["failed"] == 1
    assert report["open"].counts["failed"] == 1
    assert (report.open, report.pending) == (0, 0)
    cuda.set_sticky(0)
    cuda.last_error()


def test_a_lost_token_counts_as_dropped(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    token = recorder.begin("a", streams=[a, b])
    assert recorder.report().open == 1
    del token
    report = recorder.report()
    assert (report["a"].counts["dropped"], report.open) == (1, 0)


def test_a_thousand_open_scopes_are_the_bound(
    cuda: Simulated, simulated_library: Any, tmp_path: Any
) -> None:
    with private_simulation(simulated_library, tmp_path) as private:
        rebind(private)
        recorder = Recorder(share_boundaries=False)
        a, b = pair(private)
        begin = functools.partial(recorder.begin, "a", streams=[a, b])
        tokens = [contextvars.Context().run(begin) for _ in range(1030)]  # none is a parent
        assert recorder.report().open == 1030
        for token in tokens:
            recorder.end(token)
        private.advance(SECOND)
        counts = recorder.report()["a"].counts
        assert (counts["ok"], counts["dropped"]) == (1024, 6)
        with scope(recorder, "again", [a, b]):
            pass
        private.advance(SECOND)
        assert recorder.report()["again"].counts["ok"] == 1


def test_reset_forgets_pending_scopes(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    with cuda.held(a):
        with scope(recorder, "a", [a, b]):
            pass
        recorder.reset()
    cuda.advance(MS)
    report = recorder.report()
    assert (report.pending, [site.count for site in report.walk()]) == (0, [])


def test_all_events_return_to_their_pool(cuda: Simulated) -> None:
    recorder = Recorder(share_boundaries=False)
    a, b = pair(cuda)
    for _ in range(300):
        with scope(recorder, "a", [a, b]):
            cuda.enqueue(a, US)
        cuda.advance(2 * US)
    with cuda.held(a):
        with scope(recorder, "pending", [a, b]):
            pass
        token = recorder.begin("dropped", streams=[a, b])
        del token
        cuda.begin_capture(b, GLOBAL)
        with scope(recorder, "captured", [a, b]):
            pass
        cuda.end_capture(b)
        del recorder
    cuda.advance(SECOND)
    assert pool_is_whole()


def test_no_cuda_means_host_time(recorder: Recorder) -> None:
    with scope(recorder, "a", [1, 2]):
        pass
    assert recorder.report()["a"].counts["host_only"] == 1


# --- arguments ---


def test_two_devices_are_refused(cuda: Simulated, recorder: Recorder) -> None:
    streams = [StreamObject(11, 0), StreamObject(12, 1)]
    with pytest.raises(ValueError, match="one device, got streams of cuda:0 and cuda:1; use one"):
        scope(recorder, "a", streams)


@pytest.mark.parametrize(
    ("streams", "error", "words"),
    [
        ([], ValueError, "at least one stream"),
        (range(10, 27), ValueError, "at most 16 streams"),
        (7, TypeError, "for one stream, write stream="),
        ([7, "x"], TypeError, "stream must be a torch.cuda.Stream"),
    ],
)
def test_wrong_streams_are_refused(
    recorder: Recorder, streams: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        scope(recorder, "a", streams)


def test_stream_and_streams_exclude_each_other(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match="got both stream and streams"):
        recorder.scope("a", stream=1, streams=[2])
    with pytest.raises(TypeError, match=r"phases\(name, \*, stream=None\) got an unexpected"):
        recorder.phases("a", streams=[2])  # type: ignore[call-arg]


def test_a_stream_given_twice_counts_once(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    with scope(recorder, "warm", [a, b]):
        pass
    before = cuda.calls("cuEventRecord")
    with scope(recorder, "a", (a, StreamObject(b), a, b)):
        pass
    assert cuda.calls("cuEventRecord") - before == 4


def test_one_stream_is_like_the_argument_stream(cuda: Simulated, recorder: Recorder) -> None:
    a = cuda.create_stream()
    with scope(recorder, "a", [a, StreamObject(a)]):
        cuda.enqueue(a, MS)
    assert ms_of(the_sample(cuda, recorder)) == 1


def test_raw_handles_lie_on_the_named_device(cuda: Simulated, recorder: Recorder) -> None:
    other = cuda.create_stream(device=1)
    with scope(recorder, "a", [0, StreamObject(other, 1)]):
        cuda.enqueue(other, 2 * MS)
        with cuda.on_device(1):
            cuda.enqueue(0, 3 * MS)
    assert ms_of(the_sample(cuda, recorder)) == 3


@pytest.mark.parametrize("kind", ["function", "method"])
def test_decorated_functions_cover_the_streams(
    cuda: Simulated, recorder: Recorder, kind: str
) -> None:
    a, b = pair(cuda)

    class Owner:
        def work(self, ms: int) -> int:
            cuda.enqueue(b, ms * MS)
            return ms

    function: Callable[..., int] = (
        scope(recorder, "a", [a, b])(Owner().work)
        if kind == "method"
        else scope(recorder, "a", [a, b])(lambda ms: Owner().work(ms))
    )
    assert function(4) == 4
    assert ms_of(the_sample(cuda, recorder)) == 4


def test_copies_share_the_scope_and_pickles_refuse(recorder: Recorder) -> None:
    made = scope(recorder, "a", [1, 2])
    assert copy.deepcopy(made) is made
    with pytest.raises(TypeError, match=r"its stream \(1, 2\) exists in this process only"):
        pickle.dumps(made)


def test_a_timeline_places_them(cuda: Simulated, recorder: Recorder) -> None:
    a, b = pair(cuda)
    recording = recorder.record_timeline()
    recording.start()
    with scope(recorder, "a", [a, b]):
        cuda.enqueue(a, 2 * MS)
        cuda.enqueue(b, 5 * MS)
    cuda.advance(10 * MS)
    (span,) = recording.stop(wait=True).spans
    assert span.device_end is not None
    assert span.device_begin is not None
    assert span.device_end - span.device_begin == pytest.approx(5e-3, abs=1e-9)
    assert span.stream == a

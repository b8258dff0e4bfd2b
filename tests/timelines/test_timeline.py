# SPDX-License-Identifier: BSD-3-Clause
"""Recording timelines on the simulated runtime: which scopes, and their places in time."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from simulated_cuda import Simulated, in_thread

import fasttime
from fasttime import Recorder, Span, Timeline

MS = 1_000_000
S = 1_000_000_000


def ns(seconds: float | None) -> int:
    assert seconds is not None
    return round(seconds * 1e9)


def places(span: Span) -> tuple[int, int, int, int]:
    """Host begin and end, device begin and end, in ns."""
    return (ns(span.host_begin), ns(span.host_end), ns(span.device_begin), ns(span.device_end))


def anchored(cuda: Simulated, recorder: Recorder) -> int:
    """Let the recorder meet the device and anchor the device's clock. Returns the time."""
    with recorder.scope("warm-up"):
        pass
    cuda.advance(1)
    recorder.report()
    return cuda.now_ns


def test_a_span_has_the_times_of_host_and_device(cuda: Simulated, recorder: Recorder) -> None:
    start = anchored(cuda, recorder)
    with recorder.record_timeline() as timeline:
        cuda.enqueue(0, 5 * MS)
        cuda.advance(MS)
        with recorder.scope("a"):
            cuda.enqueue(0, 3 * MS)
            cuda.advance(2 * MS)
        cuda.advance(20 * MS)
    (span,) = timeline.spans
    assert places(span) == (start + MS, start + 3 * MS, start + 5 * MS, start + 8 * MS)
    assert ns(span.host_time) == 2 * MS
    assert ns(span.device_time) == 3 * MS
    assert (span.status, span.shares_boundary) == ("ok", False)


def test_parents_come_before_their_children(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        with recorder.scope("a"):
            with recorder.scope("b"):
                pass
        cuda.advance(1)
        with recorder.scope("c"):
            pass
    assert [(s.path, s.name, s.parent, s.depth) for s in timeline.spans] == [
        ("a", "a", None, 0),
        ("a/b", "b", "a", 1),
        ("c", "c", None, 0),
    ]


def test_a_span_names_device_stream_and_thread(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream(device=1)

    class Stream:
        device_index = 1
        cuda_stream = stream

    with recorder.record_timeline() as timeline:
        with recorder.scope("a"):
            pass
        with recorder.scope("b", stream=Stream()):  # type: ignore[arg-type]
            pass
    first, second = timeline.spans
    assert (first.device, first.stream, first.stream_name) == (0, 0, "default")
    assert (second.device, second.stream, second.stream_name) == (1, stream, f"{stream:#x}")
    assert {s.thread for s in timeline.spans} == {threading.get_native_id()}
    assert first.thread_name == threading.main_thread().name


def test_a_span_belongs_to_the_thread_that_began_it(cuda: Simulated, recorder: Recorder) -> None:
    numbers: list[int] = []

    def begin() -> fasttime.recorder._native.Scope:
        numbers.append(threading.get_native_id())
        return recorder.begin("a")

    with recorder.record_timeline() as timeline:
        recorder.end(in_thread(begin))
    (span,) = timeline.spans
    assert [span.thread] == numbers
    assert span.thread != threading.get_native_id()
    assert span.thread_name is not None  # although the thread has ended


def test_a_host_only_span_has_no_device(recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        with recorder.scope("a"):
            pass
    (span,) = timeline.spans
    assert span.status == "host_only"
    assert span.thread == threading.get_native_id()
    assert (span.device, span.stream, span.stream_name) == (None, None, None)
    assert (span.device_begin, span.device_end, span.uncertainty) == (None, None, None)
    assert span.device_time is None


def test_only_scopes_inside_the_interval_are_kept(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("before"):
        cuda.advance(MS)
    early = recorder.begin("early")
    cuda.advance(MS)
    recording = recorder.record_timeline()
    recording.start()
    recorder.end(early)
    with recorder.scope("inside"):
        cuda.advance(MS)
    late = recorder.begin("late")
    timeline = recording.stop(wait=True)
    cuda.advance(MS)
    recorder.end(late)
    with recorder.scope("after"):
        pass
    assert [span.path for span in timeline.spans] == ["inside"]


def test_a_scope_that_is_resolved_later_is_kept(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        with recorder.scope("a"):
            cuda.enqueue(0, 50 * MS)
    (span,) = timeline.spans
    assert ns(span.device_time) == 50 * MS
    assert timeline.end_ns == ns(span.device_end)
    assert timeline.pending == 0


def test_stop_waits_only_if_asked(cuda: Simulated, recorder: Recorder) -> None:
    recording = recorder.record_timeline()
    recording.start()
    with recorder.scope("a"):
        cuda.enqueue(0, 50 * MS)
    timeline = recording.stop()
    assert len(timeline) == 0
    assert timeline.pending == 1
    (warning,) = timeline.warnings
    assert warning.kind == "unfinished"
    assert warning.message.endswith("Stop with stop(wait=True), outside a CUDA graph capture.")
    assert str(warning) in repr(timeline).replace("\n", " ")
    cuda.advance(50 * MS)


def test_a_stop_waits_no_longer_than_its_timeout(cuda: Simulated, recorder: Recorder) -> None:
    recording = recorder.record_timeline()
    recording.start()
    with recorder.scope("a"):
        cuda.hold(0)
    before = cuda.now_ns
    timeline = recording.stop(wait=True, timeout=0.5)
    assert timeline.pending == 1
    assert cuda.now_ns - before == S // 2
    assert [(w.kind, w.message[-18:]) for w in timeline.warnings] == [
        ("unfinished", "Raise the timeout.")
    ]
    cuda.release(0)


def test_the_block_waits_no_longer_than_its_timeout(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline(timeout=0.25) as timeline:
        with recorder.scope("a"):
            cuda.hold(0)
        before = cuda.now_ns
    assert timeline.pending == 1
    assert cuda.now_ns - before == S // 4
    assert [(w.kind, w.message[-18:]) for w in timeline.warnings] == [
        ("unfinished", "Raise the timeout.")
    ]
    cuda.release(0)


def test_an_exception_leaves_the_block_at_once(cuda: Simulated, recorder: Recorder) -> None:
    with pytest.raises(KeyError), recorder.record_timeline() as timeline:
        with recorder.scope("a"):
            pass
        with recorder.scope("b"):
            cuda.enqueue(0, 50 * MS)
            cuda.advance(MS)
        before = cuda.now_ns
        raise KeyError
    assert cuda.now_ns == before
    assert [span.path for span in timeline.spans] == ["a"]


def test_nothing_waits_inside_a_capture(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    cuda.set_current_stream(stream)
    with recorder.record_timeline() as timeline:
        with recorder.scope("before"):
            cuda.enqueue(stream, 50 * MS)
        cuda.begin_capture(stream)
        with recorder.scope("captured"):
            pass
        before, anchors = cuda.now_ns, cuda.calls("cudaEventRecord")
    assert cuda.now_ns == before
    assert cuda.calls("cudaEventRecord") == anchors, "an anchor was taken in a capture"
    assert cuda.capture_alive(stream)
    cuda.end_capture(stream)
    assert [(span.path, span.status) for span in timeline.spans] == [("captured", "captured")]
    assert timeline.pending == 1
    assert [warning.kind for warning in timeline.warnings] == ["unfinished", "captured"]


def test_scopes_beyond_the_bound_are_counted(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline(max_scopes=3) as timeline:
        for i in range(5):
            with recorder.scope(str(i)):
                pass
    assert [span.name for span in timeline.spans] == ["0", "1", "2"]
    assert timeline.dropped == 2
    (warning,) = timeline.warnings
    assert warning.kind == "dropped"
    assert warning.message.startswith("fasttime did not keep 2 scopes because max_scopes")
    assert recorder.report()["4"].count == 1  # the statistics are complete


def test_a_background_recording_gives_way(cuda: Simulated, recorder: Recorder) -> None:
    background = recorder.record_timeline()
    background.start_in_background()
    with recorder.record_timeline() as timeline:
        with recorder.scope("a"):
            pass
        assert not background.is_recording
    assert len(timeline) == 1
    assert not background.is_recording


def test_a_background_recording_can_be_stopped(cuda: Simulated, recorder: Recorder) -> None:
    background = recorder.record_timeline()
    background.start_in_background()
    with recorder.scope("a"):
        pass
    assert background.is_recording
    assert len(background.stop(wait=True)) == 1
    with recorder.record_timeline(), pytest.raises(RuntimeError, match="being recorded already"):
        recorder.record_timeline().start()


def test_a_second_recording_starts_empty(cuda: Simulated, recorder: Recorder) -> None:
    recording = recorder.record_timeline(max_scopes=1)
    for name in ("first", "second"):
        with recording as timeline:
            with recorder.scope(name):
                pass
            with recorder.scope("too much"):
                pass
        assert [span.name for span in timeline.spans] == [name]
        assert timeline.dropped == 1


def test_one_timeline_of_a_recorder_at_a_time(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline():
        with pytest.raises(RuntimeError, match=r"being recorded already; stop\(\) that recording"):
            recorder.record_timeline().start()
        with recorder.scope("a"):
            pass
    with recorder.record_timeline():
        pass


def test_two_recorders_record_side_by_side(cuda: Simulated, recorder: Recorder) -> None:
    other = Recorder(share_boundaries=False)
    with recorder.record_timeline() as mine, other.record_timeline() as theirs:
        with recorder.scope("a"), other.scope("b"):
            pass
    assert [span.path for span in mine.spans] == ["a"]
    assert [span.path for span in theirs.spans] == ["b"]


def test_stop_without_start_is_an_error(recorder: Recorder) -> None:
    with pytest.raises(RuntimeError, match=r"no timeline is being recorded; call start\(\) first"):
        recorder.record_timeline().stop()


class StoppedTwice:
    """A core that stops the recording again during drain(), as another thread might."""

    def __init__(self, core: Any, recording: Any) -> None:
        self._core, self._recording = core, recording

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def drain(self, timeout: float) -> None:
        with pytest.raises(RuntimeError, match="no timeline is being recorded"):
            self._recording.stop()
        self._core.drain(timeout)


def test_of_two_stops_at_once_one_gets_the_timeline() -> None:
    recorder = fasttime.Recorder()
    recording = recorder.record_timeline()
    recording.start()
    with recorder.scope("step"):
        pass
    recording._core = StoppedTwice(recording._core, recording)  # type: ignore[assignment]
    assert [span.name for span in recording.stop(wait=True).spans] == ["step"]


def test_a_wrong_timeout_does_not_stop_recording(recorder: fasttime.Recorder) -> None:
    recording = recorder.record_timeline()
    recording.start_in_background()
    with pytest.raises(ValueError, match="timeout must be"):
        recording.stop(wait=True, timeout=-1)
    with recorder.record_timeline():  # the background recording still gives way
        pass
    assert not recording.is_recording


def test_stop_inside_the_block_ends_the_recording(cuda: Simulated, recorder: Recorder) -> None:
    recording = recorder.record_timeline()
    with recording as timeline:
        with recorder.scope("a"):
            pass
        assert recording.stop(wait=True) is timeline
        with recorder.scope("b"):
            pass
    assert [span.path for span in timeline.spans] == ["a"]


def test_a_timeline_is_unreadable_while_recorded(recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        assert repr(timeline) == "Timeline, being recorded"
        assert "being recorded" in timeline._repr_html_()
        for read in ("spans", "begin", "duration", "dropped", "pending", "columns", "warnings"):
            with pytest.raises(RuntimeError, match="still being recorded"):
                getattr(timeline, read)


@pytest.mark.parametrize("bound", [0, -1, 10_000_001])
def test_a_bound_out_of_range_is_refused(recorder: Recorder, bound: int) -> None:
    with pytest.raises(ValueError, match="max_scopes must lie between 1 and 10,000,000"):
        recorder.record_timeline(max_scopes=bound)


def test_a_path_instead_of_the_bound_is_explained(recorder: Recorder) -> None:
    message = (
        "max_scopes must be a number of scopes, got 'trace.json'; save the timeline after the "
        "recording: timeline.save('trace.json')"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        recorder.record_timeline("trace.json")  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_a_timeout_out_of_range_is_refused(recorder: Recorder, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be a number of seconds >= 0"):
        recorder.record_timeline(timeout=timeout)
    recording = recorder.record_timeline()
    with recording:
        with pytest.raises(ValueError, match="timeout must be a number of seconds >= 0"):
            recording.stop(timeout=timeout)


def test_an_interrupted_wait_still_ends_the_recording(
    cuda: Simulated, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        """A core that is interrupted by Ctrl-C while it waits."""

        def __init__(self, core: object) -> None:
            self._core = core

        def __getattr__(self, name: str) -> object:
            return getattr(self._core, name)

        def drain(self, timeout_s: float) -> bool:
            raise KeyboardInterrupt

    recording = recorder.record_timeline()
    monkeypatch.setattr(recording, "_core", Interrupted(recording._core))
    with pytest.raises(KeyboardInterrupt):
        with recording as timeline:
            pass
    assert len(timeline) == 0
    with recorder.record_timeline():
        pass


def test_scopes_that_have_no_device_time_say_why(cuda: Simulated, recorder: Recorder) -> None:
    anchored(cuda, recorder)
    with recorder.record_timeline() as timeline:
        cuda.fail("cudaEventRecord", 400)
        with recorder.scope("failed"):
            cuda.advance(MS)
        recorder.begin("dropped")
        with recorder.scope("ok"):
            pass
    by_path = {span.path: span for span in timeline.spans}
    assert {path: span.status for path, span in by_path.items()} == {
        "failed": "failed",
        "dropped": "dropped",
        "ok": "ok",
    }
    assert ns(by_path["failed"].host_time) == MS
    assert by_path["failed"].device_begin is None
    assert by_path["dropped"].host_end is None
    assert by_path["dropped"].host_time is None
    assert by_path["dropped"].device_begin is None
    assert by_path["ok"].device_begin is not None
    assert [warning.kind for warning in timeline.warnings] == ["never_ended", "failed"]


def test_a_lost_device_leaves_failed_spans(cuda: Simulated, recorder: Recorder) -> None:
    anchored(cuda, recorder)
    with recorder.record_timeline() as timeline:
        with recorder.scope("a"):
            cuda.enqueue(0, MS)
        cuda.set_sticky(700)
        recorder.report()
        cuda.set_sticky(0)
        cuda.last_error()  # this error is for torch to find
    (span,) = timeline.spans
    assert (span.status, span.device_begin, span.device) == ("failed", None, 0)


def test_a_reset_does_not_touch_a_timeline(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        with recorder.scope("a"):
            pass
        recorder.reset()
        with recorder.scope("b"):
            pass
    assert [span.path for span in timeline.spans] == ["a", "b"]


def test_a_span_says_if_it_shares_a_boundary(cuda: Simulated) -> None:
    recorder = Recorder()  # the clock stands still, so all boundaries are shared
    with recorder.record_timeline() as timeline:
        with recorder.scope("a"), recorder.scope("b"):
            pass
    assert [span.shares_boundary for span in timeline.spans] == [True, True]


def test_phases_are_spans_end_to_end(cuda: Simulated, recorder: Recorder) -> None:
    anchored(cuda, recorder)
    with recorder.record_timeline() as timeline:
        with recorder.phases("step") as phase:
            for name in ("load", "forward"):
                phase(name)
                cuda.enqueue(0, 2 * MS)
                cuda.advance(MS)
    step, load, forward = timeline.spans
    assert (step.path, load.path, forward.path) == ("step", "step/load", "step/forward")
    assert load.device_end == forward.device_begin
    assert {span.thread for span in timeline.spans} == {threading.get_native_id()}


def test_without_a_recording_reading_costs_one_call(cuda: Simulated, recorder: Recorder) -> None:
    def calls() -> int:
        before = cuda.calls("cudaEventElapsedTime")
        for _ in range(5):  # few enough that none gets a backlog check
            with recorder.scope("a"):
                pass
        recorder.report()
        return cuda.calls("cudaEventElapsedTime") - before

    anchored(cuda, recorder)
    assert calls() == 5
    with recorder.record_timeline():
        recorded = calls()
    assert recorded == 10
    assert calls() == 5


def test_recording_adds_no_event_to_a_scope(cuda: Simulated, recorder: Recorder) -> None:
    anchored(cuda, recorder)
    recording = recorder.record_timeline()
    recording.start()
    before = cuda.calls("cudaEventRecord")
    for _ in range(100):
        with recorder.scope("a"):
            pass
    assert cuda.calls("cudaEventRecord") - before == 200
    assert len(recording.stop(wait=True)) == 100


def test_threads_record_into_one_timeline(cuda: Simulated, recorder: Recorder) -> None:
    streams = [cuda.create_stream() for _ in range(4)]

    def work(stream: int) -> int:
        for _ in range(200):
            with recorder.scope("a", stream=stream):
                pass
        return threading.get_native_id()

    anchored(cuda, recorder)
    with recorder.record_timeline() as timeline:
        threads = [threading.Thread(target=work, args=(stream,)) for stream in streams]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(timeline) == 800
    assert all(span.device_begin is not None for span in timeline.spans)
    for stream in streams:
        assert len({span.thread for span in timeline.spans if span.stream == stream}) == 1


def test_the_interval_is_from_start_to_stop(cuda: Simulated, recorder: Recorder) -> None:
    start = cuda.now_ns
    with recorder.record_timeline() as timeline:
        cuda.advance(5 * MS)
    cuda.advance(MS)
    assert (timeline.begin_ns, timeline.end_ns) == (start, start + 5 * MS)
    assert ns(timeline.duration) == 5 * MS


def test_an_empty_recording_says_so(recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        pass
    assert len(timeline) == 0
    assert list(timeline.spans) == []
    assert repr(timeline).startswith("Timeline: 0 scopes in ")
    assert timeline.warnings == ()


def test_a_repr_is_a_summary_and_a_table(cuda: Simulated, recorder: Recorder) -> None:
    anchored(cuda, recorder)
    with recorder.record_timeline() as timeline:
        with recorder.scope("a"):
            cuda.advance(5 * MS)
    assert repr(timeline).splitlines() == [
        "Timeline: 1 scope in 5.000 ms, 1 placed on a device, 1 thread, 1 stream",
        "scope             scopes  host total  host mean  device total  device mean",
        "a                      1    5.000 ms   5.000 ms      5.000 ms     5.000 ms",
    ]


def test_the_default_recorder_has_a_timeline_too() -> None:
    with fasttime.record_timeline() as timeline:
        with fasttime.scope("a"):
            pass
    assert isinstance(timeline, Timeline)
    assert [span.path for span in timeline.spans] == ["a"]
    fasttime.reset()

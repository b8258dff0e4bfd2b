# SPDX-License-Identifier: BSD-3-Clause
"""The names of threads on a timeline, even of threads that have ended."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import pytest

from fasttime import Recorder


def ended(name: str, body: Callable[[], object]) -> None:
    """Run `body` on a thread of that name until the thread has ended."""
    thread = threading.Thread(target=body, name=name)
    thread.start()
    thread.join()


def timed(recorder: Recorder, path: str) -> Callable[[], None]:
    def body() -> None:
        with recorder.scope(path):
            pass

    return body


def names(timeline: object) -> dict[str, str | None]:
    return {span.path: span.thread_name for span in timeline.spans}  # type: ignore[attr-defined]


def test_an_ended_thread_keeps_its_name(recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        ended("prefetcher", timed(recorder, "a"))
    assert names(timeline) == {"a": "prefetcher"}


def test_a_thread_that_ends_later_keeps_its_name(recorder: Recorder) -> None:
    begin, recording = threading.Event(), recorder.record_timeline()

    def body() -> None:
        begin.wait()
        timed(recorder, "a")()

    thread = threading.Thread(target=body, name="early")
    thread.start()
    recording.start()
    begin.set()
    thread.join()
    assert names(recording.stop()) == {"a": "early"}


def test_a_living_thread_has_its_latest_name(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorder.record_timeline() as timeline:
        timed(recorder, "a")()
        monkeypatch.setattr(threading.current_thread(), "name", "renamed")
    assert names(timeline) == {"a": "renamed"}


def test_two_recordings_name_threads_at_once(recorder: Recorder) -> None:
    other = Recorder()
    first, second = recorder.record_timeline(), other.record_timeline()
    first.start()
    second.start()
    first.stop()
    ended("late", timed(other, "b"))
    assert names(second.stop()) == {"b": "late"}


def test_threads_start_as_before_after_a_recording(recorder: Recorder) -> None:
    before = threading.Thread.start
    with recorder.record_timeline():
        assert threading.Thread.start is not before
    assert threading.Thread.start is before


def test_a_wrapper_of_another_tool_stays(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.start)  # put back at the end
    seen: list[str] = []
    with recorder.record_timeline():
        ours = threading.Thread.start

        @functools.wraps(ours)
        def start(self: threading.Thread) -> None:
            seen.append(self.name)
            ours(self)

        threading.Thread.start = start  # type: ignore[method-assign]
    assert threading.Thread.start is start
    ended("after", lambda: None)
    with recorder.record_timeline() as timeline:
        ended("again", timed(recorder, "a"))
    assert seen == ["after", "again"]
    assert names(timeline) == {"a": "again"}

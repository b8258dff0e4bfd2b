# SPDX-License-Identifier: BSD-3-Clause
"""A saved trace gives back an equal timeline, and damaged files are refused."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_up_timeline import STEP, any_span, span
from simulated_cuda import Simulated

import fasttime
from fasttime import Recorder, Span, Timeline

SPANS = [
    *STEP,
    span("step/large", (4, 6.000_001), (9, 11.123_457), thread=2**63, stream=2**64 - 1, index=1),
    span("lost", (7, None), status="dropped"),
    span("failed", (8, 9), status="failed")._replace(device=1, stream=7, shares_boundary=True),
]


def full() -> Timeline:
    """A timeline in which nothing has its default value."""
    columns = Timeline.from_spans(SPANS).columns
    return Timeline(
        columns,
        {100: "MainThread", 7: "é\ud800"},
        begin_ns=-5,
        end_ns=10**12,
        dropped=3,
        pending=2,
        waited=True,
    )


def loaded(timeline: Timeline, suffix: str = ".json") -> Timeline:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"trace{suffix}")
        timeline.save(path)
        found = fasttime.load(path)
    assert isinstance(found, Timeline)
    return found


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_a_saved_timeline_comes_back(suffix: str) -> None:
    found = loaded(full(), suffix)
    assert found == full()
    assert list(found.spans) == list(full().spans)
    assert found.thread_names == full().thread_names
    assert found.warnings == full().warnings
    assert (found.begin_ns, found.end_ns) == (-5, 10**12)


def test_a_recorded_timeline_comes_back(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        for _ in range(3):
            with recorder.scope("a"), recorder.scope("b/c"):
                cuda.enqueue(0, 1_234_567)
                cuda.advance(1_000_001)
    assert len(timeline) == 6
    assert loaded(timeline) == timeline


def test_an_empty_timeline_comes_back() -> None:
    assert loaded(Timeline.from_spans([])) == Timeline.from_spans([])


def test_times_beyond_fifty_days_stay_exact() -> None:
    made = span("a", (0, 9e12 + 0.001), (2, 3))
    timeline = Timeline.from_spans([made])
    assert loaded(timeline) == timeline


# Two halves of a surrogate pair become one character in JSON.
@example([span("a", (0, 1))._replace(path="\ud800", name="\ud800")])
@settings(max_examples=50, deadline=None)
@given(st.lists(any_span(), max_size=8))
def test_any_spans_come_back(spans: list[Span]) -> None:
    timeline = Timeline.from_spans(spans)
    found = loaded(timeline)
    assert [s._replace(path="", name="") for s in found.spans] == [
        s._replace(path="", name="") for s in timeline.spans
    ]
    assert [s.path for s in found.spans] == [json.loads(json.dumps(s.path)) for s in timeline.spans]


def test_equal_timelines_number_sites_differently() -> None:
    forwards, backwards = Timeline.from_spans(STEP), Timeline.from_spans(reversed(STEP))
    assert forwards.columns.sites != backwards.columns.sites
    assert forwards == backwards


@pytest.mark.parametrize(
    "change",
    [
        {"status": "failed"},
        {"thread": 3, "thread_name": None},
        {"device": 1},
        {"stream": 5},
        {"host_begin": 0.001},
        {"host_end": None},
        {"device_begin": 0.0011},
        {"device_begin": None},
        {"uncertainty": 1e-9},
        {"shares_boundary": True},
        {"path": "other"},
    ],
)
def test_a_changed_span_makes_timelines_unequal(change: dict[str, Any]) -> None:
    changed = [STEP[0]._replace(**change), *STEP[1:]]
    assert Timeline.from_spans(changed) != Timeline.from_spans(STEP)


@pytest.mark.parametrize(
    "change",
    [{"dropped": 1}, {"pending": 1}, {"waited": True}, {"begin_ns": -1}, {"end_ns": 10**9}],
)
def test_a_changed_fact_makes_timelines_unequal(change: dict[str, Any]) -> None:
    columns = Timeline.from_spans(STEP).columns
    assert Timeline(columns, **change) != Timeline(columns)
    assert Timeline(columns, {100: "a"}) != Timeline(columns)
    assert Timeline(columns) != "another type"


def host(trace: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the first host event."""
    return next(e["args"] for e in trace["traceEvents"] if e.get("cat") == "host")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda t: host(t).pop("thread"), "thread should be a whole number"),
        (lambda t: host(t).update(begin_ns=0.5), "begin_ns should be a whole number"),
        (lambda t: host(t).update(begin_ns=2**63), "begin_ns is out of range"),
        (lambda t: host(t).update(thread=-1), "thread is out of range"),
        (lambda t: host(t).update(site=99), "a site that is missing in sites"),
        (lambda t: host(t).update(status="great"), "status should be one of ok, .*'great'"),
        (lambda t: host(t).update(shares_boundary=1), "shares_boundary should be true or false"),
        (lambda t: host(t).update(span=1), "one host event per span"),
        (lambda t: t["traceEvents"].append(t["traceEvents"][-1]), "at most one device event"),
        (lambda t: t["traceEvents"].append({"cat": "host"}), "has no args"),
        (lambda t: t.pop("traceEvents"), "traceEvents should be a list"),
        (lambda t: t["otherData"].pop("begin_ns"), "begin_ns is missing"),
        (lambda t: t["otherData"].update(dropped=-1), "dropped should be a whole number"),
        (lambda t: t["otherData"].update(end_ns=2**63), "end_ns should be a whole number from"),
        (lambda t: t["otherData"].update(begin_ns=-(10**400)), "begin_ns should be a whole number"),
        (lambda t: t["otherData"]["sites"][0].update(depth=2**31), r"sites\[0\].depth should be a"),
        (lambda t: t["otherData"].update(thread_names={"a": "b"}), "thread_names: "),
        (lambda t: t["otherData"].update(version=99), "version 99"),
        (lambda t: t["otherData"].pop("format"), "was not saved by fasttime"),
    ],
)
def test_a_damaged_trace_is_refused(
    damage: Callable[[dict[str, Any]], Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "trace.json"
    Timeline.from_spans(STEP).save(path)
    trace = json.loads(path.read_text())
    damage(trace)
    path.write_text(json.dumps(trace))
    with pytest.raises(ValueError, match=words) as caught:
        fasttime.load(path)
    assert str(path) in str(caught.value)


def test_a_zipped_trace_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    full().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cut short"):
        fasttime.load(path)


def test_a_zipped_trace_with_a_wrong_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    full().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + b"\xff" * 40 + whole[80:])
    with pytest.raises(ValueError, match=r"trace\.json\.gz is not JSON, or was cut short"):
        fasttime.load(path)


def test_a_trace_of_another_tool_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    path.write_bytes(gzip.compress(b'{"traceEvents": []}'))
    with pytest.raises(ValueError, match="was not saved by fasttime"):
        fasttime.load(path)

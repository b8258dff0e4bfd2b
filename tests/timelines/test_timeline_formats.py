# SPDX-License-Identifier: BSD-3-Clause
"""Timelines of made-up spans as values, traces, DataFrames and CSV."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_timeline import MAIN, STEP, any_span, span, steps
from trace_format import arrows, ns, scopes, validated

from fasttime import Span, Timeline
from fasttime.timelines import export
from fasttime.timelines import trace as trace_format


def trace(timeline: Timeline) -> str:
    file = io.StringIO()
    trace_format.write(timeline, file)
    return file.getvalue()


# ---- the value


def test_spans_can_be_read_like_a_list() -> None:
    timeline = Timeline.from_spans(STEP)
    assert len(timeline.spans) == len(timeline) == 3
    assert list(timeline.spans) == STEP
    assert timeline.spans[1] == STEP[1]
    assert timeline.spans[-1] == STEP[-1]
    assert list(timeline.spans[1:]) == STEP[1:]
    assert STEP[2] in timeline.spans
    assert repr(timeline.spans) == "<3 spans>"
    with pytest.raises(IndexError):
        timeline.spans[3]


def test_spans_are_sorted_by_their_begin_on_the_host() -> None:
    timeline = Timeline.from_spans(reversed(STEP))
    assert list(timeline.spans) == STEP


def test_a_timeline_of_spans_covers_them() -> None:
    timeline = Timeline.from_spans(STEP)
    assert (timeline.begin, timeline.end, timeline.duration) == (0.0, 0.009, 0.009)
    assert repr(timeline).splitlines()[0] == (
        "Timeline: 3 scopes in 9.000 ms, 3 placed on a device, 1 thread, 1 stream"
    )


def test_columns_can_be_picked_by_a_mask() -> None:
    columns = Timeline.from_spans(STEP).columns
    late = columns[columns.host_begin_ns > 1_000_000]
    assert [late.sites[site].path for site in late.site] == ["step/small"]


# ---- the trace


def test_a_trace_has_a_track_per_thread_and_stream() -> None:
    timeline = Timeline.from_spans(
        [
            *STEP,
            span("load", (1, 2), thread=7, status="host_only"),
            span("copy", (2, 3), (2, 3), stream=0xABC),
            span("other", (5, 6), (5, 6), index=1),
        ]
    )
    document = validated(trace(timeline))
    named = [e for e in document["traceEvents"] if e["ph"] == "M"]
    assert [e["args"]["name"] for e in named] == [
        "host",
        "thread 7",
        "MainThread (100)",
        "cuda:0",
        "stream default",
        "stream 0xabc",
        "cuda:1",
        "stream default",
    ]


def test_a_trace_is_exact_to_the_nanosecond() -> None:
    timeline = Timeline.from_spans([span("a", (1, 2.000_001), (1.5, 3.123_457))])
    document = validated(trace(timeline))
    assert scopes(document, "host") == [("a", 0, 1_000_001)]
    assert scopes(document, "device") == [("a", 500_000, 1_623_457)]


def test_an_arrow_leads_from_host_part_to_device_part() -> None:
    document = validated(trace(Timeline.from_spans(STEP)))
    starts, ends = arrows(document["traceEvents"])
    assert [start["args"]["path"] for start in starts.values()] == [s.path for s in STEP]
    assert {start["cat"] for start in starts.values()} == {"host"}
    assert {end["cat"] for end in ends.values()} == {"device"}


def test_a_device_that_seems_early_is_drawn_later() -> None:
    # Device 0 is up to 1 us early, with an uncertainty of 3 us. Device 1 is in order.
    spans = [
        span("a", (1, 9), (0.999, 4)),
        span("a/b", (2, 9), (2.5, 3)),
        span("c", (10, 12), (11, 13), index=1),
    ]
    document = validated(trace(Timeline.from_spans(spans)))
    starts, _ = arrows(document["traceEvents"])
    assert [start["name"] for start in starts.values()] == ["a", "b", "c"]
    assert scopes(document, "device") == [
        ("a", 1_001, 3_001_000),
        ("b", 1_502_001, 500_000),
        ("c", 10_001_000, 2_000_000),
    ]


def test_a_child_never_begins_before_its_parent() -> None:
    # One event is the end of a and the begin of b and b/c. The end reads 100 ns later.
    spans = [
        span("a", (0, 1), (1, 10.000_1)),
        span("b", (2, 9), (10, 30)),
        span("b/c", (3, 8), (10, 20)),
    ]
    document = validated(trace(Timeline.from_spans(spans)))
    assert [begin for _, begin, _ in scopes(document, "device")] == [
        1_000_000,
        10_000_100,
        10_000_100,
    ]


def test_no_arrow_points_backwards_in_time() -> None:
    first = span("a", (1, 2), (0.99, 4))
    document = validated(trace(Timeline.from_spans([first, span("b", (5, 6), (5.001, 6))])))
    starts, _ = arrows(document["traceEvents"])
    assert [start["name"] for start in starts.values()] == ["b"]


def test_overlapping_scopes_get_rows_of_their_own() -> None:
    tasks = [span("a", (0, 3)), span("b", (1, 5)), span("c", (4, 6)), span("b/x", (2, 4))]
    document = validated(trace(Timeline.from_spans(tasks)))
    rows = {e["name"]: e["tid"] for e in document["traceEvents"] if e["ph"] == "X"}
    assert rows["a"] == rows["c"]
    assert rows["b"] == rows["x"]
    names = [e["args"]["name"] for e in document["traceEvents"] if e["name"] == "thread_name"]
    assert names == ["MainThread (100)", "MainThread (100), row 2"]


def test_rounding_does_not_split_one_event() -> None:
    # 60 ns early and late, the rounding of a float of milliseconds after one second.
    timeline = Timeline.from_spans(
        [
            span("a", (0, 4), (1.000_06, 9)),
            span("a/b", (0, 2), (1, 6.000_06)),
            span("a/c", (2, 4), (6, 9.000_06)),
        ]
    )
    document = validated(trace(timeline))
    assert scopes(document, "device") == [
        ("a", 1_000_000, 8_000_000),
        ("b", 1_000_000, 5_000_060),
        ("c", 6_000_060, 2_999_940),
    ]
    assert len({e["tid"] for e in document["traceEvents"] if e.get("cat") == "device"}) == 1


def test_a_moved_begin_causes_no_overlap() -> None:
    # Two threads use one stream. Except for rounding, "third" begins at the end of "inside". It
    # lasts longer than "first", so it has a row of its own. Still, "last" must not begin before the
    # end of "inside".
    spans = [
        span("first", (0, 0.001), (0.0005, 0.0021)),
        span("inside", (0, 0.001), (0.0005, 0.0014)),
        span("third", (0, 0.001), (0.0012, 0.0030), thread=MAIN + 1),
        span("last", (0, 0.001), (0.0012, 0.0023)),
    ]
    document = validated(trace(Timeline.from_spans(spans)))
    assert scopes(document, "device") == [
        ("first", 500, 1600),
        ("inside", 500, 900),
        ("third", 1200, 1800),
        ("last", 1400, 700),
    ]


def test_a_scope_that_was_never_ended_is_an_instant() -> None:
    lost = span("lost", (1, None), status="dropped")
    document = validated(trace(Timeline.from_spans([*STEP, lost])))
    (instant,) = [e for e in document["traceEvents"] if e["ph"] == "i"]
    assert (instant["name"], ns(instant["ts"])) == ("lost", 1_000_000)
    assert instant["args"]["status"] == "dropped"


def test_a_trace_says_what_is_missing() -> None:
    columns = Timeline.from_spans(STEP).columns
    document = validated(trace(Timeline(columns, dropped=5, pending=2)))
    assert document["otherData"]["dropped"] == 5
    assert document["otherData"]["pending"] == 2


def test_an_empty_trace_is_a_trace() -> None:
    document = validated(trace(Timeline.from_spans([])))
    assert [e["ph"] for e in document["traceEvents"]] == ["M"]


def test_a_trace_is_written_in_small_parts() -> None:
    class Counting(io.StringIO):
        longest = 0

        def write(self, text: str) -> int:
            self.longest = max(self.longest, len(text))
            return super().write(text)

    few, many = Counting(), Counting()
    trace_format.write(Timeline.from_spans(STEP * 1_000), few)
    trace_format.write(Timeline.from_spans(STEP * 4_000), many)
    assert len(many.getvalue()) > 3.5 * len(few.getvalue())
    assert many.longest < 1.1 * few.longest
    validated(many.getvalue())


@given(st.lists(any_span(), max_size=20))
def test_any_spans_make_a_valid_trace(spans: list[Span]) -> None:
    document = validated(trace(Timeline.from_spans(spans)))
    ended = [made.name for made in spans if made.host_end is not None]
    assert sorted(name for name, _, _ in scopes(document, "host")) == sorted(ended)
    placed = [made.name for made in spans if made.device_begin is not None]
    assert sorted(name for name, _, _ in scopes(document, "device")) == sorted(placed)


# ---- tables


def test_dicts_hold_the_fields_of_a_span() -> None:
    timeline = Timeline.from_spans(STEP)
    assert timeline.to_dict()["spans"] == [made._asdict() for made in STEP]


def test_a_frame_holds_the_fields_of_a_span() -> None:
    pytest.importorskip("pandas")
    host_only = span("x", (5, 6), status="host_only")
    frame = Timeline.from_spans([*STEP, host_only]).to_pandas()
    assert list(frame.columns) == list(Span._fields)
    assert list(frame["path"]) == ["step", "step/large", "step/small", "x"]
    assert frame["device_end"][0] == 0.009
    assert math.isnan(frame["device_end"][3])
    assert frame["device"].isna().tolist() == [False, False, False, True]


def test_an_empty_frame_has_all_columns() -> None:
    pytest.importorskip("pandas")
    frame = Timeline.from_spans([]).to_pandas()
    assert list(frame.columns) == list(Span._fields)
    assert len(frame) == 0


def test_csv_has_a_heading_and_one_line_per_span() -> None:
    file = io.StringIO()
    export.write_csv(Timeline.from_spans(STEP), file)
    heading, *lines = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert heading == list(Span._fields)
    assert [dict(zip(heading, line, strict=True))["path"] for line in lines] == [
        "step",
        "step/large",
        "step/small",
    ]
    first = dict(zip(heading, lines[0], strict=True))
    assert (first["parent"], first["device_end"], first["stream"]) == ("", "0.009", "0")


# ---- hostile names, in every format

HOSTILE = st.text(st.characters(), min_size=1) | st.sampled_from(
    ['"', "\\", "\n", "\r\n", "\0", "\ud800", "</script>", "=1+1", ",", "\u2028", "é", "🙂", "$x^$"]
)


@given(HOSTILE)
def test_any_name_comes_back_from_a_trace(name: str) -> None:
    made = STEP[0]._replace(path=name, name=name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        Timeline.from_spans([made]).save(path)
        document = validated(path.read_text(encoding="utf-8"))
    assert [n for n, _, _ in scopes(document, "host")] == [json.loads(json.dumps(name))]


def test_characters_stand_in_a_trace_as_they_are() -> None:
    made = STEP[0]._replace(path="é🙂", name="é🙂", thread_name="Fäden")
    text = trace(Timeline.from_spans([made]))
    assert '"name":"é🙂"' in text
    assert '"Fäden (100)"' in text


@given(HOSTILE)
def test_any_name_comes_back_from_csv(name: str) -> None:
    made = STEP[0]._replace(path=name, name=name)
    raw = io.BytesIO()
    text = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="")
    export.write_csv(Timeline.from_spans([made]), text)
    text.flush()
    _, line = csv.reader(io.StringIO(raw.getvalue().decode(), newline=""))
    expected = name.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    assert line[0] == expected


# ---- files


def peak_while_saving(timeline: Timeline, path: Path) -> int:
    """The bytes that saving allocates."""
    tracemalloc.start()
    try:
        timeline.save(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("suffix", "to_sort"), [(".json", 40), (".json.gz", 40), (".csv", 0)])
def test_saving_takes_little_memory(tmp_path: Path, suffix: str, to_sort: int) -> None:
    few, many = steps(1_000), steps(2_500)
    for_few = peak_while_saving(few, tmp_path / f"few{suffix}")
    for_many = peak_while_saving(many, tmp_path / f"many{suffix}")
    assert for_few < 4_000_000
    assert for_many < for_few + 100_000 + to_sort * (len(many) - len(few))


@pytest.fixture
def step() -> Timeline:
    return Timeline.from_spans(STEP)


def test_a_file_of_json_is_the_trace(step: Timeline, tmp_path: Path) -> None:
    step.save(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == trace(step)


def test_a_file_of_json_gz_is_the_trace_zipped(step: Timeline, tmp_path: Path) -> None:
    step.save(str(tmp_path / "a.json.gz"))
    assert gzip.decompress((tmp_path / "a.json.gz").read_bytes()).decode() == trace(step)


def test_a_file_of_csv_is_the_table(step: Timeline, tmp_path: Path) -> None:
    step.save(tmp_path / "A.CSV")
    with open(tmp_path / "A.CSV", newline="") as file:
        assert len(list(csv.reader(file))) == 4


@pytest.mark.parametrize("name", ["a.htm", "a", "a.gz", "json"])
def test_an_unknown_suffix_is_refused_by_name(step: Timeline, tmp_path: Path, name: str) -> None:
    known = r"one of \.json, \.json\.gz, \.csv, \.html, \.svg, \.png, \.pdf; got .*"
    with pytest.raises(ValueError, match=known):
        step.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_options_are_for_pictures(step: Timeline, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a \.json file takes no options, got explain"):
        step.save(tmp_path / "a.json", explain="step")


def test_unknown_options_of_a_picture_are_refused(step: Timeline, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    there = "a picture has no option foo; its options are explain, waits, begin, end, title, dark"
    with pytest.raises(ValueError, match=there):
        step.save(tmp_path / "a.svg", foo=1, dark=True)
    assert list(tmp_path.iterdir()) == []


def test_a_replaced_file_keeps_its_mode(step: Timeline, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    path.chmod(0o640)
    step.save(path)
    validated(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_is_followed(step: Timeline, tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    step.save(link)
    assert link.is_symlink()
    validated(target.read_text())


def test_a_full_disk_leaves_the_old_file(
    step: Timeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def write(timeline: Timeline, file: io.TextIOBase) -> None:
        file.write("half of it")
        file.flush()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trace_format, "write", write)
    with pytest.raises(OSError, match="No space left on device"):
        step.save(path)
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".csv"])
def test_a_full_disk_is_an_os_error_in_every_format(
    step: Timeline, tmp_path: Path, suffix: str
) -> None:
    link = tmp_path / f"full{suffix}"
    link.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        step.save(link)
    assert Path("/dev/full").is_char_device()


def test_a_path_that_cannot_be_written_is_named(step: Timeline, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "a.json"
    with pytest.raises(FileNotFoundError) as caught:
        step.save(path)
    assert caught.value.filename == str(path)


def test_a_read_only_folder_is_an_os_error(
    step: Timeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, flags: int, mode: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("fasttime.atomic_file.os.open", refuse)
    with pytest.raises(PermissionError) as caught:
        step.save(tmp_path / "a.csv")
    assert caught.value.filename == str(tmp_path / "a.csv")


def test_an_empty_recording_makes_valid_files(tmp_path: Path) -> None:
    empty = Timeline.from_spans([])
    empty.save(tmp_path / "a.json")
    empty.save(tmp_path / "a.csv")
    assert json.loads((tmp_path / "a.json").read_text())["traceEvents"]
    assert (tmp_path / "a.csv").read_text().strip() == ",".join(Span._fields)


def test_columns_keep_times_to_the_nanosecond() -> None:
    made = span("a", (123_456_789.123_456, 123_456_790.5))
    (back,) = Timeline.from_spans([made]).spans
    assert np.isclose(back.host_begin, made.host_begin, rtol=0, atol=1e-9)

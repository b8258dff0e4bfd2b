# SPDX-License-Identifier: BSD-3-Clause
"""What every result can do, for timelines: warnings, dict, table and HTML."""

from __future__ import annotations

import base64
import json
import re
import sys

import pytest
from made_up_timeline import STEP, span
from rich.console import Console

from fasttime import Timeline
from fasttime.result import Result


def kinds(timeline: Timeline) -> list[str]:
    return [warning.kind for warning in timeline.warnings]


def text(timeline: Timeline, width: int = 100) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(timeline)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_timeline_is_a_result() -> None:
    assert isinstance(Timeline.from_spans(STEP), Result)


def test_a_whole_timeline_has_no_warnings() -> None:
    assert Timeline.from_spans(STEP).warnings == ()


@pytest.mark.parametrize("status", ["captured", "failed"])
def test_a_status_without_device_time_warns(status: str) -> None:
    assert kinds(Timeline.from_spans([*STEP, span("x", (5, 6), status=status)])) == [status]


def test_a_scope_without_room_warns() -> None:
    assert kinds(Timeline.from_spans([*STEP, span("x", (5, 6), status="dropped")])) == ["no_room"]


def test_host_only_warns_if_others_are_on_a_device() -> None:
    host = span("x", (5, 6), status="host_only")
    assert kinds(Timeline.from_spans([*STEP, host])) == ["host_only"]
    assert kinds(Timeline.from_spans([host])) == []


def test_a_warning_counts_its_scopes() -> None:
    lost = [span("x", (5 + i, None), status="dropped") for i in range(2)]
    (warning,) = Timeline.from_spans([*STEP, *lost]).warnings
    assert str(warning).startswith("warning (never_ended): 2 scopes never ended")


def test_json_accepts_the_dict() -> None:
    timeline = Timeline(Timeline.from_spans(STEP).columns, {100: "main"}, dropped=1, pending=2)
    found = json.loads(json.dumps(timeline.to_dict()))
    assert found["thread_names"] == {"100": "main"}
    assert (found["begin"], found["end"], found["dropped"], found["pending"]) == (0, 0.009, 1, 2)
    assert [w["kind"] for w in found["warnings"]] == ["dropped", "unfinished"]
    assert [s["path"] for s in found["spans"]] == ["step", "step/large", "step/small"]


def test_the_table_has_a_row_per_path() -> None:
    again = span("step/large", (5, 6), (9, 13))
    alone = span("cpu", (7, 8), status="host_only")
    lost = span("lost", (8, None), status="dropped")
    assert text(Timeline.from_spans([*STEP, again, alone, lost]))[1:7] == [
        "scope             scopes  host total  host mean  device total  device mean",
        "step                   1    4.000 ms   4.000 ms      8.000 ms     8.000 ms",
        "step/large             2    3.000 ms   1.500 ms      9.000 ms     4.500 ms",
        "step/small             1    1.000 ms   1.000 ms      3.000 ms     3.000 ms",
        "cpu                    1    1.000 ms   1.000 ms             -            -",
        "lost                   1           -          -             -            -",
    ]


def test_a_table_counts_the_rows_that_it_lacks() -> None:
    timeline = Timeline.from_spans(
        [span(f"s{i}", (i, i + 1), status="host_only") for i in range(203)]
    )
    found = text(timeline)
    assert len(found) == 1 + 1 + 200 + 1
    assert found[-1] == '3 more paths; save("timeline.csv") writes all.'


def test_markup_in_a_path_is_shown_as_it_is() -> None:
    made = STEP[0]._replace(path="[red]x[/red]", name="[red]x[/red]")
    assert text(Timeline.from_spans([made]))[2].startswith("[red]x[/red] ")


def test_html_is_a_picture_of_a_few_scopes() -> None:
    pytest.importorskip("matplotlib")
    page = Timeline.from_spans(STEP)._repr_html_()
    light = re.search(r'<img alt="[^"]+" src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert light is not None
    assert b"<svg" in base64.b64decode(light[1])
    assert "<table" not in page


def test_html_of_many_scopes_is_a_table() -> None:
    page = Timeline.from_spans([span("a", (i, i + 0.5)) for i in range(201)])._repr_html_()
    assert "<img" not in page
    assert "<table" in page


def test_html_without_matplotlib_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "fasttime.timelines.picture.figure", raising=False)
    page = Timeline.from_spans([*STEP, span("<b>", (9, None), status="dropped")])._repr_html_()
    assert "<table" in page
    assert "<b>never_ended</b>" in page
    assert "&lt;b&gt;" in page


def test_html_of_nothing_is_one_line() -> None:
    page = Timeline.from_spans([])._repr_html_()
    assert "0 scopes" in page
    assert "<table" not in page
    assert "<img" not in page


def test_a_narrow_table_hides_columns() -> None:
    lines = text(Timeline.from_spans(STEP), width=40)
    assert any("Hidden columns (narrow terminal)" in line for line in lines)
    assert any(line.startswith("step") for line in lines)
    (heading,) = (line for line in lines if line.startswith("scope "))
    assert "host mean" not in heading

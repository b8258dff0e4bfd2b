# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a timeline on a report's page: which scopes it shows, and how."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator

import pytest
from made_up_report import training
from made_up_timeline import span
from page_reader import Page

from fasttime import Span, Timeline
from fasttime.reports.formats.picture import last_scopes


def rounds(count: int, inside: int) -> Iterator[Span]:
    for one in range(count):
        begin = one * (inside + 1)
        yield span("step", (begin, begin + inside + 0.5), (begin + 1, begin + inside + 1))
        for number in range(inside):
            at = begin + number
            yield span("step/layer", (at + 0.1, at + 0.9), (at + 1.1, at + 1.9))


def paths(timeline: Timeline) -> list[str]:
    return [one.path for one in timeline.spans]


def images(text: str) -> list[str]:
    values = {name: value for _, name, value in Page(text).attributes if name.startswith("src")}
    before = "data:image/svg+xml;base64,"
    assert all(value.startswith(before) for value in values.values())
    return [base64.b64decode(values[n][len(before) :]).decode() for n in ("src", "srcset")]


def test_a_short_timeline_is_shown_whole() -> None:
    timeline = Timeline.from_spans(rounds(8, 5))
    assert last_scopes(timeline) == (timeline, "")


def test_of_a_long_one_the_last_whole_rounds_are_shown() -> None:
    part, words = last_scopes(Timeline.from_spans(rounds(100, 5)))
    assert paths(part) == ["step", *["step/layer"] * 5] * 8
    assert words == "Scopes 553 to 600 of 600, as they began."


def test_a_round_that_was_cut_off_is_not_shown() -> None:
    kept = list(rounds(100, 5))[:-4]
    del kept[-2]  # the last round's own scope, which had not ended yet
    part, words = last_scopes(Timeline.from_spans(kept))
    assert paths(part)[-6:] == ["step", *["step/layer"] * 5]
    assert words == "Scopes 553 to 594 of 595, as they began."


def test_scopes_that_were_not_kept_are_counted() -> None:
    whole = Timeline.from_spans(rounds(100, 5))
    _, words = last_scopes(Timeline(whole.columns, dropped=1000))
    assert words.endswith("of 1,600, as they began.")


def test_one_last_scope_outside_does_not_hide_those_before_it() -> None:
    spans = [*rounds(1, 200), span("save", (300, 301))]
    assert len(last_scopes(Timeline.from_spans(spans))[0]) == 48


def test_a_scope_still_open_at_the_end_is_shown() -> None:
    spans = [*rounds(100, 5), span("step", (700, None))]
    assert paths(last_scopes(Timeline.from_spans(spans))[0])[-1] == "step"


def test_a_page_has_a_picture_for_light_and_one_for_dark() -> None:
    pytest.importorskip("matplotlib")
    light, dark = images(training().to_html(timeline=Timeline.from_spans(rounds(2, 2))))
    assert "<svg" in light
    assert "#ffffff" in light
    assert "#0d1117" in dark
    assert "#0d1117" not in light


def test_a_picture_s_names_are_no_markup() -> None:
    pytest.importorskip("matplotlib")
    hostile = span("<script>alert(1)</script>", (0, 10))
    for image in images(training().to_html(timeline=Timeline.from_spans([hostile]))):
        assert "<script" not in image


def test_without_matplotlib_it_is_said_which_extra_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "fasttime.timelines.picture.figure", raising=False)
    with pytest.raises(ImportError, match=r"fasttime\[plot\]"):
        training().to_html(timeline=Timeline.from_spans(rounds(2, 2)))

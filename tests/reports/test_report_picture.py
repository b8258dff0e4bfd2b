# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a timeline on a page: which scopes it shows, and how."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator

import pytest
from made_up_report import training
from page_reader import Page

from fasttime import Span, Timeline
from fasttime.reports.formats.picture import last_scopes


def span(
    path: str, host: tuple[float, float | None], device: tuple[float, float] | None = None
) -> Span:
    """Return a span on the main thread; times are in ms."""
    *above, name = path.split("/")
    host_begin, host_end = host
    device_begin, device_end = device or (None, None)

    def seconds(ms: float | None) -> float | None:
        return None if ms is None else ms * 1e-3

    return Span(
        path=path,
        name=name,
        parent="/".join(above) or None,
        depth=len(above),
        status="ok" if device else "host_only",
        thread=100,
        thread_name="main",
        device=0 if device else None,
        stream=0 if device else None,
        host_begin=host_begin * 1e-3,
        host_end=seconds(host_end),
        device_begin=seconds(device_begin),
        device_end=seconds(device_end),
        uncertainty=3e-6 if device else None,
        shares_boundary=False,
    )


def rounds(count: int, inside: int) -> Iterator[Span]:
    """Yield the spans of a loop with so many rounds, each with so many scopes inside."""
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


def test_a_long_timeline_shows_its_last_rounds() -> None:
    part, words = last_scopes(Timeline.from_spans(rounds(100, 5)))
    assert paths(part) == ["step", *["step/layer"] * 5] * 8
    assert words == "Scopes 553 to 600 of 600, in the order in which they began."


def test_an_incomplete_round_is_not_shown() -> None:
    kept = list(rounds(100, 5))[:-4]
    del kept[-2]  # the last round's own scope, which had not ended yet
    part, words = last_scopes(Timeline.from_spans(kept))
    assert paths(part)[-6:] == ["step", *["step/layer"] * 5]
    assert words == "Scopes 553 to 594 of 595, in the order in which they began."


def test_dropped_scopes_are_counted() -> None:
    whole = Timeline.from_spans(rounds(100, 5))
    _, words = last_scopes(Timeline(whole.columns, dropped=1000))
    assert words.endswith("of 1,600, in the order in which they began.")


def test_a_last_scope_does_not_hide_the_others() -> None:
    spans = [*rounds(1, 200), span("save", (300, 301))]
    assert len(last_scopes(Timeline.from_spans(spans))[0]) == 48


def test_a_scope_still_open_at_the_end_is_shown() -> None:
    spans = [*rounds(100, 5), span("step", (700, None))]
    assert paths(last_scopes(Timeline.from_spans(spans))[0])[-1] == "step"


def test_a_page_has_a_light_and_a_dark_picture() -> None:
    pytest.importorskip("matplotlib")
    light, dark = images(training().to_html(timeline=Timeline.from_spans(rounds(2, 2))))
    assert "<svg" in light
    assert "#ffffff" in light
    assert "#0d1117" in dark
    assert "#0d1117" not in light


def test_names_in_a_picture_are_not_markup() -> None:
    pytest.importorskip("matplotlib")
    hostile = span("<script>alert(1)</script>", (0, 10))
    for image in images(training().to_html(timeline=Timeline.from_spans([hostile]))):
        assert "<script" not in image


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "fasttime.timelines.picture.figure", raising=False)
    with pytest.raises(ImportError, match=r"fasttime\[plot\]"):
        training().to_html(timeline=Timeline.from_spans(rounds(2, 2)))

# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of made-up timelines: bars, colours, legends, brackets and errors."""

from __future__ import annotations

import io
import sys
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_timeline import span
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fasttime import Span, Timeline
from fasttime.timelines.picture.figure import style as picture_style

PIPELINE = [
    span("large", (0, 10), (1, 31)),
    span("cpu", (10, 22)),
    span("small", (22, 27), (31, 43)),
]


def bars(figure: Figure) -> list[tuple[float, float, str]]:
    """Begin, end and colour of each bar, from the top down."""
    rectangles = [p for p in figure.axes[0].patches if isinstance(p, Rectangle)]
    solid = [r for r in rectangles if not r.get_hatch()]
    solid.sort(key=lambda r: (r.get_y(), r.get_x()))
    return [
        (r.get_x(), round(r.get_x() + r.get_width(), 6), to_hex(r.get_facecolor())) for r in solid
    ]


def hatched(figure: Figure) -> list[tuple[float, float]]:
    patches = [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_hatch()]
    return sorted((p.get_x(), round(p.get_x() + p.get_width(), 6)) for p in patches)


def words(figure: Figure) -> list[str]:
    found = [text.get_text() for text in [*figure.axes[0].texts, *figure.texts]]
    return [word for word in found if word]


def test_host_and_device_are_drawn_on_one_clock() -> None:
    figure = Timeline.from_spans(PIPELINE).plot()
    drawn = [(begin, end) for begin, end, _ in bars(figure)]
    assert drawn == [(0, 10), (10, 22), (22, 27), (1, 31), (31, 43)]
    assert figure.axes[0].get_xlabel() == "time (ms)"


def test_a_path_has_one_colour_on_both_sides() -> None:
    large, cpu, small, device_large, device_small = (
        colour for _, _, colour in bars(Timeline.from_spans(PIPELINE).plot())
    )
    assert (large, small) == (device_large, device_small)
    assert len({large, cpu, small}) == 3


def test_a_wait_does_not_change_other_colours() -> None:
    waiting = [PIPELINE[0], span("wait", (10, 10.1)), *PIPELINE[1:]]
    without = {begin: colour for begin, _, colour in bars(Timeline.from_spans(PIPELINE).plot())}
    figure = Timeline.from_spans(waiting).plot(waits=["wait"])
    assert {begin: colour for begin, _, colour in bars(figure)} == without


def colours(figure: Figure) -> list[str]:
    """The colour of each bar, sorted by begin."""
    return [colour for _, _, colour in sorted(bars(figure))]


def test_every_path_has_its_own_colour() -> None:
    drawn = colours(Timeline.from_spans([span(f"s{i}", (i, i + 1)) for i in range(21)]).plot())
    assert len(set(drawn)) == 21


def test_beyond_the_palette_colours_repeat() -> None:
    drawn = colours(Timeline.from_spans([span(f"s{i}", (i, i + 1)) for i in range(30)]).plot())
    assert len(set(drawn)) == 21


def test_colours_do_not_depend_on_the_order() -> None:
    paths = [f"s{i}" for i in range(12)]
    forwards = [span(path, (i, i + 1)) for i, path in enumerate(paths)]
    backwards = [span(path, (i, i + 1), thread=7) for i, path in enumerate(reversed(paths))]
    drawn = [colours(Timeline.from_spans(spans).plot()) for spans in (forwards, backwards)]
    assert drawn[0] == drawn[1][::-1]


def test_a_part_has_the_colours_of_the_whole() -> None:
    spans = [span(f"s{i}", (i, i + 0.9)) for i in range(12)]
    timeline = Timeline.from_spans(spans)
    part = [colour for begin, _, colour in bars(timeline.plot(begin=0.0069)) if begin >= -0.1]
    assert part == colours(timeline.plot())[7:]


def test_a_name_of_two_paths_is_shown_as_a_path() -> None:
    spans = [span("train/forward", (0, 10)), span("eval/forward", (10, 20)), span("x/y", (20, 30))]
    found = words(Timeline.from_spans(spans).plot())
    assert {"train/forward  10.00 ms", "eval/forward  10.00 ms", "y  10.00 ms"} <= set(found)


def test_threads_and_streams_are_named() -> None:
    spans = [*PIPELINE, span("copy", (1, 2), (2, 3), thread=7, stream=0xABC)]
    found = words(Timeline.from_spans(spans).plot())
    for name in ("host", "MainThread", "thread 7", "cuda:0", "stream default", "stream 0xabc"):
        assert name in found


def test_a_bar_with_room_shows_name_and_time() -> None:
    found = words(Timeline.from_spans(PIPELINE).plot())
    assert "large  30.00 ms" in found


def test_a_name_without_room_is_in_the_legend() -> None:
    found = words(Timeline.from_spans([*PIPELINE, span("tiny_step", (30, 30.1))]).plot())
    assert "tiny_step" in found


def legend(figure: Figure) -> dict[str, float]:
    """The texts below the axis in order, with their distance from the lower edge in inches."""
    height = figure.get_figheight()
    return {text.get_text(): text.get_position()[1] * height for text in figure.texts}


def short_ones(count: int) -> list[Span]:
    """A step with `count` scopes, which have gaps between them and no room for names."""
    inside = [span(f"step/layer_{i}", (i, i + 0.5), (i, i + 0.5)) for i in range(count)]
    return [span("step", (0, count), (0, count)), *inside]


def test_a_legend_begins_with_hatching_and_wraps() -> None:
    spans = [*short_ones(14), span("sync", (20, 22))]
    found = legend(Timeline.from_spans(spans).plot(waits=["sync"]))
    names = [f"step/layer_{i}" for i in range(14)]
    assert [*found] == ["the host waits", "between timed work", *names]
    lines = sorted({round(y, 3) for y in found.values()})
    assert lines == [0.2, 0.4, 0.6]


def test_a_legend_counts_entries_without_room() -> None:
    found = legend(Timeline.from_spans(short_ones(80)).plot())
    *names, more = [*found]
    assert names == ["between timed work", *(f"step/layer_{i}" for i in range(len(names) - 1))]
    assert more == f"and {80 - (len(names) - 1)} more"
    assert len({round(y, 3) for y in found.values()}) == 4


@pytest.mark.parametrize("count", [2, 20, 80])
def test_the_room_below_the_axis_fits_the_legend(count: int) -> None:
    figure = Timeline.from_spans(short_ones(count)).plot()
    axes = figure.axes[0].get_position()
    below, inner = (part * figure.get_figheight() for part in (axes.y0, axes.height))
    assert below == pytest.approx(max(legend(figure).values()) + 0.38)
    top, bottom = figure.axes[0].get_ylim()
    assert inner == pytest.approx(abs(top - bottom) - 0.05)  # the scale is one to one


def test_words_stay_inside_the_edge() -> None:
    names = ["a" * 300, "b" * 200, *("c" * n for n in range(30, 60, 3))]
    spans = [span("step", (0, 100)), *(span(name, (i, i + 0.1)) for i, name in enumerate(names))]
    figure = Timeline.from_spans(spans).plot(title="All that there is to say of this " * 10)
    for text in figure.texts:
        left = text.get_position()[0] * picture_style.WIDTH
        is_bold = text.get_weight() == "bold"
        width = picture_style.width_of(text.get_text(), text.get_size(), is_bold)
        assert left + width <= picture_style.WIDTH - 0.1, text.get_text()


def test_a_long_title_ends_in_an_ellipsis() -> None:
    title = "All that there is to say of this pipeline, " * 3
    found = words(Timeline.from_spans(PIPELINE).plot(title=title))
    assert next(word for word in found if word.startswith("All")).endswith("…")
    assert "All" in words(Timeline.from_spans(PIPELINE).plot(title="All"))


@pytest.mark.parametrize("theme", [picture_style.LIGHT, picture_style.DARK])
def test_names_and_lines_have_enough_contrast(theme: picture_style.Theme) -> None:
    for colour in picture_style.palette():
        text = picture_style.text_colour_on(colour)
        assert picture_style.contrast(text, colour) >= 4.5, colour
        line = picture_style.line_colour(colour, theme)
        assert picture_style.contrast(line, theme.background) >= 3, colour


def test_contrast_follows_wcag() -> None:
    assert picture_style.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert picture_style.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_nested_scopes_lie_below_their_parents() -> None:
    spans = [span("step", (0, 10), (1, 11)), span("step/a", (0, 4), (1, 5))]
    drawn = [(begin, end) for begin, end, _ in bars(Timeline.from_spans(spans).plot())]
    assert drawn == [(0, 10), (0, 4), (1, 11), (1, 5)]


def test_a_stream_without_timed_work_is_hatched() -> None:
    spans = [
        span("step", (0, 30), (0, 30)),
        span("step/a", (0, 30), (0, 10)),
        span("step/b", (30, 30), (25, 30)),
    ]
    figure = Timeline.from_spans(spans).plot()
    assert hatched(figure) == [(10, 25)]
    assert "between timed work" in words(figure)


def test_without_a_gap_there_is_no_hatching() -> None:
    assert hatched(Timeline.from_spans(PIPELINE).plot()) == []


def test_a_wait_is_hatched_on_the_host() -> None:
    spans = [*PIPELINE, span("sync", (27, 43), (43, 43))]
    figure = Timeline.from_spans(spans).plot(waits=["sync"])
    assert hatched(figure) == [(27, 43)]
    assert "the host waits" in words(figure)


def test_unknown_waits_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"waits=\['zzz'\] are not .*; its scopes are cpu, large, small"
    ):
        Timeline.from_spans(PIPELINE).plot(waits=["zzz", "cpu"])


def test_waits_that_are_one_string_are_refused() -> None:
    with pytest.raises(TypeError, match=r"write waits=\['cpu'\]"):
        Timeline.from_spans(PIPELINE).plot(waits="cpu")


def test_waits_may_lie_outside_of_the_part() -> None:
    spans = [*PIPELINE, span("sync", (43, 50))]
    assert hatched(Timeline.from_spans(spans).plot(waits=["sync"], begin=0.0, end=0.01)) == []


def test_brackets_show_the_reading_of_each_method() -> None:
    figure = Timeline.from_spans(PIPELINE).plot(explain="small")
    found = words(figure)
    assert "small, as read by" in found
    readings = dict(pairwise(found))
    assert readings["naive clock"] == "5.000 ms"
    assert readings["synchronised"] == "21.00 ms"
    assert readings["events"] == "12.00 ms"


def test_a_waiting_host_is_the_synchronised_reading() -> None:
    found = words(Timeline.from_spans([span("a", (0, 12), (1, 9))]).plot(explain="a"))
    readings = dict(pairwise(found))
    assert readings["naive clock"] == "12.00 ms"
    assert readings["synchronised"] == "12.00 ms"
    assert readings["events"] == "8.000 ms"


def test_explain_needs_a_scope_with_device_time() -> None:
    with pytest.raises(ValueError, match=r"explain='cpu' has no device time .*: large, small"):
        Timeline.from_spans(PIPELINE).plot(explain="cpu")


def test_a_part_can_be_chosen() -> None:
    figure = Timeline.from_spans(PIPELINE).plot(begin=0.032, end=0.040)
    assert [(begin, end) for begin, end, _ in bars(figure)] == [(-10, -5), (-1, 11)]
    low, high = figure.axes[0].get_xlim()
    assert low == pytest.approx(0, abs=0.2)
    assert high == pytest.approx(8, abs=0.2)


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no scope lies between begin=1.0 and end=2.0"):
        Timeline.from_spans(PIPELINE).plot(begin=1.0, end=2.0)


def test_an_end_before_the_begin_is_refused() -> None:
    with pytest.raises(ValueError, match="end must not lie before begin"):
        Timeline.from_spans(PIPELINE).plot(begin=0.009, end=0.005)


def test_an_empty_recording_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to draw: no scope was recorded"):
        Timeline.from_spans([]).save(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_too_many_scopes_are_refused_with_a_way_out() -> None:
    many = [span("a", (i, i + 0.5)) for i in range(5001)]
    with pytest.raises(
        ValueError, match=r"at most 5,000 scopes, .* 5,001; .* save\('trace.json'\)"
    ):
        Timeline.from_spans(many).plot()


def test_too_many_rows_are_refused_with_a_way_out() -> None:
    tasks = [span("a", (i, 1000 + i)) for i in range(201)]
    with pytest.raises(ValueError, match=r"at most 200 rows of scopes; .* save\('trace.json'\)"):
        Timeline.from_spans(tasks).plot()


def test_a_dark_picture_is_dark() -> None:
    figure = Timeline.from_spans(PIPELINE).plot(dark=True, title="night")
    assert to_hex(figure.get_facecolor()) == picture_style.DARK.background
    assert "night" in words(figure)


@pytest.mark.parametrize(
    ("suffix", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_pictures_are_saved_by_suffix(tmp_path: Path, suffix: str, head: bytes) -> None:
    path = tmp_path / f"a.{suffix}"
    Timeline.from_spans(PIPELINE).save(path, explain="large", title="a")
    assert path.read_bytes().startswith(head)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_is_an_os_error_in_pictures_too(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    link = tmp_path / "full.png"
    link.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        Timeline.from_spans(PIPELINE).save(link)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "fasttime.timelines.picture.figure", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'fasttime\[plot\]'"):
        Timeline.from_spans(PIPELINE).plot()


@settings(max_examples=12, deadline=None)
@given(
    st.text(st.characters(), min_size=1)
    | st.sampled_from(
        ["$x^$", "\0", "\ud800", "\n\t", "🙂", "漢字", "</text>", "a" * 300, "\u202e", "\U0001eee7"]
    )
)
def test_any_name_can_be_drawn(name: str) -> None:
    made = PIPELINE[0]._replace(path=name, name=name, thread_name=name)
    figure = Timeline.from_spans([made]).plot(explain=name, title=name)
    for kind in ("png", "svg"):
        figure.savefig(io.BytesIO(), format=kind)


def test_a_character_without_a_glyph_is_a_box() -> None:
    assert picture_style.printable("a\0b\ud800c") == "a□b□c"
    assert picture_style.printable("é µ ") == "é µ "

# SPDX-License-Identifier: BSD-3-Clause
"""The whole picture: the host above, the device below."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from ..columns import Columns

try:
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError("a picture needs matplotlib: pip install 'fasttime[plot]'") from error

from . import style
from .brackets import HEIGHT as BRACKETS_HEIGHT
from .brackets import draw_brackets
from .legend import draw_legend, legend_lines
from .parts import draw_bars, draw_gaps, draw_label, draw_links
from .scene import MARGIN, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..timeline import Timeline

_MAX_SPANS = 5_000


def plot(
    timeline: Timeline,
    *,
    explain: str | None,
    waits: Collection[str],
    begin: float | None,
    end: float | None,
    title: str | None,
    dark: bool,
) -> Figure:
    """Draw the timeline; see `Timeline.plot`."""
    _check_waits(timeline, waits)
    columns = _shown(timeline, begin, end)
    first_ns, last_ns = _interval(timeline, columns, begin, end)
    whole = timeline.columns
    sites = [whole.sites[site] for site in whole.used_sites()]
    scene = Scene(columns, sites, timeline.thread_names, first_ns, last_ns, waits, dark)
    return _drawn(scene, None if explain is None else _explained(columns, explain), title)


def _check_waits(timeline: Timeline, waits: Collection[str]) -> None:
    """Look for the waits in the whole timeline; the part to draw may lack some."""
    if isinstance(waits, str):
        raise TypeError(f"waits must be a list of names, got {waits!r}; write waits=[{waits!r}]")
    columns = timeline.columns
    sites = [columns.sites[site] for site in columns.used_sites()]
    unknown = set(waits) - {name for site in sites for name in (site.path, site.name)}
    if unknown and sites:
        raise ValueError(
            f"waits={sorted(unknown)} are not in this timeline; its scopes are "
            + ", ".join(sorted(site.path for site in sites)[:20])
        )


def _shown(timeline: Timeline, begin: float | None, end: float | None) -> Columns:
    """Return the spans that touch the interval on host or device."""
    columns = timeline.columns
    since = -math.inf if begin is None else timeline.begin_ns + begin * 1e9
    until = math.inf if end is None else timeline.begin_ns + end * 1e9
    on_host = columns.is_ended & (columns.host_end_ns >= since) & (columns.host_begin_ns <= until)
    on_device = (
        columns.is_placed & (columns.device_end_ns >= since) & (columns.device_begin_ns <= until)
    )
    is_shown = on_host | on_device
    count = np.count_nonzero(is_shown)
    if count == 0:
        raise ValueError(
            "there is nothing to draw: no scope "
            + (
                "was recorded"
                if len(columns) == 0
                else "has ended"
                if begin is None and end is None
                else f"lies between begin={begin} and end={end}"
            )
        )
    if count > _MAX_SPANS:
        raise ValueError(
            f"a picture shows at most {_MAX_SPANS:,} scopes, but there are {count:,}; draw a part "
            "with begin= and end=, or save a trace: save('trace.json')"
        )
    return columns[is_shown]


def _interval(
    timeline: Timeline, columns: Columns, begin: float | None, end: float | None
) -> tuple[float, float]:
    placed, ended = columns.is_placed, columns.is_ended
    first = min([*columns.host_begin_ns, *columns.device_begin_ns[placed]])
    last = max(
        [*columns.host_begin_ns, *columns.host_end_ns[ended], *columns.device_end_ns[placed]]
    )
    first_ns = float(first) if begin is None else timeline.begin_ns + begin * 1e9
    last_ns = float(last) if end is None else timeline.begin_ns + end * 1e9
    if not last_ns >= first_ns:
        raise ValueError(f"end must not lie before begin, got begin={begin} and end={end}")
    return first_ns, max(last_ns, first_ns + 1)


def _explained(columns: Columns, wanted: str) -> int:
    """Return the first pass through that site with a place on host and device."""
    for index in np.nonzero(columns.is_placed & columns.is_ended)[0].tolist():
        site = columns.sites[columns.site[index]]
        if wanted in (site.path, site.name):
            return int(index)
    there = sorted({columns.sites[site].path for site in columns.site[columns.is_placed].tolist()})
    raise ValueError(
        f"explain={wanted!r} has no device time in this picture; scopes with a device time: "
        + (", ".join(there[:20]) or "none")
    )


def _drawn(scene: Scene, explained: int | None, title: str | None) -> Figure:
    brackets = 0.0 if explained is None else BRACKETS_HEIGHT
    inner = scene.bottom + brackets + 0.1
    # The size is set last: the legend's height is known only after all bars are drawn.
    figure = Figure(dpi=160, facecolor=scene.theme.background)
    axes = figure.add_axes((0, 0, 1, 1))
    _prepare(scene, axes, inner)
    draw_links(scene, axes)
    for place in [*scene.host, *scene.device]:
        draw_label(scene, axes, place)
        draw_bars(scene, axes, place)
    has_gaps = [draw_gaps(scene, axes, place) for place in scene.device]
    if explained is not None:
        draw_brackets(scene, axes, explained)
    lines = legend_lines(scene, any(has_gaps))
    bottom = style.BOTTOM + style.LEGEND_LINE * max(0, len(lines) - 1)
    height = style.TOP + (style.TITLE if title else 0.0) + inner + bottom
    figure.set_size_inches(style.WIDTH, height)
    width = style.WIDTH - style.LEFT - style.RIGHT
    axes.set_position(
        (style.LEFT / style.WIDTH, bottom / height, width / style.WIDTH, inner / height)
    )
    draw_legend(scene, figure, height, lines)
    if title:
        _draw_title(scene, figure, height, style.printable(title))
    return figure


def _draw_title(scene: Scene, figure: Figure, height: float, title: str) -> None:
    margin = 0.2
    figure.text(
        margin / style.WIDTH,
        1 - (style.TOP + 0.12) / height,
        style.fitting([title], style.WIDTH - 2 * margin, style.TITLE_PT, bold=True),
        size=style.TITLE_PT,
        weight="bold",
        color=scene.theme.text,
        va="top",
        parse_math=False,
    )


def _prepare(scene: Scene, axes: Axes, inner: float) -> None:
    theme = scene.theme
    axes.set_facecolor(theme.background)
    axes.set_xlim(-MARGIN * scene.length, (1 + MARGIN) * scene.length)
    axes.set_ylim(inner, -0.05)
    axes.set_yticks([])
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.hatch)
    axes.tick_params(axis="x", colors=theme.faint, labelsize=style.SMALL_PT, length=3)
    axes.set_xlabel(
        f"time ({scene.unit})", size=style.SMALL_PT, color=theme.faint, loc="right", labelpad=2
    )

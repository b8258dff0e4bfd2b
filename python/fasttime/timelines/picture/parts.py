# SPDX-License-Identifier: BSD-3-Clause
"""The parts of a picture: bars, labels, gaps and links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from matplotlib.patches import Rectangle

from ...text import format_seconds
from ..span import stream_name
from ..tracks import Bar
from . import style
from .scene import MARGIN, Place, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_LINKS = 60  # more lines from host to device would hide the picture


def draw_label(scene: Scene, axes: Axes, place: Place) -> None:
    """Write the thread or stream left of a track. The first track of a device names the device."""
    track = place.track
    if track.device < 0:
        name, detail = "host", scene.thread_names.get(track.handle, f"thread {track.handle}")
        is_first = place is scene.host[0]
    else:
        name, detail = f"cuda:{track.device}", f"stream {stream_name(track.handle)}"
        same = [p for p in scene.device if p.track.device == track.device]
        is_first = place is same[0]
    y = place.top + style.BAR / 2
    room = style.LEFT - 0.3
    x = -style.LEFT + 0.2
    if is_first:
        margin_text(scene, axes, x, y - 0.075, name, style.TEXT_PT, True)
        y += 0.09
    detail = style.fitting([style.printable(detail)], room, style.SMALL_PT)
    margin_text(scene, axes, x, y, detail, style.SMALL_PT, False)


def margin_text(
    scene: Scene, axes: Axes, inches: float, y: float, text: str, size: float, bold: bool
) -> None:
    """Write text beside the axes, `inches` from their left edge."""
    axes.annotate(
        text,
        (0, y),
        xycoords=("axes fraction", "data"),
        xytext=(72 * inches, 0),
        textcoords="offset points",
        size=size,
        weight="bold" if bold else "normal",
        color=scene.theme.text if bold else scene.theme.faint,
        va="center",
        parse_math=False,
        annotation_clip=False,
    )


def draw_bars(scene: Scene, axes: Axes, place: Place) -> None:
    """Draw a track's scopes, with their names and times if they fit."""
    is_host = place.track.device < 0
    for index, begin_ns, end_ns, row, level in place.bars:
        site = int(scene.columns.site[index])
        left, right = scene.x(begin_ns), scene.x(end_ns)
        # Scopes that take no time must be visible too.
        width = max(right - left, 0.012 / scene.inches_per_unit)
        top = place.row_tops[row] + level * style.BAR
        is_wait = scene.is_wait[site] and is_host
        colour = scene.colours[site]
        axes.add_patch(
            Rectangle(
                (left, top),
                width,
                style.BAR - 0.02,
                facecolor=scene.theme.background if is_wait else colour,
                edgecolor=scene.theme.faint if is_wait else scene.theme.background,
                hatch="//////" if is_wait else None,
                linewidth=0.7,
                zorder=3,
            )
        )
        seconds = (end_ns - begin_ns) / 1e9
        if not _bar_text(scene, axes, left, right, top, site, seconds, is_wait):
            scene.unnamed.add(site)


def _bar_text(
    scene: Scene,
    axes: Axes,
    left: float,
    right: float,
    top: float,
    site: int,
    seconds: float,
    is_wait: bool,
) -> bool:
    """Write the name on the bar, or as much as fits. Return whether all of it fits."""
    seen_left = max(left, -MARGIN * scene.length)
    seen_right = min(right, (1 + MARGIN) * scene.length)
    name = scene.label(site)
    room = (seen_right - seen_left) * scene.inches_per_unit - 0.1
    text = style.fitting([f"{name}  {format_seconds(seconds)}", name], room)
    if not text:
        return False
    colour = scene.theme.text if is_wait else style.text_colour_on(scene.colours[site])
    axes.text(
        (seen_left + seen_right) / 2,
        top + style.BAR / 2 - 0.01,
        text,
        size=style.TEXT_PT,
        color=colour,
        ha="center",
        va="center_baseline",
        zorder=4,
        parse_math=False,
        bbox={"facecolor": scene.theme.background, "edgecolor": "none", "pad": 1.5}
        if is_wait
        else None,
        clip_on=True,
    )
    return text.startswith(name)


def draw_gaps(scene: Scene, axes: Axes, place: Place) -> bool:
    """Hatch the time between the scopes of a stream. Return whether there is any."""
    found = False
    for level, left_ns, right_ns in _gaps(place.bars):
        left, width = scene.x(left_ns), (right_ns - left_ns) / scene.ns_per_unit
        if width * scene.inches_per_unit > 0.03:
            found = True
            axes.add_patch(
                Rectangle(
                    (left, place.top + level * style.BAR + 0.04),
                    width,
                    style.BAR - 0.1,
                    edgecolor=scene.theme.hatch,
                    zorder=2,
                    **style.HATCHED,
                )
            )
    return found


def _gaps(bars: Sequence[Bar]) -> Iterator[tuple[int, int, int]]:
    """Yield level, begin and end in ns of each gap between the scopes of a track.

    A level of the first row has a gap if no scope of that level runs, and no outer scope without
    scopes inside.
    """
    is_leaf = [True] * len(bars)
    newest: dict[tuple[int, int], int] = {}  # by row and level
    for i, bar in enumerate(bars):
        newest[bar.row, bar.level] = i
        if bar.level > 0:
            is_leaf[newest[bar.row, bar.level - 1]] = False
    for level in range(max(bar.level for bar in bars if bar.row == 0) + 1):
        covered_ns: int | None = None
        for bar, ends_here in zip(bars, is_leaf, strict=True):
            if bar.level == level or (bar.level < level and ends_here):
                if covered_ns is not None and bar.begin_ns > covered_ns:
                    yield level, covered_ns, bar.begin_ns
                covered_ns = bar.end_ns if covered_ns is None else max(covered_ns, bar.end_ns)


def draw_links(scene: Scene, axes: Axes) -> None:
    """Draw thin lines from where the host began a scope to where the device began it."""
    host = {i: (x, place.bottom) for i, x, place in _starts(scene, scene.host)}
    device = {i: (x, place.top) for i, x, place in _starts(scene, scene.device)}
    leaves = _leaves(scene)
    linked = [i for i in device if i in host and i in leaves]
    if len(linked) > _MAX_LINKS:
        return
    for index in linked:
        (x0, y0), (x1, y1) = host[index], device[index]
        axes.plot(
            [x0, x1],
            [y0, y1],
            color=style.line_colour(scene.colours[int(scene.columns.site[index])], scene.theme),
            linewidth=1.1,
            linestyle=(0, (1.2, 1.6)),
            zorder=1.5,
        )


def _leaves(scene: Scene) -> set[int]:
    """Return the spans without children. A parent's line would cover its first child's line."""
    sites = scene.columns.sites
    parents = {sites[site].parent for site in scene.colours}
    return {
        i for i, site in enumerate(scene.columns.site.tolist()) if sites[site].path not in parents
    }


def _starts(scene: Scene, places: list[Place]) -> Iterator[tuple[int, float, Place]]:
    for place in places:
        for bar in place.bars:
            yield bar.span, scene.x(bar.begin_ns), place

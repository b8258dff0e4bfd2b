# SPDX-License-Identifier: BSD-3-Clause
"""The legend of a picture: the paths whose names did not fit on a bar, and the hatching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.patches import Rectangle

from . import style
from .scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_LINES = 4
_SWATCH = 0.26  # inches, including the space after it
_BETWEEN = 0.19
_FIRST_LINE_END = style.WIDTH - 1.0  # the label of the axis is to the right
_LINE_END = style.WIDTH - style.RIGHT


class _Entry(NamedTuple):
    text: str
    look: dict[str, Any] | None  # None: text without a swatch
    x: float  # in inches

    @property
    def beyond(self) -> float:
        swatch = _SWATCH if self.look else 0.0
        return self.x + swatch + style.width_of(self.text, style.SMALL_PT) + _BETWEEN


Lines = list[list[_Entry]]


def legend_lines(scene: Scene, has_gaps: bool) -> Lines:
    """Return the lines of the legend. The last line counts the entries that do not fit."""
    wanted = _wanted(scene, has_gaps)
    lines: Lines = [[]]
    for count, (text, look) in enumerate(wanted):
        entry = _next_to(lines, text, look)
        if lines[-1] and entry.beyond - _BETWEEN > _end(lines):
            if len(lines) == _MAX_LINES:
                _count_the_rest(lines, len(wanted) - count)
                break
            lines.append([])
            entry = _next_to(lines, text, look)
        lines[-1].append(entry)
    return lines if wanted else []


def draw_legend(scene: Scene, figure: Figure, height: float, lines: Lines) -> None:
    """Write the lines below the axis. The picture's height is in inches."""
    for number, line in enumerate(lines, 1):
        y = 0.2 + (len(lines) - number) * style.LEGEND_LINE
        for entry in line:
            x = entry.x
            if entry.look:
                corner = (x / style.WIDTH, (y - 0.055) / height)
                size = 0.2 / style.WIDTH, 0.11 / height
                figure.add_artist(Rectangle(corner, *size, **entry.look))
                x += _SWATCH
            figure.text(
                x / style.WIDTH,
                y / height,
                entry.text,
                size=style.SMALL_PT,
                color=scene.theme.faint,
                va="center",
                parse_math=False,
            )


def _wanted(scene: Scene, has_gaps: bool) -> list[tuple[str, dict[str, Any]]]:
    """Return all entries. Hatching comes first, because no bar explains it."""
    wanted: list[tuple[str, dict[str, Any]]] = []
    if any(scene.is_wait.values()):
        wanted.append(("the host waits", {**style.HATCHED, "edgecolor": scene.theme.faint}))
    if has_gaps:
        wanted.append(("between timed work", {**style.HATCHED, "edgecolor": scene.theme.hatch}))
    for site, colour in scene.colours.items():
        if site in scene.unnamed and not scene.is_wait[site]:
            wanted.append((scene.path(site), {"facecolor": colour}))
    return wanted


def _next_to(lines: Lines, text: str, look: dict[str, Any] | None) -> _Entry:
    """Return an entry after the last entry. A text longer than a line is cut."""
    room = _end(lines) - style.LEFT - _SWATCH
    text = style.fitting([text], room, style.SMALL_PT)
    return _Entry(text, look, lines[-1][-1].beyond if lines[-1] else style.LEFT)


def _end(lines: Lines) -> float:
    return _FIRST_LINE_END if len(lines) == 1 else _LINE_END


def _count_the_rest(lines: Lines, rest: int) -> None:
    """Add how many entries do not fit, and remove entries to make room for this text."""
    while True:
        more = _next_to(lines, f"and {rest:,} more", None)
        if more.beyond - _BETWEEN <= _end(lines) or not lines[-1]:
            lines[-1].append(more)
            return
        lines[-1].pop()
        rest += 1

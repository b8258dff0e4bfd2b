# SPDX-License-Identifier: BSD-3-Clause
"""The legend of a picture: the names that no bar had room for, and what hatching means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.patches import Rectangle

from . import style as style
from .scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_LINES = 4
_SWATCH = 0.26  # inches, with the space after it
_BETWEEN = 0.19
_FIRST_LINE_END = style.WIDTH - 1.0  # where the axis is named
_LINE_END = style.WIDTH - style.RIGHT


class _Entry(NamedTuple):
    text: str
    look: dict[str, Any] | None  # None: words alone
    x: float  # in inches

    @property
    def beyond(self) -> float:
        swatch = _SWATCH if self.look else 0.0
        return self.x + swatch + style.width_of(self.text, style.SMALL_PT) + _BETWEEN


Lines = list[list[_Entry]]


def legend_lines(scene: Scene, has_gaps: bool) -> Lines:
    """Return what the legend says, by lines; what they have no room for is counted in the last."""
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
    """Write the lines below the axis of a picture of this height, in inches."""
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
    """What there is to explain: hatching first, as no bar ever says that."""
    wanted: list[tuple[str, dict[str, Any]]] = []
    if any(scene.is_wait.values()):
        wanted.append(("the host waits", {**style.HATCHED, "edgecolor": scene.theme.faint}))
    if has_gaps:
        wanted.append(("between timed work", {**style.HATCHED, "edgecolor": scene.theme.hatch}))
    for site, colour in scene.colours.items():
        if site in scene.unnamed and not scene.is_wait[site]:
            wanted.append((scene.name(site), {"facecolor": colour}))
    return wanted


def _next_to(lines: Lines, text: str, look: dict[str, Any] | None) -> _Entry:
    """Return an entry behind the last one, cut where a whole line has no room for it."""
    room = _end(lines) - style.LEFT - _SWATCH
    text = style.fitting([text], room, style.SMALL_PT)
    return _Entry(text, look, lines[-1][-1].beyond if lines[-1] else style.LEFT)


def _end(lines: Lines) -> float:
    return _FIRST_LINE_END if len(lines) == 1 else _LINE_END


def _count_the_rest(lines: Lines, rest: int) -> None:
    """Say how many have no room, in the place of as many as the words for it take."""
    while True:
        more = _next_to(lines, f"and {rest:,} more", None)
        if more.beyond - _BETWEEN <= _end(lines) or not lines[-1]:
            lines[-1].append(more)
            return
        lines[-1].pop()
        rest += 1

# SPDX-License-Identifier: BSD-3-Clause
"""Brackets: the times that each of the three methods would measure for one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...text import format_seconds
from . import style
from .parts import margin_text
from .scene import Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 3 * style.BRACKET + 0.3


def draw_brackets(scene: Scene, axes: Axes, index: int) -> None:
    """Draw one bracket per method, as long as the time that the method would measure."""
    columns, theme = scene.columns, scene.theme
    host = (int(columns.host_begin_ns[index]), int(columns.host_end_ns[index]))
    device = (int(columns.device_begin_ns[index]), int(columns.device_end_ns[index]))
    readings = (
        ("naive clock", *host),
        ("synchronised", host[0], max(host[1], device[1])),
        ("events", *device),
    )
    y = scene.bottom + 0.3
    for moment in sorted({*host, *device}):
        axes.plot(
            [scene.x(moment)] * 2,
            [0, y + 2.5 * style.BRACKET],
            color=theme.faint,
            linewidth=0.7,
            linestyle=(0, (4, 3)),
            zorder=2.5,
        )
    name = scene.label(int(columns.site[index]))
    heading = style.fitting([f"{name}, as read by", name], style.LEFT - 0.25, style.SMALL_PT)
    margin_text(scene, axes, -style.LEFT + 0.2, y - 0.12, heading, style.SMALL_PT, False)
    for label, begin_ns, end_ns in readings:
        y += 0.5 * style.BRACKET
        _bracket(scene, axes, label, begin_ns, end_ns, y)
        y += 0.5 * style.BRACKET


def _bracket(scene: Scene, axes: Axes, label: str, begin_ns: int, end_ns: int, y: float) -> None:
    theme = scene.theme
    left, right = scene.x(begin_ns), scene.x(end_ns)
    margin_text(scene, axes, -style.LEFT + 0.2, y, label, style.TEXT_PT, True)
    axes.plot([left, right], [y, y], color=theme.text, linewidth=1.4, zorder=3)
    for x in (left, right):
        axes.plot([x, x], [y - 0.07, y + 0.07], color=theme.text, linewidth=1.4, zorder=3)
    text = format_seconds((end_ns - begin_ns) / 1e9)
    fits = style.width_of(text) + 0.1 < (right - left) * scene.inches_per_unit
    beyond = right + 0.1 / scene.inches_per_unit
    axes.text(
        (left + right) / 2 if fits else beyond,
        y,
        text,
        size=style.TEXT_PT,
        color=theme.text,
        ha="center" if fits else "left",
        va="center_baseline",
        zorder=4,
        clip_on=True,
        bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 1.5},
    )

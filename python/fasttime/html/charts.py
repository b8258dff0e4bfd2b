# SPDX-License-Identifier: BSD-3-Clause
"""Small charts as inline SVG: histograms, intervals and times in run order.

Colours come from the style sheet, so charts follow light and dark mode. Each chart is hidden from
screen readers or has a label, because the figures stand beside it as text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .elements import escaped

_MOST_POINTS = 600  # a screen cannot show more of them apart
_HEIGHT = 120  # of `run_order`, in pixels


def histogram(counts: Sequence[int], label: str = "", height: int = 18) -> str:
    """Return bars of these heights, without gaps, as wide as their surroundings.

    Args:
        counts: how many values each bar stands for.
        label: what the chart shows; shown when the mouse rests on it.
        height: of the tallest bar, in pixels.
    """
    most = max(counts, default=0)
    if not most:
        return ""
    bars = "".join(
        f'<rect x="{i}" y="{height * (1 - count / most):.2f}" width="1" '
        f'height="{max(height * count / most, 1):.2f}"/>'
        for i, count in enumerate(counts)
        if count
    )
    return _svg("histogram", len(counts), height, bars, label)


def run_order(times: Sequence[float], middle: float, label: str) -> str:
    """Return one point per run in the order of the runs, and a line at `middle`.

    Args:
        times: seconds. Of many runs, evenly spaced ones are drawn.
        middle: seconds, such as the median.
        label: what the chart shows.
    """
    finite = [time for time in times if math.isfinite(time)]
    if not finite or not math.isfinite(middle):
        return ""
    step = max(1, math.ceil(len(finite) / _MOST_POINTS))
    drawn = finite[::step]
    low, high = min(*drawn, middle), max(*drawn, middle)
    room = (high - low) or 1.0

    def y(value: float) -> float:
        return (_HEIGHT - 6) * (1 - (value - low) / room) + 3

    width = max(len(drawn), 2)
    points = "".join(f'<path d="M{i + 0.5:g} {y(value):.1f}h0"/>' for i, value in enumerate(drawn))
    line = f'<path class="middle" d="M0 {y(middle):.1f}H{width}"/>'
    return _svg("runs", width, _HEIGHT, line + points, label)


def interval_bar(
    low: float, value: float, high: float, whole: tuple[float, float], mark: float
) -> str:
    """Return a bar from `low` to `high` with a dot at `value`, on an axis over `whole`.

    Args:
        low, value, high: an interval and its estimate.
        whole: the ends of the axis, the same for all bars of a table.
        mark: where to draw a vertical line, such as 1.0 for no change.
    """
    begin, end = whole
    if not all(map(math.isfinite, (low, value, high))) or begin >= end:
        return ""

    def x(at: float) -> float:
        return 2 + 96 * min(1.0, max(0.0, (at - begin) / (end - begin)))

    line = f'<path class="mark" d="M{x(mark):.2f} 0V14"/>'
    bar = f'<path class="bar" d="M{x(low):.2f} 7H{x(high):.2f}"/>'
    dot = f'<path class="dot" d="M{x(value):.2f} 7h0"/>'
    return _svg("interval", 100, 14, line + bar + dot, "")


def figure(chart: str, caption: str) -> str:
    """Return a chart with a caption below it; nothing for an empty chart."""
    if not chart:
        return ""
    return f"<figure>{chart}<figcaption>{escaped(caption)}</figcaption></figure>"


def _svg(kind: str, width: int, height: int, inside: str, label: str) -> str:
    name = f"<title>{escaped(label)}</title>" if label else ""
    role = f'role="img" aria-label="{escaped(label)}"' if label else 'aria-hidden="true"'
    return (
        f'<svg class="chart {kind}" viewBox="0 0 {width} {height}" preserveAspectRatio="none" '
        f'style="height:{height}px" {role}>{name}{inside}</svg>'
    )

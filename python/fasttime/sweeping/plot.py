# SPDX-License-Identifier: BSD-3-Clause
"""A sweep as a matplotlib figure."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..optional import require
from ..rates.rate import rate_unit
from ..text import time_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .point import AxisValue, SweepPoint

# Colours that people with impaired colour vision can tell apart (Okabe and Ito 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MOST_PANELS = 12


def draw(
    axes: Mapping[str, Sequence[AxisValue]],
    candidates: Sequence[str],
    points: Sequence[SweepPoint],
    show: str,
) -> Figure:
    """Return a figure with one panel per combination of all axes but the horizontal one.

    Raises ImportError without matplotlib, and ValueError if there is nothing to draw.
    """
    figures = require("matplotlib.figure", "plot()", "plot")
    across = _horizontal(axes)
    if not any(point.timed for point in points):
        raise ValueError("no point of the sweep has times, so there is nothing to draw")
    others = [name for name in axes if name != across]
    panels = list(itertools.product(*(axes[name] for name in others)))
    if len(panels) > _MOST_PANELS:
        raise ValueError(
            f"the sweep has {len(panels)} combinations of {', '.join(others)}, but a figure has "
            f"room for {_MOST_PANELS} panels; plot fewer points or use to_pandas()"
        )
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    unit = _unit(candidates, points, show)
    figure = figures.Figure(figsize=(4.6 * columns + 0.6, 3.4 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True).flat
    for number, (panel, place) in enumerate(itertools.zip_longest(panels, grid)):
        if panel is None:
            place.remove()
            continue
        if number + columns >= len(panels):  # nothing is drawn below
            place.tick_params(labelbottom=True)
        wanted = dict(zip(others, panel, strict=True))
        chosen = [p for p in points if p.timed and all(p.values[n] == v for n, v in wanted.items())]
        _panel(place, across, candidates, chosen, show, unit)
        place.set_title(", ".join(f"{name} = {value}" for name, value in wanted.items()), size=10)
    figure.axes[0].legend(frameon=False)
    made: Figure = figure
    return made


def _horizontal(axes: Mapping[str, Sequence[AxisValue]]) -> str:
    for name, values in axes.items():
        numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if len(numbers) == len(values) and len(numbers) > 1:
            return name
    raise ValueError(
        f"none of the axes {', '.join(axes)} has several numbers, so there is no horizontal axis; "
        "use to_pandas() to draw something else"
    )


def _unit(candidates: Sequence[str], points: Sequence[SweepPoint], show: str) -> tuple[str, float]:
    """Return the unit in which all panels show their figures, and its size."""
    shown = [p for p in points if p.timed and (show == "time" or show in p.work)]
    middle = statistics.median(_figures(p, name, show)[0] for p in shown for name in candidates)
    return time_unit(middle) if show == "time" else rate_unit(middle, show)


def _panel(
    place: Any,
    across: str,
    candidates: Sequence[str],
    points: Sequence[SweepPoint],
    show: str,
    unit: tuple[str, float],
) -> None:
    name_of_unit, scale = unit
    for colour, name in zip(itertools.cycle(_COLOURS), candidates, strict=False):
        line = [
            (point.values[across], *(each / scale for each in _figures(point, name, show)))
            for point in points
            if show == "time" or show in point.work
        ]
        x, middle, low, high = ([row[i] for row in line] for i in range(4))
        place.plot(x, middle, color=colour, marker="o", markersize=3, label=name)
        place.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    if all(float(point.values[across]) > 0 for point in points):
        place.set_xscale("log", base=2)
    place.set_yscale("log")
    ticks = require("matplotlib.ticker", "plot()", "plot")
    place.yaxis.set_major_formatter(ticks.LogFormatter())
    place.yaxis.set_minor_formatter(ticks.LogFormatter())  # without powers of ten, as in 1.2 x 10^0
    place.grid(True, which="major", alpha=0.3)
    place.set_xlabel(across)
    place.set_ylabel(f"time ({name_of_unit})" if show == "time" else name_of_unit)


def _figures(point: SweepPoint, name: str, show: str) -> tuple[float, float, float]:
    """Return the middle and the ends of the band; without an interval, the band has no width."""
    one = point[name]
    rate = None if show == "time" else point.rate(name, show)
    middle, ends = (one.median, one.interval) if rate is None else (rate.value, rate.interval)
    low, high = (middle if math.isnan(end) else end for end in ends)
    return middle, low, high

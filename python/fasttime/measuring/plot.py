# SPDX-License-Identifier: BSD-3-Clause
"""The times of a measurement as a matplotlib figure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..optional import require
from ..text import time_unit
from .clocks import CLOCK_CHANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .measurement import Measurement

# Colours that people with impaired colour vision can tell apart (Okabe and Ito 2008).
_TIMES, _MEDIAN, _CLOCK = "#0072B2", "#D55E00", "#009E73"

# The axis of the times ends here, because a far outlier would squeeze all others.
_SHOWN_UP_TO = 0.995


def draw(measurement: Measurement) -> Figure:
    """Return a figure with the times in run order and their cumulative distribution.

    Raises ImportError without matplotlib.
    """
    figures = require("matplotlib.figure", "plot()", "plot")
    unit, scale = time_unit(measurement.median)
    figure = figures.Figure(figsize=(9.2, 3.6), layout="constrained")
    order, distribution = figure.subplots(
        1, 2, sharey=True, gridspec_kw={"width_ratios": [2.0, 1.0]}
    )
    times = measurement.times / scale
    _draw_order(order, measurement, times)
    order.set_ylabel(f"time ({unit})")
    _draw_distribution(distribution, times)
    for place in (order, distribution):
        _draw_median(place, measurement, scale)
        place.grid(True, alpha=0.3)
    ends = np.quantile(times, [0.0, _SHOWN_UP_TO])
    room = 0.05 * (ends[1] - ends[0]) or 0.05 * abs(ends[1]) or 1.0
    order.set_ylim(ends[0] - room, ends[1] + room)
    distribution.legend(frameon=False, loc="upper left")
    figure.suptitle(f"{measurement.label} on {measurement.device}", size=10)
    made: Figure = figure
    return made


def _draw_order(place: Any, measurement: Measurement, times: Any) -> None:
    place.plot(
        np.arange(len(times)), times, ".", color=_TIMES, markersize=2.5, alpha=0.6, rasterized=True
    )
    place.set_xlabel("run")
    for run, before, after in clock_changes(measurement):
        place.axvline(run, color=_CLOCK, linewidth=1.0)
        label = f" {before:.0f} to {after:.0f} MHz"
        place.annotate(
            label,
            (run, 1.0),
            xycoords=("data", "axes fraction"),
            rotation=90,
            va="top",
            size=7,
            color=_CLOCK,
        )
    for end in itertools.accumulate(measurement.processes[:-1]):
        place.axvline(end - 0.5, color="black", linewidth=0.6, linestyle=":")


def _draw_distribution(place: Any, times: Any) -> None:
    shares = np.arange(1, len(times) + 1) / len(times)
    place.step(shares, np.sort(times), where="pre", color=_TIMES)
    place.set_xlabel("share of runs up to this time")


def _draw_median(place: Any, measurement: Measurement, scale: float) -> None:
    place.axhline(measurement.median / scale, color=_MEDIAN, linewidth=1.0, label="median")
    low, high = measurement.median_interval
    if math.isfinite(low):
        place.axhspan(
            low / scale, high / scale, color=_MEDIAN, alpha=0.2, linewidth=0, label="95 % interval"
        )


def clock_changes(measurement: Measurement) -> Iterator[tuple[int, float, float]]:
    """Yield the kept run at which the clock changed, and the clock before and after in MHz.

    Small steps add up: each clock is compared with the clock at the last change.
    """
    samples = iter(measurement.clocks)
    last = next(samples, None)
    run_before = 0 if last is None else last.run
    for sample in samples:
        assert last is not None
        if abs(sample.mhz / last.mhz - 1) > CLOCK_CHANGE:
            yield run_before, last.mhz, sample.mhz
            last = sample
        run_before = sample.run

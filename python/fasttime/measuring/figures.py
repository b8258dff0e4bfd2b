# SPDX-License-Identifier: BSD-3-Clause
"""The figures of a measurement as lines of text, and its charts in HTML."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..html.charts import figure, histogram, run_order
from ..rates.rate import format_rate
from ..text import format_count, format_seconds

if TYPE_CHECKING:
    from .measurement import Measurement

_MOST_LISTED = 5  # process medians that fit into one line
_BARS = 60  # of the histogram


def rows(measurement: Measurement) -> list[tuple[str, str]]:
    """Return the names and values of all figures."""
    text = format_seconds
    low, high = measurement.median_interval
    interval = "" if math.isnan(low) else f" (95 %: {text(low)} to {text(high)})"
    std = f", std {text(measurement.std)}" if len(measurement) > 1 else ""
    found = [
        ("median", f"{text(measurement.median)}{interval}"),
        ("mean", f"{text(measurement.mean)}{std}"),
        ("range", f"{text(measurement.min)} to {text(measurement.max)}"),
        ("runs", _runs(measurement)),
    ]
    if len(measurement.processes) > 1:
        found.append(("processes", _processes(measurement)))
    if measurement.warmup:
        first = text(float(measurement.warmup_times[0]))
        runs = format_count(measurement.warmup, "run")
        found.append(("warm-up", f"{runs} ignored, the first took {first}"))
    on_cpu = any(warning.kind == "cpu" for warning in measurement.warnings)
    if measurement.method != "naive" and not on_cpu:
        found.append(("host time", f"{text(measurement.host_time)} to issue a call"))
        if measurement.wall_time is not None:
            found.append(("wall time", f"{text(measurement.wall_time)} per call in a row of calls"))
    for kind, rate in measurement.rates.items():
        ends = " to ".join(format_rate(end, kind) for end in rate.interval)
        is_known = math.isfinite(rate.interval[0])
        found.append((kind, f"{rate}" + (f", 95 %: {ends}" if is_known else "")))
    if measurement.clock is not None:
        found.append(("SM clock", _clock(measurement)))
    return found


def _clock(measurement: Measurement) -> str:
    found = [sample.mhz for sample in measurement.clocks]
    low, high = min(found), max(found)
    spread = f", from {low:.0f} to {high:.0f} MHz" if low < high else ""
    return f"{measurement.clock:.0f} MHz{spread}"


def _runs(measurement: Measurement) -> str:
    outliers = int(measurement.outliers.sum())
    count = f"{len(measurement)}"
    return f"{count}, {outliers} far from the others" if outliers else count


def _processes(measurement: Measurement) -> str:
    medians = measurement.process_medians
    if len(medians) > _MOST_LISTED:
        low, high = format_seconds(min(medians)), format_seconds(max(medians))
        return f"{len(medians)}, medians from {low} to {high}"
    return f"{len(medians)}, medians {', '.join(map(format_seconds, medians))}"


def charts(measurement: Measurement) -> str:
    """Return a histogram and the times in run order; nothing if all times are equal."""
    times = measurement.times[np.isfinite(measurement.times)]
    if len(times) < 2 or times.min() == times.max():
        return ""
    ends = np.quantile(times, [0.0, 0.99])  # a far outlier would squeeze all other bars
    last = max(ends[1], measurement.median)
    counts, edges = np.histogram(times, bins=_BARS, range=(ends[0], last))
    beyond = len(times) - int(counts.sum())
    text = format_seconds
    words = f"Histogram from {text(float(edges[0]))} to {text(float(edges[-1]))}"
    words += f"; {format_count(beyond, 'run')} beyond." if beyond else "."
    whole = f"{text(measurement.min)} to {text(measurement.max)}"
    order = f"Times in run order, from {whole}, and the median."
    return figure(histogram(counts.tolist(), words, 120), words) + figure(
        run_order(measurement.times.tolist(), measurement.median, order), order
    )

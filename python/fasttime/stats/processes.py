# SPDX-License-Identifier: BSD-3-Clause
"""Runs grouped by process: the spread of process medians, and the interval from it.

Runs of one process share their memory layout and the algorithms that were picked, so they are
faster or slower together. The independent draws are the processes, and only more processes make the
interval narrower. An interval of all runs pooled would miss the median of most processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from . import Times
from .clock_step import clock_step
from .student import mean_interval

# The fewest processes that show how much processes differ. Two are too few, whatever the
# distribution. Suppose that each process is either fast or slow by accident, such as by its memory
# layout. Then in every other measurement both are alike, and the spread is zero. In a comparison of
# two with two, one of eight has both old processes fast and both new ones slow. With three on each
# side it is one of 32.
FEWEST_PROCESSES = 3


def by_process(times: Times, processes: Sequence[int]) -> list[Times]:
    """Return the times of each process; `processes` holds the number of runs of each."""
    return np.split(times, np.cumsum(processes)[:-1]) if len(processes) > 1 else [times]


def at_one_level(parts: Sequence[Times]) -> Times:
    """Return all times, with the times of each process scaled to the median of the process medians.

    So a difference between processes makes none of their runs look odd. If a process median is not
    above 0, or a time is not finite, the times are returned unscaled.
    """
    medians = [float(np.median(part)) for part in parts if len(part)]
    times = np.concatenate(parts)
    if len(medians) < 2 or min(medians) <= 0 or not np.isfinite(times).all():
        return times
    typical = float(np.median(medians))
    return np.concatenate(
        [part * (typical / np.median(part)) if len(part) else part for part in parts]
    )


def coarsest_step(parts: Sequence[Times]) -> float:
    """Return the largest clock step that shows in the times of a process, in seconds."""
    return max(map(clock_step, parts))


def processes_interval(parts: Sequence[Times], level: float = 0.95) -> tuple[float, float]:
    """Return the interval that covers the typical process median with probability `level`.

    It is Student's interval of the logarithms of the process medians, which it assumes to be nearly
    normal. NaN for fewer than three processes, or if a median is not above 0.
    """
    medians = [float(np.median(part)) for part in parts]
    if len(medians) < FEWEST_PROCESSES or not all(0 < median < math.inf for median in medians):
        return math.nan, math.nan
    low, high = mean_interval(np.log(medians).tolist(), 1 - level)
    # A median is a step of the clock, and may be off by half a step.
    half_step = coarsest_step(parts) / 2
    # If processes fall into two groups, their median lies in the larger group and their mean
    # between the groups. With ten or more processes, the mean's interval may then miss the median,
    # so the interval is stretched to include it.
    middle = float(np.median(medians))
    return min(math.exp(low), middle) - half_step, max(math.exp(high), middle) + half_step

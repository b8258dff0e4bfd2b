# SPDX-License-Identifier: BSD-3-Clause
"""What the processes of a measurement say together: their medians, and how far they spread.

Runs of one process stand or fall together: memory lies where it lies, and one algorithm was picked.
So however many of them there are, it is processes that are drawn by chance, and only their number
makes an interval narrow. One of all runs in one pool would hold none of the processes it is of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .student import mean_interval
from .times import Times, clock_step

# From so many processes on, these speak for themselves. Two would not do, however their times are
# distributed: where a process is either fast or slow by accident, as one with its memory laid out
# well or badly is, both are fast, or both slow, in every other measurement, whose spread is then
# none at all. And in a comparison of two with two, both of the old are fast and both of the new
# slow in one of eight, old and new then looking quite apart. With three a side it is one of 32.
FEWEST_PROCESSES = 3


def by_process(times: Times, processes: Sequence[int]) -> list[Times]:
    """Return the times of each process."""
    return np.split(times, np.cumsum(processes)[:-1]) if len(processes) > 1 else [times]


def at_one_level(parts: Sequence[Times]) -> Times:
    """Return the times, each scaled so that its process has the median of all processes' medians.

    That processes differ then makes none of their runs look odd. Times of which a process's median
    is not above 0, or that are not all finite, have no such scale, and are returned as they are.
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
    """Return the greatest of the clock's steps that show in the times of the processes."""
    return max(map(clock_step, parts))


def processes_interval(parts: Sequence[Times], level: float = 0.95) -> tuple[float, float]:
    """Return the interval that covers with probability `level` what processes lie around.

    Student's, of the logarithms of the medians of the processes, which it supposes to be nearly
    normal. NaN where there are fewer than three, or where a median is not above 0.
    """
    medians = [float(np.median(part)) for part in parts]
    if len(medians) < FEWEST_PROCESSES or not all(0 < median < math.inf for median in medians):
        return math.nan, math.nan
    low, high = mean_interval(np.log(medians).tolist(), 1 - level)
    # A median is one of the clock's steps, and may be half of one off.
    half_step = coarsest_step(parts) / 2
    # Where processes fall into two groups, the median is in the larger one and the mean between
    # them: with ten processes or more its interval may leave out the median, and is stretched.
    middle = float(np.median(medians))
    return min(math.exp(low), middle) - half_step, max(math.exp(high), middle) + half_step

# SPDX-License-Identifier: BSD-3-Clause
"""Outliers, and figures that outliers do not change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import Times
from .clock_step import clock_step

# Tukey's outer fences (Exploratory Data Analysis, 1977): three interquartile ranges beyond the
# quartiles. The inner fences, at 1.5, would flag 7 of 1000 runs of a normal distribution. The outer
# fences flag 2 in a million, and 1 % of runs with an exponential tail.
_FENCE = 3.0

# The interquartile range can be 0. So a fence is at least this share of the median away from the
# quartile, and at least two steps of the clock.
_LEAST_FENCE = 0.01


def far_outliers(times: Times, step: float | None = None) -> npt.NDArray[np.bool_]:
    """Return for each time whether it lies beyond Tukey's outer fences.

    Args:
        times: in any order, in seconds.
        step: the step of the clock, in seconds; None to find it in `times`.
    """
    step = clock_step(times) if step is None else step
    lower, middle, upper = np.quantile(times, (0.25, 0.5, 0.75))
    reach = max(_FENCE * (upper - lower), _LEAST_FENCE * abs(middle), 2 * step)
    return np.asarray((times < lower - reach) | (times > upper + reach))


def median_deviation(times: Times) -> float:
    """Return the median absolute deviation from the median (MAD), without scaling."""
    return float(np.median(np.abs(times - np.median(times))))


def middle_mean(times: Times, axis: int = -1) -> Times:
    """Return the interquartile mean along an axis: the mean of the middle half.

    It is nearly as robust as the median and less noisy. It also resolves less than one step of the
    clock: a time between two steps shows in how often each step is read.
    """
    count = times.shape[axis]
    cut = count // 4
    if cut == 0:
        return np.asarray(np.mean(times, axis=axis))
    kept = np.take(
        np.partition(times, (cut, count - cut - 1), axis=axis), range(cut, count - cut), axis
    )
    return np.asarray(np.mean(kept, axis=axis))

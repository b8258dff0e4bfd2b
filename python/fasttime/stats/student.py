# SPDX-License-Identifier: BSD-3-Clause
"""Intervals of a mean, or of a difference of means, for small samples: Student's and Welch's t."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from .correlation import independent_values


def mean_interval(sample: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the 1 - `alpha` interval of the mean (Student 1908), for two values or more."""
    mean, freedom = float(np.mean(sample)), len(sample) - 1
    half = student_quantile(1 - alpha / 2, freedom) * float(np.std(sample, ddof=1))
    half /= math.sqrt(len(sample))
    return mean - half, mean + half


def block_half_width(sample: Sequence[float], alpha: float, cut: int = 0) -> float:
    """Return half the width of the 1 - `alpha` interval of the mean of consecutive blocks.

    Tukey and McLaughlin (1963): Student's interval of the rest, with the standard deviation of the
    winsorised sample, in which the trimmed values are replaced by their nearest neighbours among
    the rest.

    Neighbours in the sample may be correlated, as in a first-order autoregressive process. The
    sample then counts as fewer values: the interval is wider and has fewer degrees of freedom. The
    variance is corrected, because it is measured around the sample's own mean (Zieba 2010).

    Args:
        sample: one value per block, in order; at least ``2 * cut + 2``.
        alpha: the probability that the interval misses the mean.
        cut: how many values are trimmed at each end.
    """
    count = len(sample)
    ordered = np.sort(sample)
    kept = np.clip(sample, ordered[cut], ordered[-1 - cut])
    independent = independent_values(kept)
    deviation = float(np.std(kept, ddof=1)) / (1 - 2 * cut / count)
    deviation *= math.sqrt((count - 1) / (count - count / independent))
    freedom = min(count - 2 * cut, independent) - 1
    # Rounded, because the quantile is cached.
    quantile = student_quantile(1 - alpha / 2, round(freedom, 1))
    return quantile * deviation / math.sqrt(independent)


def difference_interval(
    old: Sequence[float], new: Sequence[float], alpha: float
) -> tuple[float, float, float]:
    """Return the difference of the means, new - old, and the ends of its 1 - `alpha` interval.

    Needs two values or more on each side. The interval is the wider of two:

    * Welch's (1947), with Satterthwaite's degrees of freedom, allows different variances.
    * Student's uses one pooled variance.

    Welch's alone fails if one sample is much smaller and its values happen to lie close together:
    it then takes the variance and the many degrees of freedom of the other sample. For 3 values
    against 20, a quarter of its 95 % intervals miss. With equal sample sizes, Welch's interval is
    always the wider one.
    """
    difference = float(np.mean(new) - np.mean(old))
    counts = len(old), len(new)
    squares = [float(np.var(sample, ddof=1)) for sample in (old, new)]
    shares = [square / count for square, count in zip(squares, counts, strict=True)]
    variance = sum(shares)
    if variance == 0:
        return difference, difference, difference
    freedom = variance**2 / sum(
        share**2 / (count - 1) for share, count in zip(shares, counts, strict=True)
    )
    welch = student_quantile(1 - alpha / 2, freedom) * math.sqrt(variance)
    together = sum(counts) - 2
    pooled = sum((count - 1) * square for count, square in zip(counts, squares, strict=True))
    pooled *= sum(1 / count for count in counts) / together
    half = max(welch, student_quantile(1 - alpha / 2, together) * math.sqrt(pooled))
    return difference, difference - half, difference + half


@functools.lru_cache(maxsize=512)
@np.errstate(under="ignore")  # the density may be as small as 0
def student_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t distribution, for a probability above one half.

    With t = sqrt(freedom) tan(u), the density becomes cos(u) ** (freedom - 1), which is smooth on a
    finite interval. So the midpoint rule and linear interpolation give six digits.
    """
    edges = np.linspace(0.0, math.pi / 2, 40_001)
    middles = (edges[1:] + edges[:-1]) / 2
    mass = np.zeros(len(edges))
    np.cumsum(np.cos(middles) ** (freedom - 1), out=mass[1:])
    wanted = (2 * probability - 1) * mass[-1]
    return math.sqrt(freedom) * math.tan(float(np.interp(wanted, mass, edges)))

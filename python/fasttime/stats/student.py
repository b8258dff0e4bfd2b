# SPDX-License-Identifier: BSD-3-Clause
"""Where the mean of a small sample lies, or the difference of two: Student's and Welch's t."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np


def mean_interval(sample: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the interval of the mean (Student 1908), of a sample of at least two."""
    mean, freedom = float(np.mean(sample)), len(sample) - 1
    half = student_quantile(1 - alpha / 2, freedom) * float(np.std(sample, ddof=1))
    half /= math.sqrt(len(sample))
    return mean - half, mean + half


def trimmed_half_width(sample: Sequence[float], alpha: float) -> float:
    """Return half the width of the interval of the mean without the least and the greatest.

    Tukey and McLaughlin (1963): Student's, of what is left, with the spread of a sample in which
    the two are as far out as their neighbours. One odd value at either end does not change it. Of
    at least four values.
    """
    ordered = np.sort(sample)
    ordered[0], ordered[-1] = ordered[1], ordered[-2]
    count = len(ordered)
    deviation = float(np.std(ordered, ddof=1)) / (1 - 2 / count)
    return student_quantile(1 - alpha / 2, count - 3) * deviation / math.sqrt(count)


def difference_interval(
    old: Sequence[float], new: Sequence[float], alpha: float
) -> tuple[float, float, float]:
    """Return the difference of the means, new less old, and the ends of its interval.

    At least two of each. The wider one of two: Welch's (1947), with the degrees of freedom of
    Satterthwaite, which does not suppose that both samples spread alike; and Student's, with one
    variance for both, which does. Where one sample is much smaller and happens to lie close
    together, Welch takes the other's spread for all there is, with the other's many degrees of
    freedom: of 3 against 20 it is false in a quarter of cases instead of a twentieth. With equally
    many of both it is always the wider one.
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


@functools.lru_cache(maxsize=64)
def student_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t distribution, for a probability above one half.

    With t = sqrt(freedom) tan(u) the density becomes cos(u) to the power of freedom - 1, smooth and
    of finite length, so that summing it up by the midpoint rule and bisecting has six digits.
    """
    edges = np.linspace(0.0, math.pi / 2, 40_001)
    middles = (edges[1:] + edges[:-1]) / 2
    mass = np.cumsum(np.cos(middles) ** (freedom - 1))
    wanted = (2 * probability - 1) * mass[-1]
    return math.sqrt(freedom) * math.tan(float(np.interp(wanted, [0.0, *mass], edges)))

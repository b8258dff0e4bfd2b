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


def welch_interval(
    old: Sequence[float], new: Sequence[float], alpha: float
) -> tuple[float, float, float]:
    """Return the difference of the means, new less old, and the ends of its interval.

    Welch (1947), with the degrees of freedom of Satterthwaite. It supposes neither that both
    samples spread alike nor that there are equally many of both; at least two of each.
    """
    difference = float(np.mean(new) - np.mean(old))
    shares = [float(np.var(sample, ddof=1)) / len(sample) for sample in (old, new)]
    variance = sum(shares)
    if variance == 0:
        return difference, difference, difference
    freedom = variance**2 / sum(
        share**2 / (len(sample) - 1) for share, sample in zip(shares, (old, new), strict=True)
    )
    half = student_quantile(1 - alpha / 2, freedom) * math.sqrt(variance)
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

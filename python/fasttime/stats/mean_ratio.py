# SPDX-License-Identifier: BSD-3-Clause
"""The ratio of two means that were measured in pairs, with its interval."""

from __future__ import annotations

import math

from . import Times
from .student import student_quantile

# The fewest pairs that may make up the variance, and their least share of all pairs.
_FEWEST = 1.5
_LEAST_SHARE = 1 / 8


def mean_ratio_interval(ours: Times, others: Times, alpha: float) -> tuple[float, float, float]:
    """Return the logarithm of the ratio of the means and the ends of its 1 - `alpha` interval.

    The delta method for paired ratios (Cochran, Sampling Techniques, 1977, 6.3): to first order,
    the logarithm varies like the mean of the differences of the relative values, and Student's
    interval of that mean is taken. It assumes that the mean of the differences is nearly normal.
    Both ends are infinite if a few pairs make up most of the variance, as with a heavy tail: the
    mean is then a matter of chance.

    Args:
        ours, others: one value per pair, above 0; two pairs or more.
        alpha: the probability that the interval misses the ratio.
    """
    location = math.log(float(ours.mean()) / float(others.mean()))
    differences = ours / ours.mean() - others / others.mean()
    pairs = len(differences)
    half = student_quantile(1 - alpha / 2, pairs - 1) * float(differences.std(ddof=1))
    half /= math.sqrt(pairs)
    squares = differences**2
    # The number of pairs that make up the variance (inverse participation ratio): a third of all
    # pairs for normal differences, 1 if a single pair dominates.
    fourth = float((squares**2).sum())
    if fourth > 0 and float(squares.sum()) ** 2 / fourth < max(_FEWEST, _LEAST_SHARE * pairs):
        half = math.inf
    return location, location - half, location + half

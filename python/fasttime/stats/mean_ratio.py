# SPDX-License-Identifier: BSD-3-Clause
"""The ratio of two means that were measured in pairs, with its interval."""

from __future__ import annotations

import math

from . import Times
from .student import student_quantile


def mean_ratio_interval(ours: Times, others: Times, alpha: float) -> tuple[float, float, float]:
    """Return the logarithm of the ratio of the means and the ends of its 1 - `alpha` interval.

    The delta method for paired ratios (Cochran, Sampling Techniques, 1977, 6.3): to first order,
    the logarithm varies like the mean of the differences of the relative values, and Student's
    interval of that mean is taken. It assumes that the mean of the differences is nearly normal,
    which takes many pairs if long values are rare.

    Args:
        ours, others: one value per pair, above 0; two pairs or more.
        alpha: the probability that the interval misses the ratio.
    """
    location = math.log(float(ours.mean()) / float(others.mean()))
    differences = ours / ours.mean() - others / others.mean()
    pairs = len(differences)
    half = student_quantile(1 - alpha / 2, pairs - 1) * float(differences.std(ddof=1))
    half /= math.sqrt(pairs)
    return location, location - half, location + half

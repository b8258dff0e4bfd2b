# SPDX-License-Identifier: BSD-3-Clause
"""Where paired differences lie: Wilcoxon's signed rank, turned into an interval."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Differences = npt.NDArray[np.float64]

# Up to so many pairs the null distribution is counted out; beyond, the normal approximation has
# the rank right to less than one in a hundred, at the levels that are in use here.
_EXACT_UP_TO = 60


def location_interval(differences: Differences, alpha: float) -> tuple[float, float, float]:
    """Return the location of the differences, and the two ends of its interval.

    The estimate of Hodges and Lehmann (1963), the median of the means of all pairs, and the
    interval that Wilcoxon's signed rank test does not reject at `alpha`, two-sided (Tukey 1949;
    Hollander and Wolfe, Nonparametric Statistical Methods, 3.3). Its coverage is exact where
    differences are as likely to lie above their location as below it by the same amount, whatever
    else their distribution is like. Infinite where there are too few for that level.
    """
    rank = _lower_rank(len(differences), alpha)
    first, second = np.triu_indices(len(differences))
    means = (differences[first] + differences[second]) / 2
    middle = float(np.median(means))
    if rank == 0:
        return middle, -math.inf, math.inf
    ends = np.partition(means, (rank - 1, len(means) - rank))
    return middle, float(ends[rank - 1]), float(ends[len(means) - rank])


def fewest_pairs(alpha: float) -> int:
    """Return how many pairs it takes at least for an interval at this level."""
    return math.ceil(1 - math.log2(alpha))


@functools.lru_cache(maxsize=1024)
def _lower_rank(pairs: int, alpha: float) -> int:
    """Return the largest k with P(rank sum below k) at most alpha / 2; 0 where there is none."""
    if pairs > _EXACT_UP_TO:
        mean = pairs * (pairs + 1) / 4
        deviation = math.sqrt(pairs * (pairs + 1) * (2 * pairs + 1) / 24)
        return int(mean + 0.5 - NormalDist().inv_cdf(1 - alpha / 2) * deviation)
    # How many subsets of the ranks add up to each sum; floats hold all of them exactly enough.
    subsets = np.zeros(pairs * (pairs + 1) // 2 + 1)
    subsets[0] = 1.0
    for rank in range(1, pairs + 1):
        subsets[rank:] += subsets[:-rank].copy()
    at_most = np.cumsum(subsets) / 2.0**pairs
    return int(np.searchsorted(at_most, alpha / 2, side="right"))

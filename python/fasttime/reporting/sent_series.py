# SPDX-License-Identifier: BSD-3-Clause
"""What a report knows of durations as plain data, to be sent to another process."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._native import Series


@dataclass(frozen=True)
class SentSeries:
    """A copy of the core's `Series` that can be pickled, with the same answers to the last digit.

    Attributes:
        values_ns: the different values that quantiles take, in rising order.
        ranks: how many durations lie at or below each of them.
    """

    count: int
    total_ns: float
    mean_ns: float
    std_ns: float
    min_ns: float
    max_ns: float
    values_ns: tuple[float, ...]
    ranks: tuple[int, ...]

    def quantile_ns(self, q: float) -> float:
        """Return the value of the nearest rank, as `Series` does; 0.0 if there are none."""
        if not self.count:
            return 0.0
        rank = max(1, math.ceil(q * self.count))
        return self.values_ns[bisect.bisect_left(self.ranks, rank)]


def sent(series: Series | SentSeries) -> SentSeries:
    """Return the copy. Asks some twenty times for each step of 1 % in which any lie."""
    if isinstance(series, SentSeries):
        return series
    steps = tuple(_steps(series))
    return SentSeries(
        series.count,
        series.total_ns,
        series.mean_ns,
        series.std_ns,
        series.min_ns,
        series.max_ns,
        tuple(value for value, _ in steps),
        tuple(rank for _, rank in steps),
    )


def _steps(series: Series) -> Iterator[tuple[float, int]]:
    """Yield the different values, each with the last rank that has it."""
    rank = 0
    while rank < series.count:
        value = _at(series, rank + 1)
        ranks = range(rank + 1, series.count + 1)
        rank += bisect.bisect_right(ranks, value, key=lambda at: _at(series, at))
        yield value, rank


def _at(series: Series, rank: int) -> float:
    # Half a rank below: ceil() then gives the rank, however the product is rounded.
    return series.quantile_ns((rank - 0.5) / series.count)

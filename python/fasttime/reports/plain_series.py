# SPDX-License-Identifier: BSD-3-Clause
"""What the core knows of durations as plain data: to be sent, saved, added up and taken apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _native

if TYPE_CHECKING:
    from .._native import Series


@cache
def bucket_middles_ns() -> npt.NDArray[np.float64]:
    """Return what each bucket of the core's histograms counts for."""
    return np.array(_native.bucket_middles_ns())


@dataclass(frozen=True, eq=False)
class PlainSeries:
    """A copy of the core's `Series`, with the same answers to the last digit.

    Attributes:
        count, total, squares: how many durations, their sum in ns and that of their squares.
        least, greatest: of them, in ns.
        buckets: numbers of the histogram's buckets that hold any, in rising order.
        counts: how many each of these holds.
    """

    count: int
    total: int
    squares: int
    least: int
    greatest: int
    buckets: npt.NDArray[np.uint16] = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)

    @property
    def total_ns(self) -> float:
        return float(self.total)

    @property
    def mean_ns(self) -> float:
        return float(self.total) / float(self.count) if self.count else 0.0

    @property
    def std_ns(self) -> float:
        """As `Series` has it: from the squares about a whole number next to the mean."""
        if self.count < 2:
            return 0.0
        centre, rest = divmod(abs(self.total), self.count)
        centre = -centre if self.total < 0 else centre
        about_centre = self.squares - 2 * centre * self.total + self.count * centre * centre
        about_mean = float(about_centre) - float(rest) * float(rest) / float(self.count)
        return math.sqrt(max(0.0, about_mean) / float(self.count - 1))

    @property
    def min_ns(self) -> float:
        return float(self.least)

    @property
    def max_ns(self) -> float:
        return float(self.greatest)

    def quantile_ns(self, q: float) -> float:
        """Return the value of the nearest rank, as `Series` does; 0.0 if there are none."""
        ranks = self._ranks
        if not len(ranks):
            return 0.0
        rank = max(1, math.ceil(q * float(ranks[-1])))
        bucket = self.buckets[np.searchsorted(ranks, rank)]
        return min(max(float(bucket_middles_ns()[bucket]), self.min_ns), self.max_ns)

    def counts_below_ns(self, bounds: Sequence[float]) -> list[int]:
        """Return how many lie at or below each bound, those of a bucket at its middle."""
        # A bound in seconds times 1e9 may lie a rounding below the whole ns that was meant.
        wanted = np.round(np.array(bounds, float), 3)
        places = np.searchsorted(bucket_middles_ns()[self.buckets], wanted, "right")
        found = np.concatenate(([0], self._ranks))[places]
        found = np.where(wanted < self.least, 0, found)
        return np.where(wanted >= self.greatest, self.count, found).tolist()  # type: ignore[no-any-return]

    @cached_property
    def _ranks(self) -> npt.NDArray[np.int64]:
        """How many durations lie in each bucket or below it."""
        return np.cumsum(self.counts)

    def as_plain_data(self) -> tuple[Any, ...]:
        """Return all of it, to be compared and pickled: the same where the durations are."""
        # As bytes, in the narrowest type: arrays by themselves would bring 150 bytes each.
        counts = self.counts.astype(np.min_scalar_type(max(self.counts, default=0)))
        moments = (self.count, self.total, self.squares, self.least, self.greatest)
        packed = (self.buckets.astype("<u2").tobytes(), counts.dtype.str, counts.tobytes())
        return *moments, *packed

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, self.as_plain_data()


def _unpacked(
    count: int,
    total: int,
    squares: int,
    least: int,
    greatest: int,
    buckets: bytes,
    kind: str,
    counts: bytes,
) -> PlainSeries:
    return PlainSeries(
        count,
        total,
        squares,
        least,
        greatest,
        np.frombuffer(buckets, "<u2").astype(np.uint16),
        np.frombuffer(counts, kind).astype(np.int64),
    )


def plain(series: Series | PlainSeries) -> PlainSeries:
    """Return the copy."""
    if isinstance(series, PlainSeries):
        return series
    return PlainSeries(*series.moments(), *series.histogram())

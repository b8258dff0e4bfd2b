# SPDX-License-Identifier: BSD-3-Clause
"""A distribution of durations, as a report shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._native import Series
    from .plain_series import PlainSeries


class Durations:
    """A distribution of durations, in seconds, kept in constant memory.

    Count, total, mean, std, min and max are exact (the sums are in double precision); see
    `Report.since` for an exception. Quantiles come from a histogram and are within 1 % of a
    measured value; there, what took longer than 73 minutes counts as that long. Where there are no
    durations all of these are 0: look at `count` first.
    """

    __slots__ = ("_series",)

    def __init__(self, series: Series | PlainSeries) -> None:
        self._series = series

    @property
    def count(self) -> int:
        """How many there are."""
        return self._series.count

    @property
    def total(self) -> float:
        """Their sum."""
        return self._series.total_ns * 1e-9

    @property
    def mean(self) -> float:
        """Their mean; 0.0 if there are none."""
        return self._series.mean_ns * 1e-9

    @property
    def std(self) -> float:
        """Their standard deviation, with n - 1 below the line; 0.0 for fewer than two."""
        return self._series.std_ns * 1e-9

    @property
    def min(self) -> float:
        """The shortest."""
        return self._series.min_ns * 1e-9

    @property
    def max(self) -> float:
        """The longest."""
        return self._series.max_ns * 1e-9

    @property
    def median(self) -> float:
        """The 0.5 quantile."""
        return self.quantile(0.5)

    @property
    def p95(self) -> float:
        """The 0.95 quantile."""
        return self.quantile(0.95)

    @property
    def p99(self) -> float:
        """The 0.99 quantile."""
        return self.quantile(0.99)

    def quantile(self, q: float) -> float:
        """Return the duration below which a fraction `q` of all lie, within 1 %."""
        if not 0 <= q <= 1:
            raise ValueError(f"q must lie between 0 and 1, got {q}")
        return self._series.quantile_ns(q) * 1e-9

    def _plain(self) -> PlainSeries:
        from .plain_series import plain

        return plain(self._series)

    def counts_below(self, bounds: Iterable[float]) -> list[int]:
        """Return for each bound how many durations lie at or below it, as Prometheus's buckets do.

        Args:
            bounds: in seconds, in any order; may be infinite.

        A duration within 1 % of a bound may be counted on either side of it: each of the
        histogram's steps counts as its middle. All others are counted exactly. What lies below
        `min` has none, and what lies at `max` or above it has all. Raises ValueError for a bound
        that is not a number.

        >>> site.host.counts_below([0.001, 0.01, 0.1, float("inf")])  # doctest: +SKIP
        [0, 312, 998, 1000]
        """
        wanted = list(bounds)
        if any(math.isnan(bound) for bound in wanted):
            raise ValueError(f"bounds must be numbers of seconds, got {wanted}")
        return self._plain().counts_below_ns([bound * 1e9 for bound in wanted])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Durations):
            return NotImplemented
        return self._plain().as_plain_data() == other._plain().as_plain_data()

    def __hash__(self) -> int:
        return hash(self._plain().as_plain_data())

    def __copy__(self) -> Durations:
        return self  # nothing in it can change

    def __deepcopy__(self, _: object) -> Durations:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Durations, (self._plain(),)

    def __repr__(self) -> str:
        return f"Durations(count={self.count}, mean={self.mean:.3e}, p95={self.p95:.3e})"

# SPDX-License-Identifier: BSD-3-Clause
"""A distribution of durations, as a report shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from .._native import Series


class Durations:
    """A distribution of durations, in seconds, in constant memory.

    Count, total, mean, std, min and max are exact, except that `Report.since` may know min and max
    only to 1 %. Quantiles come from a histogram and are within 1 % of a measured duration. Every
    duration above 52 days counts as 52 days. With no durations, every figure is 0, so check `count`
    first.
    """

    __slots__ = ("_series",)

    def __init__(self, series: Series) -> None:
        self._series = series

    @property
    def count(self) -> int:
        """The number of durations."""
        return self._series.count

    @property
    def total(self) -> float:
        """The sum of the durations."""
        return self._series.total_ns * 1e-9

    @property
    def mean(self) -> float:
        """The mean duration."""
        return self._series.mean_ns * 1e-9

    @property
    def std(self) -> float:
        """The sample standard deviation (divisor n - 1); 0.0 for fewer than two durations."""
        return self._series.std_ns * 1e-9

    @property
    def min(self) -> float:
        """The shortest duration."""
        return self._series.min_ns * 1e-9

    @property
    def max(self) -> float:
        """The longest duration."""
        return self._series.max_ns * 1e-9

    @property
    def first(self) -> float | None:
        """The duration that was counted first; None if unknown.

        It often includes one-off work, which distorts the mean of a short run. For several streams
        or threads, it is the first one that fasttime read. In a merged report, it comes from the
        first report. It is unknown in ``later.since(earlier)`` if `earlier` has durations.
        """
        first_ns = self._series.first_ns
        return None if first_ns is None else first_ns * 1e-9

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
        """Return the duration that a fraction `q` of all durations do not exceed, within 1 %.

        Raises ValueError unless 0 <= q <= 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q must lie between 0 and 1, got {q}")
        return self._series.quantile_ns(q) * 1e-9

    def counts_below(self, bounds: Iterable[float]) -> list[int]:
        """Return how many durations lie at or below each bound, as Prometheus buckets count.

        Args:
            bounds: in seconds, in any order; may be infinite.

        A duration within 1 % of a bound may be counted on either side of the bound. All other
        durations are counted exactly. Bounds below `min` count no duration; bounds at or above
        `max` count every duration. Raises ValueError if a bound is NaN.

        >>> site.host.counts_below([0.001, 0.01, 0.1, float("inf")])  # doctest: +SKIP
        [0, 312, 998, 1000]
        """
        wanted = list(bounds)
        if any(math.isnan(bound) for bound in wanted):
            raise ValueError(f"bounds must be numbers of seconds, got {wanted}")
        return self._series.counts_below_ns([bound * 1e9 for bound in wanted])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Durations):
            return NotImplemented
        return self._series == other._series

    def __hash__(self) -> int:
        return hash(self._series)

    def __copy__(self) -> Durations:
        return self  # immutable

    def __deepcopy__(self, _: object) -> Durations:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Durations, (self._series,)

    def __repr__(self) -> str:
        return f"Durations(count={self.count}, mean={self.mean:.3e}, p95={self.p95:.3e})"


def merged(parts: Iterable[Durations | None]) -> Durations:
    """Return one distribution with the durations of every part; None stands for no durations."""
    series = Series()
    for part in parts:
        if part is not None:
            series = series.merged(part._series)
    return Durations(series)


def difference(later: Durations | None, earlier: Durations | None) -> Durations:
    """Return the durations that `later` has and `earlier` does not; None stands for no durations.

    Raises ValueError if `earlier` is not an earlier state of `later`.
    """
    before = Series() if earlier is None else earlier._series
    return Durations((Series() if later is None else later._series).since(before))

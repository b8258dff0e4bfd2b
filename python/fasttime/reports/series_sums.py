# SPDX-License-Identifier: BSD-3-Clause
"""Series of durations put together, and what came between two states of one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from .plain_series import PlainSeries, bucket_middles_ns

NOTHING = PlainSeries(0, 0, 0, 0, 0, np.array([], np.uint16), np.array([], np.int64))


def put_together(series: Iterable[PlainSeries]) -> PlainSeries:
    """Return one series of all the durations; exact, but for quantiles, which are within 1 %."""
    parts = [part for part in series if part.count]
    if len(parts) == 1:
        return parts[0]
    held = _held(parts)
    return _series(
        held,
        sum(part.count for part in parts),
        sum(part.total for part in parts),
        sum(part.squares for part in parts),
        min((part.least for part in parts), default=0),
        max((part.greatest for part in parts), default=0),
    )


def between(earlier: PlainSeries, later: PlainSeries) -> PlainSeries:
    """Return the series of the durations that came after `earlier` and are in `later`.

    Its least and its greatest are exact where they are new to the series, else within 1 %. Raises
    ValueError where the one is not the beginning of the other.
    """
    if not earlier.count:
        return later
    held = _held([later]) - _held([earlier])
    count, total = later.count - earlier.count, later.total - earlier.total
    if count < 0 or held.min(initial=0) < 0:
        raise ValueError(f"{later.count} durations cannot have come after {earlier.count} others")
    if not count:
        return NOTHING
    ends = bucket_middles_ns()[np.flatnonzero(held)[[0, -1]]] if held.any() else (0, 0)
    least, greatest = (min(max(int(end), later.least), later.greatest) for end in ends)
    if later.least < earlier.least:
        least = later.least
    if later.greatest > earlier.greatest:
        greatest = later.greatest
    if count == 1:
        least = greatest = total
    # The mean is exact, and lies between them.
    least, greatest = min(least, total // count), max(greatest, -(-total // count))
    return _series(held, count, total, later.squares - earlier.squares, least, greatest)


def _held(parts: list[PlainSeries]) -> npt.NDArray[np.int64]:
    """Return how many durations each bucket of the histogram holds."""
    held = np.zeros(len(bucket_middles_ns()), np.int64)
    for part in parts:
        held[part.buckets] += part.counts
    return held


def _series(
    held: npt.NDArray[np.int64], count: int, total: int, squares: int, least: int, greatest: int
) -> PlainSeries:
    buckets = np.flatnonzero(held)
    filled = buckets.astype(np.uint16), held[buckets]
    return PlainSeries(count, total, squares, least, greatest, *filled)

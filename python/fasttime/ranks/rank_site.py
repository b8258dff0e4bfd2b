# SPDX-License-Identifier: BSD-3-Clause
"""One site over all ranks, and how the sites of several ranks become one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..stats.imbalance import excess_of_slowest, imbalance, stands_out
from .summary import UNKNOWN, RankSummary, SiteColumns

Clock = Literal["device", "host"]


@dataclass(frozen=True, eq=False)
class RankSite:
    """One site on every rank. Times are means per call, in seconds.

    Attributes:
        name: the name of the site.
        path: the path of the site.
        parent: the position of the parent in `RankTable.sites`; None for a root site.
        depth: how many sites are above this one.
        clock: ``device`` if every rank with this site has device times for it, otherwise ``host``.
        is_wait: whether the site is a wait for other ranks, and not work of the rank itself.
        contains_wait: whether a site inside is such a wait.
        min: the shortest time of any rank.
        median: the median over ranks.
        max: the longest time of any rank.
        slowest: the rank with the longest time. None if noise explains why it takes longer: if the
            excess is at most 4 standard errors (more for few calls), or a rank made a single call.
        imbalance: the part of the longest time by which the other ranks are faster on average. 0.0
            if all ranks take equally long, and close to 1.0 if one rank works and all others idle.
        excess: how much longer the slowest rank takes per call than the mean of the other ranks.
        weight: `excess` times the median number of calls. This is about the total time that the
            slowest rank costs the others.
        count: how many ranks have the site.
    """

    name: str
    path: str
    parent: int | None
    depth: int
    clock: Clock
    is_wait: bool
    contains_wait: bool
    min: float
    median: float
    max: float
    slowest: int | None
    imbalance: float
    excess: float
    weight: float
    count: int
    _ranks: Sequence[int] = field(repr=False)
    _times: npt.NDArray[np.float64] = field(repr=False)  # NaN for a rank without the site
    _calls: npt.NDArray[np.int64] = field(repr=False)

    @cached_property
    def times(self) -> dict[int, float]:
        """The mean time per call of each rank that has the site."""
        return {
            rank: float(time)
            for rank, time in zip(self._ranks, self._times, strict=True)
            if not np.isnan(time)
        }

    @cached_property
    def calls(self) -> dict[int, int]:
        """The number of timed calls of each rank that has the site."""
        return {
            rank: int(count)
            for rank, count in zip(self._ranks, self._calls, strict=True)
            if count > 0
        }


class SiteRow(NamedTuple):
    """One site with its times per rank, before anything is computed from them."""

    name: str
    path: str
    parent: int | None
    clock: Clock
    is_wait: bool
    times: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]  # of the times, in seconds; NaN: unknown
    calls: npt.NDArray[np.int64]


def rows_of(summaries: Sequence[RankSummary]) -> list[SiteRow]:
    """Return one row per site that any rank timed.

    Two sites are the same if all their names from the root on are the same. Sites without times on
    every rank are left out; the sites below them move up.
    """
    merged = _Aligned()
    places = [merged.add(summary.sites) for summary in summaries]
    figures = np.zeros((6, len(merged.names), len(summaries)), np.int64)
    for rank, (place, summary) in enumerate(zip(places, summaries, strict=True)):
        figures[:, place, rank] = summary.sites.figures
    host_counts, host_ns, device_counts, device_ns, host_errors, device_errors = figures
    # A device time and a host time are different things, so one row never mixes them.
    lacks_device = (device_counts == 0) & (host_counts > 0)
    on_device = (device_counts > 0).any(axis=1) & ~lacks_device.any(axis=1)
    calls = np.where(on_device[:, None], device_counts, host_counts)
    totals = np.where(on_device[:, None], device_ns, host_ns)
    times = np.full(calls.shape, np.nan)
    np.divide(totals / 1e9, calls, out=times, where=calls > 0)
    errors_ns = np.where(on_device[:, None], device_errors, host_errors)
    errors = np.full(calls.shape, np.nan)
    np.divide(errors_ns / 1e9, calls, out=errors, where=(calls > 0) & (errors_ns != UNKNOWN))
    clocks: list[Clock] = ["device" if one else "host" for one in on_device]
    return _without_empty(
        [
            SiteRow(*row)
            for row in zip(
                merged.names,
                merged.paths,
                merged.parents,
                clocks,
                merged.is_wait,
                times,
                errors,
                calls,
                strict=True,
            )
        ]
    )


class _Aligned:
    """The sites of several ranks as one list, with parents before their children."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.paths: list[str] = []
        self.parents: list[int | None] = []
        self.is_wait: list[bool] = []
        self._positions: dict[tuple[int | None, str], int] = {}
        self._latest: tuple[SiteColumns, list[int]] | None = None

    def add(self, sites: SiteColumns) -> list[int]:
        """Add the sites of a rank, and return the position of each in the list."""
        # Ranks usually have the same sites, and comparing lists is fast.
        if self._latest is not None and sites.has_same_tree(self._latest[0]):
            return self._latest[1]
        waits = set(sites.waits)
        places: list[int] = []
        for own, (name, path, above) in enumerate(
            zip(sites.names, sites.paths, sites.parents, strict=True)
        ):
            parent = None if above < 0 else places[above]
            position = self._positions.setdefault((parent, name), len(self.names))
            if position == len(self.names):
                self.names.append(name)
                self.paths.append(path)
                self.parents.append(parent)
                self.is_wait.append(own in waits)
            places.append(position)
        self._latest = (sites, places)
        return places


def _without_empty(rows: list[SiteRow]) -> list[SiteRow]:
    """Leave out rows without any time on any rank; their children move up to the next row."""
    kept: list[SiteRow] = []
    places: list[int | None] = []  # where each row went, or its parent if the row was left out
    for row in rows:
        parent = None if row.parent is None else places[row.parent]
        if row.calls.any():
            places.append(len(kept))
            kept.append(row._replace(parent=parent))
        else:
            places.append(parent)
    return kept


def sites_of(rows: Sequence[SiteRow], ranks: Sequence[int]) -> tuple[RankSite, ...]:
    """Return the sites with everything that follows from their times.

    Args:
        rows: each with a time on at least one rank.
        ranks: the rank of each column.
    """
    if not rows:
        return ()
    times = np.stack([row.times for row in rows])
    least, middle = np.nanmin(times, axis=1), np.nanmedian(times, axis=1)
    slowest, greatest = np.nanargmax(times, axis=1), np.nanmax(times, axis=1)
    excess, unevenness = excess_of_slowest(times), imbalance(times)
    is_clear = stands_out(
        times, np.stack([row.errors for row in rows]), np.stack([row.calls for row in rows])
    )
    usual_calls = np.nanmedian([np.where(row.calls > 0, row.calls, np.nan) for row in rows], axis=1)
    counts = (~np.isnan(times)).sum(axis=1)
    depths: list[int] = []
    for row in rows:
        depths.append(0 if row.parent is None else depths[row.parent] + 1)
    contains_wait = [False] * len(rows)
    for position in reversed(range(len(rows))):  # children first
        parent = rows[position].parent
        if parent is not None and (rows[position].is_wait or contains_wait[position]):
            contains_wait[parent] = True
    return tuple(
        RankSite(
            name=row.name,
            path=row.path,
            parent=row.parent,
            depth=depths[position],
            clock=row.clock,
            is_wait=row.is_wait,
            contains_wait=contains_wait[position],
            min=float(least[position]),
            median=float(middle[position]),
            max=float(greatest[position]),
            slowest=ranks[int(slowest[position])] if is_clear[position] else None,
            imbalance=float(unevenness[position]),
            excess=float(excess[position]),
            weight=float(excess[position] * usual_calls[position]),
            count=int(counts[position]),
            _ranks=ranks,
            _times=row.times,
            _calls=row.calls,
        )
        for position, row in enumerate(rows)
    )

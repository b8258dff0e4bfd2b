# SPDX-License-Identifier: BSD-3-Clause
"""Counts that only grow, for exporters, even if other readers call ``report(reset=True)``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from . import by_path
from .counts import SiteCounts

if TYPE_CHECKING:
    from .build import Tally
    from .report import Report


class TotalsRead(NamedTuple):
    """The totals at one moment.

    Attributes:
        sites: the counts by path, since `begin_ns`.
        begin_ns: when counting began, in nanoseconds of `time.time_ns`.
        generation: how often the counts were cleared.
        backlogs: the sum of the backlogs that were found at each path, in seconds. Never falls.
        report: the report of the recorder at this moment.
    """

    sites: dict[str, SiteCounts]
    begin_ns: int
    generation: int
    backlogs: dict[str, float]
    report: Report


class Totals:
    """What one exporter has counted at a recorder since the recorder was made or last reset.

    `Recorder.report` hands over what it clears, so every scope stays in the totals.
    `Recorder.reset` deletes the totals too. The recorder calls each method under its lock.
    """

    def __init__(self) -> None:
        self._taken: dict[str, SiteCounts] = {}
        self._begin_ns: int | None = None
        self._generation = 0
        self._backlogs: dict[str, float] = {}
        self._last_backlogs: dict[str, float] = {}

    def add(self, tallies: list[Tally]) -> None:
        """Add counts that a report has cleared."""
        self._taken = by_path.added(self._taken, by_path.of_tallies(tallies))

    def clear(self) -> None:
        """Forget all counts. Counting begins again now."""
        self._taken = {}
        self._begin_ns = time.time_ns()
        self._generation += 1
        self._backlogs = {}
        self._last_backlogs = {}

    def read(self, report: Report) -> TotalsRead:
        """Return the totals with the counts of a new report."""
        if self._begin_ns is None:
            self._begin_ns = time.time_ns() - round(report.duration * 1e9)
        sites = by_path.added(self._taken, by_path.of_report(report))
        self._advance_backlogs(sites)
        return TotalsRead(sites, self._begin_ns, self._generation, dict(self._backlogs), report)

    def _advance_backlogs(self, sites: dict[str, SiteCounts]) -> None:
        """Add the backlogs found since the last call, except those that sum up to less than zero.

        The clocks of host and device agree to microseconds, so a backlog of zero may read below
        zero. Monitoring systems would take a lower sum for a restart, and count all of it again.
        """
        for path, site in sites.items():
            total = site.checks.backlog_total
            more = total - self._last_backlogs.get(path, 0.0)
            self._backlogs[path] = self._backlogs.get(path, 0.0) + max(0.0, more)
            self._last_backlogs[path] = total

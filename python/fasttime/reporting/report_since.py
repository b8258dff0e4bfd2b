# SPDX-License-Identifier: BSD-3-Clause
"""What came between two reports of one recorder."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from ..sample import STATUSES, Status
from .looks import Looks
from .report_building import build_sites
from .series_sums import NOTHING, between
from .site_rows import aligned
from .site_tally import SiteTally, began_earlier

if TYPE_CHECKING:
    from .plain_series import PlainSeries
    from .report import Report
    from .site_report import SiteReport
    from .site_rows import Row


def since(later: Report, earlier: Report) -> Report:
    """Return what came after the earlier of the two; see `Report.since`."""
    from .report import Report

    _check(later, earlier)
    duration = later.duration - earlier.duration
    failures = later.failures - earlier.failures
    rows = aligned((earlier, later))
    found = Report(
        sites=build_sites([_tally(number, row, duration) for number, row in enumerate(rows, 1)]),
        backend=later.backend,
        backend_reason=later.backend_reason,
        duration=duration,
        open=later.open,
        pending=later.pending,
        refused_sites=later.refused_sites - earlier.refused_sites,
        last_failure=later.last_failure if failures else "",
        scopes_were_compiled=later.scopes_were_compiled,
        switched_off=later.switched_off,
        date=later.date,
        failures=failures,
    )
    if "environment" in vars(later):  # that of another process, perhaps: it cannot be looked up
        found.__dict__["environment"] = later.environment
    return found


def _check(later: Report, earlier: Report) -> None:
    for which, report in (("this", later), ("the earlier", earlier)):
        if not report.interval:
            raise ValueError(
                f"{which} report was put together by merge() or since(); since() takes reports as "
                "a recorder makes them: first take the difference, then merge"
            )
    if later.interval != earlier.interval:
        raise ValueError(
            "the earlier report is of another recorder, or of before a reset of this one; since() "
            "needs two reports with no reset in between, by report() without reset=True"
        )
    if later.duration < earlier.duration:
        raise ValueError(
            f"the report that is given is the later one: it was made after {earlier.duration:.6g} "
            f"s, and this after {later.duration:.6g} s; write later.since(earlier)"
        )


def _tally(number: int, row: Row, duration: float) -> SiteTally:
    before, after = row.sites
    host = between(_host(before), _host(after))
    return SiteTally(
        number=number,
        parent=row.parent,
        name=row.name,
        counts={status: _count(after, status) - _count(before, status) for status in STATUSES},
        shared_boundaries=_shared(after) - _shared(before),
        host=host,
        device=between(_device(before), _device(after)),
        looks=Looks(*map(operator.sub, _looks(after), _looks(before))),
        began_earlier=began_earlier(host, duration),
    )


# What a report without the site says of it.


def _count(site: SiteReport | None, status: Status) -> int:
    return site.counts[status] if site else 0


def _shared(site: SiteReport | None) -> int:
    return site.shared_boundaries if site else 0


def _looks(site: SiteReport | None) -> Looks:
    return site.looks if site else Looks()


def _host(site: SiteReport | None) -> PlainSeries:
    return site.host._plain() if site else NOTHING


def _device(site: SiteReport | None) -> PlainSeries:
    return site.device._plain() if site and site.device else NOTHING

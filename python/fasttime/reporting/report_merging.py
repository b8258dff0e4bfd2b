# SPDX-License-Identifier: BSD-3-Clause
"""Reports of several processes, ranks or intervals as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..sample import STATUSES
from .looks import Looks
from .report_building import build_sites
from .series_sums import put_together
from .site_rows import aligned
from .site_tally import SiteTally

if TYPE_CHECKING:
    from .report import Report
    from .site_rows import Row


def merge(parts: tuple[Report, ...]) -> Report:
    """Return the parts as one; see `Report.merge`."""
    from .report import Report

    if not parts:
        raise ValueError("merge() takes at least one report, got none")
    _check_that_no_scope_is_in_two(parts)
    if len(parts) == 1:
        return parts[0]
    backend, reason = _backend(parts)
    rows = aligned(parts)
    merged = Report(
        sites=build_sites([_tally(number, row) for number, row in enumerate(rows, 1)]),
        backend=backend,
        backend_reason=reason,
        duration=max(part.duration for part in parts),
        open=sum(part.open for part in parts),
        pending=sum(part.pending for part in parts),
        refused_sites=sum(part.refused_sites for part in parts),
        last_failure=next((part.last_failure for part in reversed(parts) if part.failures), ""),
        scopes_were_compiled=any(part.scopes_were_compiled for part in parts),
        switched_off=any(part.switched_off for part in parts),
        date=max(part.date for part in parts),
        failures=sum(part.failures for part in parts),
        differs=_differing_fields(parts),
    )
    merged.__dict__["environment"] = parts[0].environment
    return merged


def _check_that_no_scope_is_in_two(parts: tuple[Report, ...]) -> None:
    intervals = [part.interval for part in parts if part.interval]
    if len(set(intervals)) < len(intervals):
        raise ValueError(
            "two of the reports are of one recorder with no reset in between, so that the scopes "
            "of the earlier would count twice; merge the later alone, or later.since(earlier)"
        )


def _tally(number: int, row: Row) -> SiteTally:
    sites = [site for site in row.sites if site is not None]
    return SiteTally(
        number=number,
        parent=row.parent,
        name=row.name,
        counts={status: sum(site.counts[status] for site in sites) for status in STATUSES},
        shared_boundaries=sum(site.shared_boundaries for site in sites),
        host=put_together(site.host._plain() for site in sites),
        device=put_together(site.device._plain() for site in sites if site.device),
        looks=Looks(*map(sum, zip(*(site.looks for site in sites), strict=True))),
        began_earlier=any(site.began_earlier for site in sites),
    )


def _backend(parts: tuple[Report, ...]) -> tuple[str, str]:
    """Return the backend of all parts and why; where there are both, why some have no CUDA."""
    if len({part.backend for part in parts}) == 1:
        return parts[0].backend, parts[0].backend_reason
    reasons = {part.backend_reason: None for part in parts if part.backend != "cuda"}
    return "mixed", "; ".join(reasons)


def _differing_fields(parts: tuple[Report, ...]) -> tuple[str, ...]:
    """Return in which fields environments differ; that dates do says nothing."""
    first = vars(parts[0].environment)
    differing = {field for part in parts for field in part.differs}
    for part in parts[1:]:
        here = vars(part.environment)
        differing |= {field for field in first if here[field] != first[field]}
    return tuple(field for field in first if field in differing and field != "date")

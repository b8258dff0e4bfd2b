# SPDX-License-Identifier: BSD-3-Clause
"""Combine reports: merge several into one, or subtract an earlier report from a later one.

Both functions return the fields of the new report, so a new field of `Report` needs a line in each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .build import Tally, build_sites
from .counts import counts_since, merge_counts, nothing_counted
from .site import walk_with_parents

if TYPE_CHECKING:
    from .report import Report
    from .site import SiteReport


def merged_fields(parts: tuple[Report, ...]) -> dict[str, Any]:
    """Return the fields of a report of all parts together; see `Report.merge`."""
    _check_mergeable(parts)
    backend, reason = _backend(parts)
    tallies = [
        Tally(row.parent, merge_counts([site for site in row.sites if site is not None]))
        for row in _aligned(parts)
    ]
    return {
        "sites": build_sites(tallies),
        "backend": backend,
        "backend_reason": reason,
        "duration": max(part.duration for part in parts),
        "open": sum(part.open for part in parts),
        "pending": sum(part.pending for part in parts),
        "refused_sites": sum(part.refused_sites for part in parts),
        "last_failure": next((part.last_failure for part in reversed(parts) if part.failures), ""),
        "scopes_were_compiled": any(part.scopes_were_compiled for part in parts),
        "switched_off": any(part.switched_off for part in parts),
        "date": max(part.date for part in parts),
        "failures": sum(part.failures for part in parts),
        "interval": "",
        "captured_reason": next(
            (part.captured_reason for part in reversed(parts) if part.captured_reason), ""
        ),
        "parts": sum(part.parts for part in parts),
        "differs": _differing_fields(parts),
        "overlapping_parts": any(part.shares_overlap for part in parts),
        "known_environment": parts[0].environment,
    }


def fields_since(later: Report, earlier: Report) -> dict[str, Any]:
    """Return the fields of a report of the time between two reports; see `Report.since`."""
    _check_subtractable(later, earlier)
    duration = later.duration - earlier.duration
    failures = later.failures - earlier.failures
    tallies = []
    for row in _aligned((earlier, later)):
        before, after = (site or nothing_counted(row.name) for site in row.sites)
        tallies.append(Tally(row.parent, counts_since(after, before, duration)))
    return {
        "sites": build_sites(tallies),
        "backend": later.backend,
        "backend_reason": later.backend_reason,
        "duration": duration,
        "open": later.open,
        "pending": later.pending,
        "refused_sites": later.refused_sites - earlier.refused_sites,
        "last_failure": later.last_failure if failures else "",
        "scopes_were_compiled": later.scopes_were_compiled,
        "switched_off": later.switched_off,
        "date": later.date,
        "failures": failures,
        "interval": "",
        "captured_reason": later.captured_reason,
        "parts": later.parts,
        "differs": later.differs,
        "overlapping_parts": later.overlapping_parts,
        "known_environment": later.known_environment,
    }


@dataclass(frozen=True)
class _Row:
    """One site in several reports.

    Attributes:
        parent: the position of the parent's row; None for a root site.
        name: the name of the site.
        sites: the site in each report; None for a report without the site.
    """

    parent: int | None
    name: str
    sites: list[SiteReport | None]


def _aligned(reports: tuple[Report, ...]) -> list[_Row]:
    """Return one row per site of any report. Sites are the same if all their names are the same.

    Parents come before their children. Otherwise rows are in the order in which they are found.
    """
    rows: list[_Row] = []
    positions: dict[tuple[int | None, str], int] = {}
    for column, report in enumerate(reports):
        found: list[int] = []  # the row of each site of this report
        for site, parent in walk_with_parents(report.sites):
            above = None if parent is None else found[parent]
            position = positions.setdefault((above, site.name), len(rows))
            if position == len(rows):
                rows.append(_Row(above, site.name, [None] * len(reports)))
            rows[position].sites[column] = site
            found.append(position)
    return rows


def _check_mergeable(parts: tuple[Report, ...]) -> None:
    intervals = [part.interval for part in parts if part.interval]
    if len(set(intervals)) < len(intervals):
        raise ValueError(
            "two of the reports come from one recorder with no reset between them, so the scopes "
            "of the earlier report would count twice; merge the later report alone, or "
            "later.since(earlier)"
        )


def _check_subtractable(later: Report, earlier: Report) -> None:
    for which, report in (("this", later), ("the earlier", earlier)):
        if not report.interval:
            raise ValueError(
                f"{which} report was made by merge() or since(), and since() needs reports as a "
                "recorder makes them; first subtract, then merge"
            )
    if later.interval != earlier.interval:
        raise ValueError(
            "the earlier report comes from another recorder, or from before a reset of this one; "
            "since() needs two reports with no reset between them: call report() without reset=True"
        )
    if later.duration < earlier.duration:
        raise ValueError(
            f"the report passed to since() is the later one: it was made after "
            f"{earlier.duration:.6g} s, and this one after {later.duration:.6g} s; write "
            "later.since(earlier)"
        )


def _backend(parts: tuple[Report, ...]) -> tuple[str, str]:
    """Return the backend of all parts and its reason; for mixed backends, why CUDA is missing."""
    if len({part.backend for part in parts}) == 1:
        return parts[0].backend, parts[0].backend_reason
    reasons = dict.fromkeys(part.backend_reason for part in parts if part.backend != "cuda")
    return "mixed", "; ".join(reasons)


def _differing_fields(parts: tuple[Report, ...]) -> tuple[str, ...]:
    """Return the fields in which the environments differ, except the date."""
    first = vars(parts[0].environment)
    differing = {field for part in parts for field in part.differs}
    for part in parts[1:]:
        here = vars(part.environment)
        differing |= {field for field in first if here[field] != first[field]}
    return tuple(field for field in first if field in differing and field != "date")

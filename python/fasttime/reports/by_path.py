# SPDX-License-Identifier: BSD-3-Clause
"""Counts by path: exporters name a site by its path alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .counts import SiteCounts, merge_counts

if TYPE_CHECKING:
    from .build import Tally
    from .report import Report


def of_report(report: Report) -> dict[str, SiteCounts]:
    """Return the counts of every path of a report that has a count, parents first."""
    return _merged((site.path, site) for site in report.walk() if site.count)


def of_tallies(tallies: list[Tally]) -> dict[str, SiteCounts]:
    """Return the counts of every path with a count. Parents come before their children."""
    paths: list[str] = []
    for parent, site in tallies:
        paths.append(site.name if parent is None else f"{paths[parent]}/{site.name}")
    return _merged(
        (path, site)
        for path, (_, site) in zip(paths, tallies, strict=True)
        if any(site.counts.values())
    )


def added(*parts: dict[str, SiteCounts]) -> dict[str, SiteCounts]:
    """Return the counts of all parts together."""
    return _merged((path, site) for part in parts for path, site in part.items())


def _merged(sites: Iterable[tuple[str, SiteCounts]]) -> dict[str, SiteCounts]:
    """Merge sites that share a path: a name may contain a slash.

    UTF-8 has no lone surrogates, so they are escaped.
    """
    by_path: dict[str, list[SiteCounts]] = {}
    for path, site in sites:
        label = path.encode("utf-8", "backslashreplace").decode("utf-8")
        by_path.setdefault(label, []).append(site)
    return {
        path: sites[0] if len(sites) == 1 else merge_counts(sites)
        for path, sites in by_path.items()
    }

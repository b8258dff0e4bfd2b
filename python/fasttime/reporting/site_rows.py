# SPDX-License-Identifier: BSD-3-Clause
"""The sites of several reports, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .site_report import walk_with_parents

if TYPE_CHECKING:
    from .report import Report
    from .site_report import SiteReport


@dataclass(frozen=True)
class Row:
    """One site, as each of the reports has it.

    Attributes:
        parent: the number of the row of the site that it is inside of; 0 for a root. Rows are
            numbered from 1.
        name: the site's.
        sites: one for each report; None where it has no such site.
    """

    parent: int
    name: str
    sites: list[SiteReport | None]


def aligned(reports: tuple[Report, ...]) -> list[Row]:
    """Return a row for each site of any report; sites are the same where all their names are.

    A parent comes before its children, and the rest in the order in which it is first found.
    """
    rows: list[Row] = []
    numbers: dict[tuple[int, str], int] = {}
    for column, report in enumerate(reports):
        places: list[int] = []  # the number of the row of each site of this report
        for site, parent in walk_with_parents(report.sites):
            above = 0 if parent is None else places[parent]
            key = (above, site.name)
            number = numbers.setdefault(key, len(rows) + 1)
            if number > len(rows):
                rows.append(Row(*key, [None] * len(reports)))
            rows[number - 1].sites[column] = site
            places.append(number)
    return rows

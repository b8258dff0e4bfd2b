# SPDX-License-Identifier: BSD-3-Clause
"""A table of ranks for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..console import MOST_ROWS, column_widths, columns_to_hide, hidden_columns, line, warning_lines
from ..console import table as rich_table
from ..html.elements import TreeRow
from ..text import format_count, format_seconds, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .rank_site import RankSite
    from .rank_table import RankTable

_HEADINGS = ("site", "min", "median", "max", "slowest", "imbalance", "ranks")
# In a narrow terminal these columns are hidden, in this order.
_LEAST_IMPORTANT_FIRST = ("ranks", "min", "imbalance", "median", "max")
_NARROWEST = 16  # columns for the names of sites


def as_renderable(table: RankTable, width: int) -> RenderableType:
    """Return what rich prints in `width` columns: the table, the conclusion and the warnings."""
    from rich.console import Group
    from rich.text import Text

    shown, left_out = _shown(table)
    cells = [_cells(table, site) for site in shown]
    columns = headings(table)
    widths = column_widths(
        {heading: [heading, *(row[heading] for row in cells)] for heading in columns}
    )
    names = widths.pop("site")
    hidden = columns_to_hide(widths, _LEAST_IMPORTANT_FIRST, width - min(names, _NARROWEST))
    columns = [heading for heading in columns if heading not in hidden]
    left_out.extend(hidden_columns(hidden))
    made = rich_table(columns)
    for row in cells:
        name = Text(row["site"], no_wrap=True, overflow="ellipsis")
        made.add_row(name, *(row[heading] for heading in columns[1:]))
    parts = [made] if shown else []
    return Group(
        line(title(table)),
        *parts,
        line(table.conclusion, "bold"),
        *(line(note, "dim") for note in left_out),
        *warning_lines(table.warnings),
    )


def rows(table: RankTable) -> list[tuple[str, ...]]:
    """Return the cells of the rows to show, with whole paths and without indents."""
    columns = headings(table)
    found = ({**_cells(table, site), "site": printable(site.path)} for site in _shown(table)[0])
    return [tuple(cells[heading] for heading in columns) for cells in found]


def tree(table: RankTable) -> list[TreeRow]:
    """Return the places of these rows in the tree of sites."""
    columns = headings(table)[1:]
    return [
        TreeRow(site.path, site.name, site.depth, [_value(site, heading) for heading in columns])
        for site in _shown(table)[0]
    ]


def _value(site: RankSite, heading: str) -> float | None:
    if heading == "imbalance" and site.count < 2:
        return None
    value = getattr(site, "count" if heading == "ranks" else heading)
    return None if value is None else float(value)


def notes(table: RankTable) -> list[str]:
    """Return a sentence on the rows that are left out, if any."""
    return _shown(table)[1]


def title(table: RankTable) -> str:
    """Return the line above the table."""
    ranks = format_count(len(table.ranks), "rank")
    of = f" of {table.world_size}" if len(table.ranks) != table.world_size else ""
    clocks = {site.clock for site in table.sites}
    kind = f"{clocks.pop()} time" if len(clocks) == 1 else "time"
    return f"{ranks}{of}: mean {kind} per call"


def headings(table: RankTable) -> list[str]:
    """Return the columns; the number of ranks is shown only if some rank lacks a site."""
    uneven = any(site.count < len(table.ranks) for site in table.sites)
    return [heading for heading in _HEADINGS if heading != "ranks" or uneven]


def _cells(table: RankTable, site: RankSite) -> dict[str, str]:
    return {
        "site": "  " * site.depth + printable(site.name),
        "min": format_seconds(site.min),
        "median": format_seconds(site.median),
        "max": format_seconds(site.max),
        "slowest": "-" if site.slowest is None else f"rank {site.slowest}",
        "imbalance": f"{site.imbalance:.0%}" if site.count > 1 else "-",
        "ranks": f"{site.count} of {len(table.ranks)}",
    }


def _shown(table: RankTable) -> tuple[list[RankSite], list[str]]:
    """Return the sites with the largest differences and the sites above them, and a note."""
    sites = table.sites
    if len(sites) <= MOST_ROWS:
        return list(sites), []
    ranked = sorted(range(len(sites)), key=lambda position: -sites[position].weight)
    chosen: set[int] = set()
    for position in ranked:
        above = {position, *_above(sites, position)}
        if len(chosen | above) > MOST_ROWS:
            break
        chosen |= above
    note = (
        f"{len(chosen):,} of {len(sites):,} sites are shown, with the largest differences; "
        'table.save("ranks.csv") writes all of them.'
    )
    return [site for position, site in enumerate(sites) if position in chosen], [note]


def _above(sites: tuple[RankSite, ...], position: int) -> Iterable[int]:
    parent = sites[position].parent
    while parent is not None:
        yield parent
        parent = sites[parent].parent

# SPDX-License-Identifier: BSD-3-Clause
"""A report as a table for terminals, rendered by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ...console import (
    GAP,
    MOST_ROWS,
    column_widths,
    columns_to_hide,
    hidden_columns,
    line,
    plain_text,
    warning_lines,
)
from ...text import printable
from ..view import View, guides, hidden_sites, visible
from .columns import NO_SITES, columns_of, summary
from .shortening import shortened, shortened_guide

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..report import Report

_UNLIMITED = 10_000
_SCOPE = "scope"
_NARROWEST = 6  # terminal columns for names, even if the bottleneck has to go
_STYLES = {"host-bound": "yellow", "unclear": "dim"}

# Columns in the order in which a narrow table hides them. First go the columns of single calls,
# first and max, then columns that repeat another one: total (share and calls), backlog
# (bottleneck), p99 (p95). The mean always stays.
_LEAST_IMPORTANT_FIRST = (
    "first",
    "max",
    "total",
    "backlog",
    "p99",
    "self",
    "p95",
    "host",
    "calls",
    "p50",
    "share",
)


def as_text(report: Report, width: int | None) -> str:
    """Return the table as plain text in `width` columns, or with all columns for None."""
    width = _UNLIMITED if width is None else width
    return plain_text(as_renderable(report, width), width)


def as_renderable(report: Report, width: int) -> RenderableType:
    """Return what rich prints: the table, the summary and the warnings."""
    warnings = warning_lines(report.warnings)
    if not report.sites:
        return Group(NO_SITES, *warnings)
    table, notes = _table(report, width)
    title = [line(printable(report.shown_as.title), "bold")] if report.shown_as.title else []
    return Group(*title, table, Text(" ".join([summary(report), *notes]), "dim"), *warnings)


def _table(report: Report, width: int) -> tuple[Table, list[str]]:
    """Return the table, and sentences on what the table hides."""
    rows = visible(report, MOST_ROWS)
    sites = [site for site, _ in rows]
    lines = guides([depth for _, depth in rows])
    names = [(guide, printable(site.name)) for site, guide in zip(sites, lines, strict=True)]
    columns = {column.key: column for column in columns_of(report)}
    cells = {key: [column.text(site) for site in sites] for key, column in columns.items()}
    widths = column_widths(
        {key: [column.title, column.group, *cells[key]] for key, column in columns.items()}
    )
    longest = max(len(_SCOPE), *(len(guide) + cell_len(name) for guide, name in names))
    hidden = _hide_columns(widths, longest, width)
    room = max(1, min(longest, width - sum(widths.values())))

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    table.add_column(f"\n{_SCOPE}", no_wrap=True, width=room)
    for key in widths:
        title = Text.assemble((columns[key].group, "not bold dim"), f"\n{columns[key].title}")
        table.add_column(title, justify="left" if key == "bottleneck" else "right", no_wrap=True)
    short_guides = [
        shortened_guide(guide, max(room // 2, room - min(16, cell_len(name))))
        for guide, name in names
    ]
    rooms = [room - len(guide) for guide in short_guides]
    short = shortened([name for _, name in names], rooms)
    for row, (guide, name) in enumerate(zip(short_guides, short, strict=True)):
        scope = Text.assemble((guide, "dim"), name)
        texts = (cells[key][row] for key in widths)
        table.add_row(scope, *(Text(text, _STYLES.get(text, "")) for text in texts))

    notes = hidden_columns(hidden)
    if note := hidden_sites(report, len(sites)):
        whole = report.shown_as == View()
        notes.append(f'{note} report.save("report.html") writes all of them.' if whole else note)
    return table, notes


def _hide_columns(widths: dict[str, int], longest: int, width: int) -> list[str]:
    """Remove columns from `widths` until the names fit; return the keys of the removed columns.

    Names longer than half of the table get half of the table.
    """
    wanted = min(longest, max(16, width // 2))
    hidden = columns_to_hide(widths, _LEAST_IMPORTANT_FIRST, width - wanted)
    for key in hidden:
        del widths[key]
    if min(longest, _NARROWEST) + sum(widths.values()) > width and "bottleneck" in widths:
        del widths["bottleneck"]
        hidden.append("bottleneck")
    return hidden

# SPDX-License-Identifier: BSD-3-Clause
"""A report as a table for terminals, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ...console import line, plain_text
from ...text import printable
from .columns import columns_of, summary

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..report import Report
    from ..site import SiteReport

_UNLIMITED = 10_000
_MOST_ROWS = 200  # nobody reads more, and rich would take seconds for thousands
_SCOPE = "scope"
_GAP = 2
_STYLES = {"host-bound": "yellow", "unclear": "dim"}

# What goes first where not all fits. Scope and mean stay: without them there is no report. Before
# them goes what another column nearly tells: total (share, calls), backlog (bottleneck), p99 (p95).
_LEAST_IMPORTANT_FIRST = (
    "total",
    "backlog",
    "p99",
    "self",
    "p95",
    "host",
    "calls",
    "p50",
    "share",
    "bottleneck",
)


def as_text(report: Report, width: int | None) -> str:
    """Return the table as plain text in `width` columns; None: with all columns."""
    width = _UNLIMITED if width is None else width
    return plain_text(as_renderable(report, width), width)


def as_renderable(report: Report, width: int) -> RenderableType:
    """Return what rich prints: the table, a line about it, and the warnings."""
    warnings = [line(str(warning), "yellow") for warning in report.warnings]
    if not report.sites:
        return Group("fasttime: no scope has ended in this time.", *warnings)
    table, notes = _table(report, width)
    return Group(table, Text(" ".join([summary(report), *notes]), "dim"), *warnings)


def _table(report: Report, width: int) -> tuple[Table, list[str]]:
    """Return the table and, in sentences, what it leaves out."""
    sites = _shown(report)
    names = [(guide, printable(site.name)) for site, guide in sites]
    columns = {column.key: column for column in columns_of(report)}
    cells = {key: [column.text(site) for site, _ in sites] for key, column in columns.items()}
    widths = {
        key: _GAP + max(map(cell_len, [column.title, column.group, *cells[key]]))
        for key, column in columns.items()
    }
    wanted = max(len(_SCOPE), *(len(guide) + cell_len(name) for guide, name in names))
    left_out = []
    for key in _LEAST_IMPORTANT_FIRST:
        if min(wanted, max(16, width // 5)) + sum(widths.values()) <= width:
            break
        if widths.pop(key, None):
            left_out.append(key)
    room = max(1, min(wanted, width - sum(widths.values())))

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    table.add_column(f"\n{_SCOPE}", no_wrap=True, width=room)
    for key in widths:
        title = Text.assemble((columns[key].group, "not bold dim"), f"\n{columns[key].title}")
        table.add_column(title, justify="left" if key == "bottleneck" else "right", no_wrap=True)
    for row, (guide, name) in enumerate(names):
        guide = _cut_guide(guide, max(room // 2, room - min(16, cell_len(name))))
        scope = Text.assemble((guide, "dim"), _cut(name, room - len(guide)))
        texts = (cells[key][row] for key in widths)
        table.add_row(scope, *(Text(text, _STYLES.get(text, "")) for text in texts))

    notes = []
    if left_out:
        notes.append(f"Columns left out for want of width: {', '.join(left_out)}.")
    if more := sum(1 for _ in report.walk()) - len(sites):
        notes.append(f'And {more:,} more sites; report.save("report.html") has all.')
    return table, notes


def _shown(report: Report) -> list[tuple[SiteReport, str]]:
    """Return the sites to show, parents first, each with what stands before its name.

    They are those with the greatest total time, and the sites that these are inside of.
    """
    sites = list(report.walk())
    weights: dict[int, float] = {}  # a site counts as much as the greatest inside it
    for site in reversed(sites):
        weights[id(site)] = max([site.time.total, *(weights[id(s)] for s in site.children)])
    # Sorting is stable: what is inside a site stays behind it.
    ranked = sorted(map(id, sites), key=lambda one: -weights[one])
    shown = set(ranked[:_MOST_ROWS])

    found = []
    waiting = [(site, "", "") for site in reversed(report.sites) if id(site) in shown]
    while waiting:
        site, guide, below = waiting.pop()
        found.append((site, guide))
        children = [child for child in reversed(site.children) if id(child) in shown]
        for place, child in enumerate(children):
            own, further = ("├ ", "│ ") if place else ("└ ", "  ")
            waiting.append((child, below + own, below + further))
    return found


def _cut(name: str, width: int) -> str:
    """Cut in the middle: layers of a model differ at their ends."""
    if cell_len(name) <= width:
        return name
    tail = max(0, width - 1) // 2
    head = max(0, width - 1 - tail)
    return f"{set_cell_size(name, head)}…{set_cell_size(name[::-1], tail)[::-1]}"


def _cut_guide(guide: str, width: int) -> str:
    """Keep the last levels of a deep site: they tell it from its neighbours."""
    return guide if len(guide) <= width else f"… {guide[len(guide) - width + 2 :]}"

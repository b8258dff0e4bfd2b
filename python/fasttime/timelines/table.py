# SPDX-License-Identifier: BSD-3-Clause
"""The table of a timeline: one row per path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..console import GAP, MOST_ROWS, column_widths, columns_to_hide, hidden_columns, line
from ..html.elements import TreeRow, escaped
from ..html.elements import table as html_table
from ..text import format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .columns import Columns

_HEADINGS = ("scope", "scopes", "host total", "host mean", "device total", "device mean")
_ON_PAGES = (0, 2, 3, 4, 5, 1)  # the order of the columns: a phone shows only the first
# In a narrow terminal these columns are hidden, in this order. The path always stays.
_LEAST_IMPORTANT_FIRST = ("host mean", "device mean", "scopes", "host total", "device total")
_NARROWEST = 16  # columns for the paths
_UNKNOWN = "-"


class _Row(NamedTuple):
    path: str
    scopes: int
    host_ns: float
    hosts: int  # the number of scopes with a host time
    device_ns: float
    devices: int  # the number of scopes with a device time

    @property
    def place(self) -> TreeRow:
        """The row on a page. Rows of timelines have no tree: other paths may stand between."""
        host = self.host_ns / self.hosts if self.hosts else None
        device = self.device_ns / self.devices if self.devices else None
        values = (self.scopes, self.host_ns, host, self.device_ns, device)
        return TreeRow(self.path, self.path, 0, [values[index - 1] for index in _ON_PAGES[1:]])

    @property
    def cells(self) -> tuple[str, ...]:
        host = _total_and_mean(self.host_ns, self.hosts)
        return (
            self.path,
            f"{self.scopes:,}",
            *host,
            *_total_and_mean(self.device_ns, self.devices),
        )


def as_renderable(columns: Columns, width: int) -> RenderableType:
    """Return the table for a terminal of that many columns."""
    from rich.console import Group
    from rich.table import Table

    rows, left_out = _rows(columns)
    figures = [dict(zip(_HEADINGS, row.cells, strict=True)) for row in rows]
    widths = column_widths(
        {heading: [heading, *(row[heading] for row in figures)] for heading in _HEADINGS[1:]}
    )
    hidden = columns_to_hide(widths, _LEAST_IMPORTANT_FIRST, width - _NARROWEST - GAP)
    shown = [heading for heading in widths if heading not in hidden]
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    made.add_column(_HEADINGS[0], overflow="fold", min_width=min(_NARROWEST, width))
    for heading in shown:
        made.add_column(heading, justify="right", no_wrap=True)
    for row in figures:
        made.add_row(line(row["scope"]), *(row[heading] for heading in shown))
    notes = [*hidden_columns(hidden), left_out]
    return Group(made, *(line(note, "dim") for note in notes if note))


def as_html(columns: Columns) -> str:
    """Return the table as HTML."""
    rows, left_out = _rows(columns)
    caption = "Scopes of the timeline by path"
    more = f"<p>{escaped(left_out)}</p>" if left_out else ""
    headings = [_HEADINGS[index].replace(" ", "\n") for index in _ON_PAGES]
    cells = [[row.cells[index] for index in _ON_PAGES] for row in rows]
    tree = [row.place for row in rows]
    return html_table(headings, cells, caption=caption, tree=tree) + more


def _rows(columns: Columns) -> tuple[list[_Row], str]:
    """Return one row per path, sorted by first appearance, and a line about missing rows."""
    host_ns = columns.host_end_ns - columns.host_begin_ns
    device_ns = columns.device_end_ns - columns.device_begin_ns
    counts = np.bincount(columns.site, minlength=len(columns.sites))
    hosts, host_totals = _sums(columns, host_ns, columns.is_ended)
    devices, device_totals = _sums(columns, device_ns, columns.is_placed)
    used, first = np.unique(columns.site, return_index=True)
    in_order = used[np.argsort(first)].tolist()
    rows = [
        _Row(
            columns.sites[site].path,
            int(counts[site]),
            float(host_totals[site]),
            int(hosts[site]),
            float(device_totals[site]),
            int(devices[site]),
        )
        for site in in_order[:MOST_ROWS]
    ]
    more = len(in_order) - len(rows)
    return rows, f'{more:,} more paths; save("timeline.csv") writes all.' if more else ""


def _sums(
    columns: Columns, length_ns: npt.NDArray[np.int64], is_known: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the number and the sum of the known lengths of each site."""
    site, size = columns.site[is_known], len(columns.sites)
    totals = np.bincount(site, weights=length_ns[is_known].astype(np.float64), minlength=size)
    return np.bincount(site, minlength=size), totals


def _total_and_mean(total_ns: float, count: int) -> tuple[str, str]:
    if count == 0:
        return _UNKNOWN, _UNKNOWN
    return format_seconds(total_ns / 1e9), format_seconds(total_ns / count / 1e9)

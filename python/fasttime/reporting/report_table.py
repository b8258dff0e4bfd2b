# SPDX-License-Identifier: BSD-3-Clause
"""A report as a table for terminals, by rich."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from .names import printable
from .report_columns import MARK, Column, columns_of, cost_sentence, heading

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .report import Report, SiteReport

PLAIN_WIDTH = 100  # where there is no terminal
_UNLIMITED = 10_000

# What goes first where not all fits. Scope and mean stay: without them there is no report. Before
# them goes what another column nearly tells: p99 (p95), total (share, calls), backlog (bottleneck).
_LEAST_IMPORTANT_FIRST = (
    "p99",
    "total",
    "backlog",
    "p95",
    "self",
    "p50",
    "host",
    "calls",
    "share",
    "bottleneck",
)
_GAP = 2
_MOST_GUIDES = 60  # columns of them; deeper levels show the last ones
_STYLES = {"host-bound": "yellow", "unclear": "dim"}
_ASCII = str.maketrans("µ…─├└│", "u.-|`|")


def terminal_width() -> int:
    """Return the columns of the terminal that is written to, or of plain text if there is none."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns


def as_text(report: Report, width: int | None) -> str:
    """Return the table as plain text, without colours, in `width` columns; None: all there is."""
    file = io.StringIO()
    width = _UNLIMITED if width is None else width
    console = Console(file=file, width=width, color_system=None, legacy_windows=False)
    console.print(as_renderable(report, width))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def as_renderable(report: Report, width: int, ascii_only: bool = False) -> RenderableType:
    """Return what rich prints: the table, a line on it, and the doubts, if there are any."""
    clean = _in_ascii if ascii_only else str
    doubts = [Text(clean(doubt.message)) for doubt in report.doubts]
    if not report.sites:
        return Group(Text("fasttime: nothing has been timed yet."), *doubts)
    layout = _lay_out(report, width, clean)
    notes = [f"{heading(report)}.", cost_sentence(report)]
    if layout.left_out:
        notes.append(f"No room for {', '.join(layout.left_out)}.")
    return Group(
        _group_line(layout, clean),
        _table(layout),
        Text(clean(" ".join(notes)), style="dim"),
        *doubts,
    )


class _Layout(NamedTuple):
    """What fits: columns with their cells and widths, names with their guides."""

    columns: list[Column]
    cells: list[list[str]]
    widths: list[int]
    names: list[tuple[str, str]]
    name_width: int
    left_out: list[str]


def _lay_out(report: Report, width: int, clean: Callable[[str], str]) -> _Layout:
    columns = list(columns_of(report))
    sites = list(report.walk())
    cells = [_aligned([clean(column.text(site)) for site in sites]) for column in columns]
    widths = [
        max(len(column.title), *map(cell_len, texts))
        for column, texts in zip(columns, cells, strict=True)
    ]
    guides = _guides(report.sites, min(_MOST_GUIDES, width // 3))
    names = [
        (clean(guide), clean(printable(site.name)))
        for guide, site in zip(guides, sites, strict=True)
    ]
    wanted = max(len("scope"), *(len(guide) + cell_len(name) for guide, name in names))
    least = min(wanted, max(12, width // 4))
    left_out = []
    for key in _LEAST_IMPORTANT_FIRST:
        if least + sum(widths) + _GAP * len(widths) <= width:
            break
        place = next((i for i, column in enumerate(columns) if column.key == key), None)
        if place is not None:
            left_out.append(key)
            del columns[place], cells[place], widths[place]
    room = max(1, width - sum(widths) - _GAP * len(widths))
    name_width = min(wanted, room)
    short = [(guide, _abbreviated(name, name_width - len(guide))) for guide, name in names]
    return _Layout(columns, cells, widths, short, name_width, left_out)


def _aligned(texts: list[str]) -> list[str]:
    """Leave room below and above a mark, so that figures stay in line."""
    if any(text.endswith(MARK) for text in texts):
        return [text if text.endswith(MARK) else text + " " * len(MARK) for text in texts]
    return texts


def _guides(sites: tuple[SiteReport, ...], longest: int) -> Iterator[str]:
    """Yield what stands before each name, to show whose child it is."""
    waiting = [(site, "", "") for site in reversed(sites)]  # with its guide, and its children's
    while waiting:
        site, guide, below = waiting.pop()
        yield guide
        # Cut as it grows: as deep as scopes can nest, whole ones would fill the memory.
        if len(below) + 2 > longest:
            below = "…" + below[-(longest - 3) :] if longest > 3 else ""
        last = site.children[-1:]
        waiting += [
            (child, below + "└ ", below + "  ")
            if (child,) == last
            else (child, below + "├ ", below + "│ ")
            for child in reversed(site.children)
        ]


def _group_line(layout: _Layout, clean: Callable[[str], str]) -> Text:
    """Return the line above the titles: what neighbouring columns have in common."""
    line = " " * layout.name_width
    spans: list[tuple[str, int]] = []
    for column, width in zip(layout.columns, layout.widths, strict=True):
        if spans and column.group and spans[-1][0] == column.group:
            spans[-1] = (column.group, spans[-1][1] + _GAP + width)
        else:
            spans.append((column.group, width))
    for group, width in spans:
        room = width - len(group) - 2
        span = f" {group} ".center(width, "─") if group and room >= 2 else group.rjust(width)
        line += " " * _GAP + span
    return Text(clean(line.rstrip()), style="dim", no_wrap=True, overflow="crop")


def _table(layout: _Layout) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    table.add_column("scope", no_wrap=True, width=layout.name_width, overflow="crop")
    for column, width in zip(layout.columns, layout.widths, strict=True):
        justify = "left" if column.key == "bottleneck" else "right"
        table.add_column(column.title, justify=justify, no_wrap=True, width=width, overflow="crop")
    for row, (guide, name) in enumerate(layout.names):
        # Text, as a plain string would be read as markup.
        cells = [Text(texts[row], style=_STYLES.get(texts[row], "")) for texts in layout.cells]
        table.add_row(Text.assemble((guide, "dim"), name), *cells)
    return table


def _abbreviated(name: str, width: int) -> str:
    """Cut in the middle: layers of a model differ at their ends."""
    if cell_len(name) <= width:
        return name
    head, tail = "", ""
    for first, last in zip(name, reversed(name), strict=True):
        if cell_len(head + first + tail) >= width:
            break
        head += first
        if cell_len(head + last + tail) >= width:
            break
        tail = last + tail
    return f"{head}…{tail}"


def _in_ascii(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()

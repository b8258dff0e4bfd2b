# SPDX-License-Identifier: BSD-3-Clause
"""A report as a table for terminals, by rich."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.console import Group
from rich.text import Text

from .names import printable
from .report import walk_with_depth
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
_SCOPE = "scope"
_GAP = 2
_MOST_GUIDES = 60  # columns of them; deeper levels show the last ones
_STYLES = {"host-bound": "yellow", "unclear": "dim"}
_Line = list[tuple[str, str]]  # texts with their styles
_ASCII = str.maketrans("µ…─├└│", "u.-|`|")


def terminal_width() -> int:
    """Return the columns of the terminal that is written to, or of plain text if there is none."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns


def as_text(report: Report, width: int | None) -> str:
    """Return the table as plain text, without colours, in `width` columns; None: all there is."""
    width = _UNLIMITED if width is None else width
    lines: list[str] = []
    for line in _lines(report, width, str):
        plain = "".join(text for text, _ in line)
        # Only sentences are longer than that: the rows are made to fit.
        lines += textwrap.wrap(plain, width) if cell_len(plain) > width else [plain.rstrip()]
    return "\n".join(lines)


def as_renderable(report: Report, width: int, ascii_only: bool = False) -> RenderableType:
    """Return what rich prints: the table, a line on it, and the doubts, if there are any."""
    lines = _lines(report, width, _in_ascii if ascii_only else str)
    # Text, as rich would read markup in a plain string.
    return Group(*(Text.assemble(*line) for line in lines))


def _lines(report: Report, width: int, clean: Callable[[str], str]) -> Iterator[_Line]:
    """Yield all lines, each in parts with their styles."""
    if report.sites:
        # Not rich's own table: with thousands of sites it takes seconds.
        layout = _lay_out(report, width, clean)
        yield [(clean(_group_line(layout)), "dim")]
        yield [(_title_line(layout), "bold")]
        for row, (guide, name) in enumerate(layout.names):
            yield [(guide, "dim"), *_row(layout, row, guide, name)]
        notes = [f"{heading(report)}.", cost_sentence(report)]
        if layout.left_out:
            notes.append(f"No room for {', '.join(layout.left_out)}.")
        yield [(clean(" ".join(notes)), "dim")]
    else:
        yield [("fasttime: nothing has been timed yet.", "")]
    for doubt in report.doubts:
        yield [(clean(doubt.message), "yellow")]


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
    sites = list(walk_with_depth(report.sites))
    cells = [_aligned([clean(column.text(site)) for site, _ in sites]) for column in columns]
    widths = [
        max(len(column.title), *map(cell_len, texts))
        for column, texts in zip(columns, cells, strict=True)
    ]
    names = [clean(printable(site.name)) for site, _ in sites]
    wanted = max(
        len(_SCOPE),
        *(
            min(2 * depth, _MOST_GUIDES) + cell_len(name)
            for (_, depth), name in zip(sites, names, strict=True)
        ),
    )
    least = min(wanted, max(12, width // 4))
    left_out = []
    for key in _LEAST_IMPORTANT_FIRST:
        if least + sum(widths) + _GAP * len(widths) <= width:
            break
        place = next((i for i, column in enumerate(columns) if column.key == key), None)
        if place is not None:
            left_out.append(key)
            del columns[place], cells[place], widths[place]
    name_width = min(wanted, max(1, width - sum(widths) - _GAP * len(widths)))
    guides = _guides(report.sites, min(_MOST_GUIDES, max(name_width // 2, name_width - 16)))
    shown = [
        (clean(guide), _abbreviated(name, name_width - len(guide), clean("…")))
        for guide, name in zip(guides, names, strict=True)
    ]
    return _Layout(columns, cells, widths, shown, name_width, left_out)


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
            below = "… " + below[4:]  # one level less; each takes two columns
        for place, child in enumerate(reversed(site.children)):
            own, further = ("├ ", "│ ") if place else ("└ ", "  ")
            waiting.append((child, below + own, below + further))


def _group_line(layout: _Layout) -> str:
    """Return the line above the titles: what neighbouring columns have in common."""
    spans: list[tuple[str, int]] = []
    for column, width in zip(layout.columns, layout.widths, strict=True):
        if spans and column.group and spans[-1][0] == column.group:
            spans[-1] = (column.group, spans[-1][1] + _GAP + width)
        else:
            spans.append((column.group, width))
    line = " " * layout.name_width
    for group, width in spans:
        if group and width >= len(group) + 4:
            span = f" {group} ".center(width, "─")
        else:
            span = group.split(" ")[0][:width].rjust(width)
        line += " " * _GAP + span
    return line


def _title_line(layout: _Layout) -> str:
    line = _SCOPE.ljust(layout.name_width)
    for column, width in zip(layout.columns, layout.widths, strict=True):
        line += " " * _GAP + _padded(column.title, width, column)
    return line


def _row(layout: _Layout, row: int, guide: str, name: str) -> Iterator[tuple[str, str]]:
    yield name + " " * (layout.name_width - len(guide) - cell_len(name)), ""
    for column, texts, width in zip(layout.columns, layout.cells, layout.widths, strict=True):
        yield " " * _GAP + _padded(texts[row], width, column), _STYLES.get(texts[row], "")


def _padded(text: str, width: int, column: Column) -> str:
    return text.ljust(width) if column.key == "bottleneck" else text.rjust(width)


def _abbreviated(name: str, width: int, dots: str) -> str:
    """Cut in the middle: layers of a model differ at their ends."""
    if cell_len(name) <= width:
        return name
    head, tail, room = "", "", width - 1
    for first, last in zip(name, reversed(name), strict=True):
        if (room := room - cell_len(first)) < 0:
            break
        head += first
        if (room := room - cell_len(last)) < 0:
            break
        tail = last + tail
    return (head + dots + tail)[: max(width, 0)]


def _in_ascii(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()

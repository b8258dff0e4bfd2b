# SPDX-License-Identifier: BSD-3-Clause
"""Pieces of HTML: escaped text, tables, lists of warnings."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..text import LONGEST, printable

if TYPE_CHECKING:
    from ..timing_warning import TimingWarning

# An escaped joiner between two emoji. The first may carry a variation or a skin tone.
_ESCAPED_JOINER = re.compile(
    r"(?<=[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\\u200d(?=[\u2190-\u2bff\U0001f000-\U0001faff])"
)


_LONG = 24  # characters of a cell


class Markup(str):
    """HTML to show as it is, such as a chart in a cell."""


class TreeRow(NamedTuple):
    """The place of a table's row in a tree. The page's script folds, filters and sorts such rows.

    Attributes:
        path: the whole path: the filter searches it, and the mouse shows it.
        name: the first cell. `Markup` is shown as it is.
        depth: how many rows are around this row; at most one more than the row before.
        values: the numbers by which the columns after the first sort; None or NaN if unknown. A
            column without any number cannot be sorted.
    """

    path: str
    name: str
    depth: int
    values: Sequence[float | None]


def escaped(text: str, longest: int = 2000) -> str:
    """Return text that is safe inside an element or an attribute. Markup stays as it is."""
    if isinstance(text, Markup):
        return text
    return html.escape(shown(text, longest))


def shown(text: str, longest: int = LONGEST) -> str:
    """Return what `printable` returns, with joined emoji kept as one.

    `printable` escapes the joiner, because terminals disagree about the width of joined emoji. A
    browser measures the glyphs that it draws.
    """
    return _ESCAPED_JOINER.sub("\u200d", printable(text, longest))


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str = "",
    left: int | Collection[int] = 1,
    tree: Sequence[TreeRow] = (),
) -> str:
    """Return a table of plain text cells.

    Args:
        columns: the headings. A newline in a heading begins a new line.
        rows: the cells of each row. The first cell is the row's heading.
        caption: what the table shows, for screen readers.
        left: how many of the first columns are text, or the indices of all columns with text. Text
            is aligned to the left, figures to the right.
        tree: the place of each row in a tree, whose name replaces the first cell; empty for a
            table whose rows stay as they are.
    """
    rows = list(rows)
    left = range(left) if isinstance(left, int) else left
    sides = {i: "left long" if _is_long(i, rows) else "left" for i in left}
    sortable = {
        column
        for row in tree
        for column, value in enumerate(row.values, start=1)
        if _is_known(value)
    }
    heads = "".join(
        f'<th scope="col"{_side(i, sides)}{" data-sortable" if i in sortable else ""}>'
        f"{'<br>'.join(map(escaped, column.splitlines()))}</th>"
        for i, column in enumerate(columns)
    )
    body = (
        "".join(_row(row, place, sides) for row, place in zip(rows, tree, strict=True))
        if tree
        else "".join(_row(row, None, sides) for row in rows)
    )
    head = f'<caption class="vh">{escaped(caption)}</caption>' if caption else ""
    label = escaped(caption or "Table")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f"<table>{head}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: Sequence[str], place: TreeRow | None, sides: Mapping[int, str]) -> str:
    if place is None:
        begin, name = "<tr>", f'<th scope="row">{_cell(row[0])}</th>'
        values: Sequence[float | None] = ()
    else:
        begin = f'<tr data-depth="{place.depth}">'
        name = (
            f'<th scope="row" style="--d:{place.depth}" title="{escaped(shown(place.path))}">'
            f"<bdi>{_cell(place.name)}</bdi></th>"
        )
        values = place.values
    cells = "".join(
        f"<td{_side(i, sides)}{_sort_value(values, i)}>{_cell(cell)}</td>"
        for i, cell in enumerate(row[1:], start=1)
    )
    return f"{begin}{name}{cells}</tr>"


def _cell(text: str) -> str:
    return escaped(text) if text else ""


def _side(index: int, sides: Mapping[int, str]) -> str:
    return f' class="{sides[index]}"' if index in sides else ""


def _is_long(index: int, rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a column's text may take several lines. Words such as device-bound may not."""
    cells = (row[index] for row in rows if index < len(row))
    return index > 0 and any(len(one) > _LONG for one in cells if not isinstance(one, Markup))


def _sort_value(values: Sequence[float | None], index: int) -> str:
    value = values[index - 1] if index <= len(values) else None
    return f' data-value="{value:.9g}"' if _is_known(value) else ""


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def paragraphs(lines: Iterable[str], *, soft: bool = False) -> str:
    """Return one paragraph per line of text. `soft` lines are less prominent."""
    kind = ' class="soft"' if soft else ""
    return "".join(f"<p{kind}>{escaped(line)}</p>" for line in lines)


def warning_list(warnings: Iterable[TimingWarning]) -> str:
    """Return the warnings as a section, or an empty string without warnings."""
    items = "".join(
        f"<li><b>{escaped(warning.kind)}</b>: {escaped(warning.message)}</li>"
        for warning in warnings
    )
    if not items:
        return ""
    return f'<section class="warnings"><h2>Warnings</h2><ul>{items}</ul></section>'

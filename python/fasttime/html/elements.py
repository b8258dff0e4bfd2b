# SPDX-License-Identifier: BSD-3-Clause
"""Pieces of HTML: escaped text, tables, lists of warnings."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from ..text import LONGEST, printable

if TYPE_CHECKING:
    from ..timing_warning import TimingWarning

# An escaped joiner between two emoji. The first may carry a variation or a skin tone.
_ESCAPED_JOINER = re.compile(
    r"(?<=[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\\u200d(?=[\u2190-\u2bff\U0001f000-\U0001faff])"
)


class Markup(str):
    """HTML to show as it is, such as a chart in a cell."""


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
) -> str:
    """Return a table of plain text cells.

    Args:
        columns: the headings. A newline in a heading begins a new line.
        rows: the cells of each row. The first cell is the row's heading.
        caption: what the table shows, for screen readers.
        left: how many of the first columns are text, or the indices of all columns with text. Text
            is aligned to the left, figures to the right.
    """
    left = range(left) if isinstance(left, int) else left
    heads = "".join(
        f'<th scope="col"{_side(i, left)}>{"<br>".join(map(escaped, column.splitlines()))}</th>'
        for i, column in enumerate(columns)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{escaped(cell)}</th>'
            if i == 0
            else f"<td{_side(i, left)}>{escaped(cell)}</td>"
            for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    head = f'<caption class="vh">{escaped(caption)}</caption>' if caption else ""
    label = escaped(caption or "Table")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f"<table>{head}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _side(index: int, left: Collection[int]) -> str:
    return ' class="left"' if index in left else ""


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

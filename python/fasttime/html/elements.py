# SPDX-License-Identifier: BSD-3-Clause
"""Pieces of HTML: escaped text, a table, the list of warnings."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..text import LONGEST, printable

if TYPE_CHECKING:
    from ..timing_warning import TimingWarning

# An escaped joiner between two emoji. The first may carry a variation or a skin tone.
_ESCAPED_JOINER = re.compile(
    r"(?<=[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\\u200d(?=[\u2190-\u2bff\U0001f000-\U0001faff])"
)


def escaped(text: str, longest: int = 2000) -> str:
    """Return text that is safe inside an element or an attribute."""
    return html.escape(shown(text, longest))


def shown(text: str, longest: int = LONGEST) -> str:
    """Return what `printable` returns, but keep joined emoji joined.

    Terminals disagree about the width of joined emoji, so `printable` escapes the joiner. A browser
    measures what it draws.
    """
    return _ESCAPED_JOINER.sub("\u200d", printable(text, longest))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", left: int = 1
) -> str:
    """Return a table of plain text cells.

    Args:
        columns: the headings.
        rows: the cells of each row; the first cell is the row's heading.
        caption: what the table shows, for screen readers.
        left: how many columns are aligned to the left; the others hold figures, aligned right.
    """
    heads = "".join(
        f'<th scope="col"{_side(i, left)}>{escaped(column)}</th>'
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
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(caption or "Table")}">'
        f"<table>{head}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _side(index: int, left: int) -> str:
    return ' class="left"' if index < left else ""


def warning_list(warnings: Iterable[TimingWarning]) -> str:
    """Return the warnings as a section; empty without warnings."""
    items = "".join(
        f"<li><b>{escaped(warning.kind)}</b>: {escaped(warning.message)}</li>"
        for warning in warnings
    )
    if not items:
        return ""
    return f'<section class="warnings"><h2>Warnings</h2><ul>{items}</ul></section>'


def paragraphs(lines: Iterable[str], *, soft: bool = False) -> str:
    """Return each line as a paragraph; soft lines are less prominent."""
    start = '<p class="soft">' if soft else "<p>"
    return "".join(f"{start}{escaped(text)}</p>" for text in lines)

# SPDX-License-Identifier: BSD-3-Clause
"""Pieces of Markdown: escaped text, names as code, tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence


def markdown_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int]
) -> list[str]:
    """Return the lines of a table of plain text; the first cell of each row is code.

    Args:
        headings: one per column, without markup.
        rows: the cells of each row.
        left: the indices of the columns with text; figures are aligned to the right.
    """
    sides = ["---" if i in left else "---:" for i in range(len(headings))]
    lines = [_row(map(markdown_text, headings)), _row(sides)]
    for name, *cells in rows:
        lines.append(_row([markdown_code(name), *map(markdown_text, cells)]))
    return lines


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_code(name: str) -> str:
    """Return a name as code: a code span if the name allows one, otherwise an element."""
    # In a code span, only a backtick and a bar are markup. A bar ends the table's cell even there,
    # and a backslash before the bar would undo the bar's escape.
    if name.strip() and not re.search(r"[`|\\]", name):
        return f"`{name}`"
    return f"<code>{markdown_text(name)}</code>" if name else ""


def markdown_text(text: str) -> str:
    """Escape every character that could be markup."""
    # An underscore between letters or digits is not markup: kinds of warnings stay readable.
    markup = r"[^\w\s.,:;/()%+'\"µ…-]|(?<![^\W_])_|_(?![^\W_])"
    return re.sub(markup, lambda found: f"&#{ord(found[0])};", text)

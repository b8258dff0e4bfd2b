# SPDX-License-Identifier: BSD-3-Clause
"""A report as Markdown, for a pull request or a wiki."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...text import printable
from .columns import columns_of, summary

if TYPE_CHECKING:
    from ..report import Report


def as_markdown(report: Report) -> str:
    """Return a report as a table, and below it what it has cost and the doubts."""
    if not report.sites:
        lines = ["fasttime: no scope has ended in this time."]
    else:
        lines = [*_table(report), "", summary(report)]
    if report.warnings:
        lines += ["", *(f"* {_text(warning.message)}" for warning in report.warnings)]
    return "\n".join(lines) + "\n"


def _table(report: Report) -> list[str]:
    columns = columns_of(report)
    titles = [f"{column.group} {column.title}".strip() for column in columns]
    numbers = ["---" if column.key == "bottleneck" else "---:" for column in columns]
    lines = [_row(["scope", *titles]), _row(["---", *numbers])]
    for site in report.walk():
        cells = (_text(column.text(site)) for column in columns)
        lines.append(_row([_code(printable(site.path)), *cells]))
    return lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(name: str) -> str:
    """In a code span nothing is markup but a backtick, and a bar, which ends the table's cell."""
    # A backslash before the bar's own escape would undo it, so any other name is made of entities.
    if name.strip() and not re.search(r"[`|\\]", name):
        return f"`{name}`"
    return f"<code>{_text(name)}</code>"


def _text(text: str) -> str:
    """Escape whatever could be markup; words, figures and plain stops stay readable."""
    return re.sub(r"[^\w\s.,:;/()%+'\"µ…-]|_", lambda found: f"&#{ord(found[0])};", text)

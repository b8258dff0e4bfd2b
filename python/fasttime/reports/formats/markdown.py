# SPDX-License-Identifier: BSD-3-Clause
"""A report as Markdown, for a pull request or a wiki."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...text import printable
from ..view import hidden_sites, visible
from .columns import NO_SITES, columns_of, summary

if TYPE_CHECKING:
    from ..report import Report
    from ..site import SiteReport


def as_markdown(report: Report) -> str:
    """Return a table with the summary and the warnings below it."""
    sites = [site for site, _ in visible(report)]
    lines = [NO_SITES]
    if report.sites:
        notes = f"{summary(report)} {hidden_sites(report, len(sites))}".rstrip()
        lines = [*_table(report, sites), "", notes]
    if report.shown_as.title:
        lines = [f"### {_text(printable(report.shown_as.title))}", "", *lines]
    if report.warnings:
        lines += ["", *(f"* {_text(str(warning))}" for warning in report.warnings)]
    return "\n".join(lines) + "\n"


def _table(report: Report, sites: list[SiteReport]) -> list[str]:
    columns = columns_of(report)
    titles = [f"{column.group} {column.title}".strip() for column in columns]
    sides = ["---" if column.key == "bottleneck" else "---:" for column in columns]
    lines = [_row(["scope", *titles]), _row(["---", *sides])]
    for site in sites:
        cells = (_text(column.text(site)) for column in columns)
        lines.append(_row([_code(printable(site.path)), *cells]))
    return lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(name: str) -> str:
    """Return a name as code: a code span if the name allows one, otherwise an element."""
    # In a code span, only a backtick and a bar are markup. A bar ends the table's cell even there,
    # and a backslash before the bar would undo the bar's escape.
    if name.strip() and not re.search(r"[`|\\]", name):
        return f"`{name}`"
    return f"<code>{_text(name)}</code>"


def _text(text: str) -> str:
    """Escape every character that could be markup."""
    # An underscore between letters or digits is not markup: kinds of warnings stay readable.
    markup = r"[^\w\s.,:;/()%+'\"µ…-]|(?<![^\W_])_|_(?![^\W_])"
    return re.sub(markup, lambda found: f"&#{ord(found[0])};", text)

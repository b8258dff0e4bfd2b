# SPDX-License-Identifier: BSD-3-Clause
"""A report as Markdown, for a pull request or a wiki."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...markdown import markdown_table, markdown_text
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
        lines = [f"### {markdown_text(printable(report.shown_as.title))}", "", *lines]
    if report.warnings:
        lines += ["", *(f"* {markdown_text(str(warning))}" for warning in report.warnings)]
    return "\n".join(lines) + "\n"


def _table(report: Report, sites: list[SiteReport]) -> list[str]:
    columns = columns_of(report)
    titles = [f"{column.group} {column.title}".strip() for column in columns]
    left = {0, *(i for i, column in enumerate(columns, 1) if column.key == "bottleneck")}
    rows = [[printable(site.path), *(column.text(site) for column in columns)] for site in sites]
    return markdown_table(["scope", *titles], rows, left)

# SPDX-License-Identifier: BSD-3-Clause
"""Writing a report to a file: which suffix stands for which format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...atomic_file import open_for_replacement

if TYPE_CHECKING:
    from ...timelines.timeline import Timeline
    from ..report import Report

_SUFFIXES = (".html", ".md", ".json", ".txt")


def save(report: Report, path: str | os.PathLike[str], timeline: Timeline | None) -> None:
    """Write a report in the format that the path's suffix names; see `Report.save`."""
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise ValueError(
            f"a report is saved by its suffix, one of {known}; got {os.fspath(path)!r}, which ends "
            f"in {suffix!r}"
        )
    if timeline is not None and suffix != ".html":
        raise ValueError(
            f"only an HTML page shows a timeline, got {os.fspath(path)!r}; save the timeline by "
            "itself, or the report as .html"
        )
    text = _text_of(report, suffix, timeline)  # before the file is opened: this may fail as well
    with open_for_replacement(path) as file:
        file.write(text)


def _text_of(report: Report, suffix: str, timeline: Timeline | None) -> str:
    if suffix == ".html":
        return report.to_html(timeline=timeline)
    if suffix == ".md":
        return report.to_markdown()
    if suffix == ".json":
        from .document import as_json

        return as_json(report, report.environment)
    from .table import as_text

    return as_text(report, width=None) + "\n"

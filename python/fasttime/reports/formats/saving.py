# SPDX-License-Identifier: BSD-3-Clause
"""Write a report to a file in the format of its suffix."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...atomic_file import open_for_replacement
from ...documents import REPORT, wrong_suffix
from .document import as_json
from .html import as_page
from .markdown import as_markdown
from .rows import as_csv
from .table import as_text

if TYPE_CHECKING:
    from ...environment.describe import Environment
    from ...timelines.timeline import Timeline
    from ..report import Report

_SUFFIXES = (".html", ".md", ".json", ".csv", ".txt")


def save(
    report: Report,
    environment: Environment,
    path: str | os.PathLike[str],
    timeline: Timeline | None,
) -> None:
    """Write a report; see `Report.save`."""
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in _SUFFIXES:
        raise wrong_suffix(REPORT, path, _SUFFIXES)
    if timeline is not None and suffix != ".html":
        raise ValueError(
            f"only an HTML page shows a timeline, got {os.fspath(path)!r}; save the timeline to "
            "its own file, or the report as .html"
        )
    text = _text_of(report, environment, suffix, timeline)  # first, because it may raise as well
    with open_for_replacement(path) as file:
        file.write(text)


def _text_of(
    report: Report, environment: Environment, suffix: str, timeline: Timeline | None
) -> str:
    if suffix == ".html":
        return as_page(report, environment, timeline)
    if suffix == ".json":
        return as_json(report, environment)
    if suffix == ".md":
        return as_markdown(report)
    if suffix == ".csv":
        return as_csv(report)
    return as_text(report, width=None) + "\n"

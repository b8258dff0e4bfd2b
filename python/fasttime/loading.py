# SPDX-License-Identifier: BSD-3-Clause
"""Load saved results: `fasttime.load`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

from .comparing.comparison import Comparison
from .comparing.comparison import from_content as comparison_from_content
from .comparing.methods import MethodComparison
from .comparing.methods import from_content as method_comparison_from_content
from .comparing.saved import SavedComparison
from .comparing.saved import from_content as saved_comparison_from_content
from .documents import (
    COMPARISON,
    MEASUREMENT,
    METHOD_COMPARISON,
    MODULE_TABLE,
    RANK_TABLE,
    REPORT,
    SAVED_COMPARISON,
    STEP_REPORT,
    TIMELINE,
    Fields,
    damaged,
    read_document,
)
from .measuring.measurement import Measurement
from .measuring.measurement import from_content as measurement_from_content
from .modules.step_report import StepReport
from .modules.table import ModuleTable
from .ranks.rank_table import RankTable
from .ranks.rank_table import from_content as rank_table_from_content
from .reports.formats.document import from_content as report_arguments
from .reports.report import Report
from .timelines.timeline import Timeline

Loaded: TypeAlias = (
    Measurement
    | Comparison
    | MethodComparison
    | SavedComparison
    | Report
    | Timeline
    | RankTable
    | ModuleTable
    | StepReport
)

# The function that makes a result from the fields of a document, by format.
READERS: dict[str, Callable[[Fields], Loaded]] = {
    MEASUREMENT: measurement_from_content,
    COMPARISON: comparison_from_content,
    METHOD_COMPARISON: method_comparison_from_content,
    SAVED_COMPARISON: saved_comparison_from_content,
    REPORT: lambda fields: Report(**report_arguments(fields)),
    TIMELINE: Timeline._from_fields,
    RANK_TABLE: rank_table_from_content,
    MODULE_TABLE: ModuleTable._from_fields,
    STEP_REPORT: StepReport._from_fields,
}


def load(path: str | os.PathLike[str]) -> Loaded:
    """Return the result that a ``save`` method wrote to a JSON file.

    Args:
        path: the file, such as ``report.json``. A timeline is a trace, ``.json`` or ``.json.gz``.

    Loading never runs code from the file. Raises ValueError, with the file's name and the reason,
    if the file is not from fasttime, has another version, was cut short or contradicts itself.
    Raises OSError, such as FileNotFoundError, like `open`.

    >>> fasttime.load("report.json")["step"].device.p99  # doctest: +SKIP
    """
    document = read_document(path)
    try:
        return READERS[document["format"]](Fields(document))
    except ValueError as error:
        raise damaged(path, error) from None

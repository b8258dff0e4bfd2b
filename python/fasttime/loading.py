# SPDX-License-Identifier: BSD-3-Clause
"""Read what was saved: `fasttime.load`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

from .documents import (
    COMPARISON,
    MEASUREMENT,
    METHOD_COMPARISON,
    SAVED_COMPARISON,
    Fields,
    damaged,
    read_document,
)

if TYPE_CHECKING:
    from .comparing.comparison import Comparison
    from .comparing.methods import MethodComparison
    from .comparing.saved import SavedComparison
    from .measuring.measurement import Measurement
    from .reports.report import Report

    Loaded: TypeAlias = Measurement | Comparison | MethodComparison | SavedComparison | Report


def load(path: str | os.PathLike[str]) -> Loaded:
    """Return the measurement, comparison or report that was saved in a file.

    Args:
        path: the file that ``save`` wrote. A report must have been saved as ``.json``.

    Raises ValueError, with the name of the file and what is the matter, where it was not saved by
    fasttime, is of another version, was cut short or does not add up; OSError, such as
    FileNotFoundError, as `open` does. Nothing in a file is ever run.

    >>> fasttime.load("report.json")["step"].device.p99  # doctest: +SKIP
    """
    document = read_document(path)
    try:
        return _from_content(document["format"], Fields(document))
    except ValueError as error:
        raise damaged(path, document["format"], error) from None


def _from_content(kind: str, fields: Fields) -> Loaded:
    if kind == MEASUREMENT:
        from .measuring import document as measurements

        return measurements.from_content(fields)
    if kind == COMPARISON:
        from .comparing import comparison

        return comparison.from_content(fields)
    if kind == METHOD_COMPARISON:
        from .comparing import methods

        return methods.from_content(fields)
    if kind == SAVED_COMPARISON:
        from .comparing import saved

        return saved.from_content(fields)
    from .reports.formats import loaded as reports

    return reports.from_content(fields)

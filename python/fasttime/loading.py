# SPDX-License-Identifier: BSD-3-Clause
"""Read what was saved: `fasttime.load`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .documents import (
    COMPARISON,
    MEASUREMENT,
    TIMELINE,
    Fields,
    damaged,
    read_document,
)

if TYPE_CHECKING:
    from .comparing.comparison import Comparison
    from .measuring.measurement import Measurement
    from .reports.report import Report
    from .timelines.timeline import Timeline


def load(path: str | os.PathLike[str]) -> Measurement | Comparison | Report | Timeline:
    """Return the `Measurement`, `Comparison`, `Report` or `Timeline` that was saved in a file.

    Args:
        path: what `Measurement.save`, `Comparison.save`, `Report.save` or `Timeline.save` was
            given; of a report the ``.json`` file, of a timeline the ``.json`` or ``.json.gz`` file.

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


def _from_content(kind: str, fields: Fields) -> Measurement | Comparison | Report | Timeline:
    if kind == MEASUREMENT:
        from .measuring import document as measurements

        return measurements.from_content(fields)
    if kind == COMPARISON:
        from .comparing import document as comparisons

        return comparisons.from_content(fields)
    if kind == TIMELINE:
        from .timelines.timeline import Timeline

        return Timeline._from_fields(fields)
    from .reports.formats import loaded as reports

    return reports.from_content(fields)

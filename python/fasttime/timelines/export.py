# SPDX-License-Identifier: BSD-3-Clause
"""Timelines as dicts, as a DataFrame, and as CSV."""

from __future__ import annotations

import csv
import importlib
from typing import TYPE_CHECKING, Any, TextIO

from .span import Span

if TYPE_CHECKING:
    from .timeline import Timeline


def to_dicts(timeline: Timeline) -> list[dict[str, Any]]:
    """Return one dict a span."""
    return [span._asdict() for span in timeline.spans]


def to_pandas(timeline: Timeline) -> Any:
    """Return one row a span."""
    try:
        pandas = importlib.import_module("pandas")  # whose types are a package of their own
    except ImportError as error:
        raise ImportError(
            "to_pandas() needs pandas: pip install 'fasttime[pandas]'; to_dicts() does without"
        ) from error
    columns = dict(zip(Span._fields, zip(*timeline.spans, strict=True), strict=False))
    frame = pandas.DataFrame({name: list(columns.get(name, ())) for name in Span._fields})
    # Nothing but None in a column, or an empty one, would come out as objects.
    times = ("host_begin", "host_end", "device_begin", "device_end", "uncertainty")
    whole = {"device": "Int64", "stream": "UInt64"}
    return frame.astype({**dict.fromkeys(times, "float64"), **whole})


def write_csv(timeline: Timeline, file: TextIO) -> None:
    """Write a heading and one line a span; what is None is empty. The file must not touch newlines.

    A NUL in a name, which few readers take, is written as ``\\x00``.
    """
    writer = csv.writer(file)
    writer.writerow(Span._fields)
    for span in timeline.spans:
        writer.writerow(
            field.replace("\0", "\\x00") if isinstance(field, str) else field for field in span
        )

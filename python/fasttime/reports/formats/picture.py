# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a timeline on a page: the last scopes, as many as a reader can tell apart."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from ...timelines.timeline import Timeline

if TYPE_CHECKING:
    from ...timelines.columns import Columns

_READABLE = 48  # scopes: about as many named bars fit the width of a page


def last_scopes(timeline: Timeline) -> tuple[Timeline, str]:
    """Return the part of a timeline to draw, and a sentence that says which part it is.

    Raises TypeError for anything but a timeline.
    """
    if not isinstance(timeline, Timeline):
        raise TypeError(
            f"timeline must be a fasttime.Timeline, got {type(timeline).__name__}; "
            "record_timeline() makes one, and its stop() returns it"
        )
    columns = timeline.columns
    if len(columns) <= _READABLE:
        return timeline, ""
    first, end = _last_rounds(columns)
    whole = len(columns) + timeline.dropped
    words = f"Scopes {first + 1:,} to {end:,} of {whole:,}, in the order in which they began."
    return Timeline(columns[first:end], timeline.thread_names), words


def _last_rounds(columns: Columns) -> tuple[int, int]:
    """Return the range of scopes to draw: whole rounds of a loop.

    The range begins with an outermost scope and ends with the end of one.
    """
    depth = columns.depth()
    start = len(columns) - _READABLE
    # Only the first half may hold the beginning: a picture of the last scope alone says little.
    first = start + int(np.argmin(depth[start : start + _READABLE // 2]))
    last = int(np.flatnonzero(depth <= depth[first])[-1])
    if not columns.is_ended[last]:
        return first, len(columns)
    return first, int(np.searchsorted(columns.host_begin_ns, columns.host_end_ns[last], "right"))


def svg_of(timeline: Timeline, dark: bool) -> bytes:
    """Return a timeline as an SVG file. Raises ImportError without matplotlib."""
    figure = timeline.plot(dark=dark)
    file = io.BytesIO()
    figure.savefig(file, format="svg", facecolor=figure.get_facecolor())
    return file.getvalue()

# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a timeline for a page: its last scopes, as many as can be read at once."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from ...timelines.timeline import Timeline

if TYPE_CHECKING:
    from ...timelines.columns import Columns

_READABLE = 48  # scopes: about as many bars have room for a name on the width of a page


def last_scopes(timeline: Timeline) -> tuple[Timeline, str]:
    """Return the part of a timeline that can be read at once, and in words which that is."""
    columns = timeline.columns
    if len(columns) <= _READABLE:
        return timeline, ""
    first, end = _last_rounds(columns)
    whole = len(columns) + timeline.dropped
    words = f"Scopes {first + 1:,} to {end:,} of {whole:,}, as they began."
    return Timeline(columns[first:end], timeline.thread_names), words


def _last_rounds(columns: Columns) -> tuple[int, int]:
    """Begin and end with a scope as far outside as there is: so loops are shown in whole rounds."""
    depth = columns.depth()
    start = len(columns) - _READABLE
    # In the first half, as one last scope by itself would tell little.
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

# SPDX-License-Identifier: BSD-3-Clause
"""Tracks: the spans of one thread, or of one stream, in rows in which they nest.

Scopes of one thread nest, but for those of asyncio tasks, which run between each other; scopes of
one stream do, but for those of several threads. What does not nest gets a row of its own, as no
viewer can show it otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .columns import Columns

# Two events of a stream are never less than 1.2 us apart. Boundaries that seem to be less than
# this apart are one and the same, read with different rounding.
_SAME_EVENT_NS = 500


class Track(NamedTuple):
    """Spans of one thread or stream in the order of their begins, by position in the columns."""

    device: int  # -1: the host
    handle: int  # the thread's native id, or the stream's handle
    spans: npt.NDArray[np.int64]
    begin_ns: npt.NDArray[np.int64]
    end_ns: npt.NDArray[np.int64]
    row: npt.NDArray[np.int32]
    level: npt.NDArray[np.int32]  # how deep in its row

    @property
    def row_count(self) -> int:
        """How many rows it takes."""
        return int(self.row.max()) + 1 if len(self.row) else 0


def host_tracks(columns: Columns) -> Iterator[Track]:
    """Yield one track a thread, without the spans that were never ended."""
    for thread in np.unique(columns.thread):
        spans = np.nonzero((columns.thread == thread) & columns.is_ended)[0]
        if len(spans):
            yield _track(
                -1,
                int(thread),
                spans,
                columns.host_begin_ns[spans],
                columns.host_end_ns[spans],
                columns.depth()[spans],
                0,
            )


def device_tracks(columns: Columns) -> Iterator[Track]:
    """Yield one track a stream, of the spans that have a place on their device."""
    for device in np.unique(columns.device[columns.is_placed]):
        here = columns.is_placed & (columns.device == device)
        for stream in np.unique(columns.stream[here]):
            spans = np.nonzero(here & (columns.stream == stream))[0]
            yield _track(
                int(device),
                int(stream),
                spans,
                columns.device_begin_ns[spans],
                columns.device_end_ns[spans],
                columns.depth()[spans],
                _SAME_EVENT_NS,
            )


def gaps(track: Track) -> Iterator[tuple[int, int, int]]:
    """Yield level, begin and end in ns of each stretch between the scopes of a track.

    On each level of its first row: where there is no scope of that level, nor one further out that
    has none inside.
    """
    levels, rows = track.level.tolist(), track.row.tolist()
    is_leaf = [True] * len(levels)
    newest: dict[tuple[int, int], int] = {}  # by row and level
    for i, place in enumerate(zip(rows, levels, strict=True)):
        newest[place] = i
        if place[1] > 0:
            is_leaf[newest[place[0], place[1] - 1]] = False
    for level in range(max(n for n, row in zip(levels, rows, strict=True) if row == 0) + 1):
        covered_ns: int | None = None
        for i, (begin_ns, end_ns) in enumerate(
            zip(track.begin_ns.tolist(), track.end_ns.tolist(), strict=True)
        ):
            if levels[i] == level or (levels[i] < level and is_leaf[i]):
                if covered_ns is not None and begin_ns > covered_ns:
                    yield level, covered_ns, begin_ns
                covered_ns = end_ns if covered_ns is None else max(covered_ns, end_ns)


def _track(
    device: int,
    handle: int,
    spans: npt.NDArray[np.int64],
    begin_ns: npt.NDArray[np.int64],
    end_ns: npt.NDArray[np.int64],
    depth: npt.NDArray[np.int32],
    tolerance_ns: int,
) -> Track:
    order = np.lexsort((depth, -end_ns, begin_ns))
    if tolerance_ns:
        begin_ns = begin_ns.copy()
        begin_ns[order] = _gathered(begin_ns[order], tolerance_ns)
        order = np.lexsort((-end_ns, depth, begin_ns))
    begins, ends = begin_ns[order].tolist(), end_ns[order].tolist()
    rows, levels = _nest(begins, ends, tolerance_ns)
    return Track(
        device,
        handle,
        spans[order],
        np.array(begins, dtype=np.int64),
        np.array(ends, dtype=np.int64),
        np.array(rows, dtype=np.int32),
        np.array(levels, dtype=np.int32),
    )


def _gathered(begin_ns: npt.NDArray[np.int64], tolerance_ns: int) -> npt.NDArray[np.int64]:
    """Give begins that are the same, but for rounding, the first one's time."""
    starts = np.concatenate(([True], np.diff(begin_ns) > tolerance_ns))
    gathered: npt.NDArray[np.int64] = begin_ns[starts][np.cumsum(starts) - 1]
    return gathered


def _nest(begins: list[int], ends: list[int], tolerance_ns: int) -> tuple[list[int], list[int]]:
    """Find each span's row and level, and move ends and begins within the tolerance to fit."""
    rows: list[int] = []
    levels: list[int] = []
    open_ends: list[list[int]] = []  # of each row, outermost first
    for i, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        row = 0
        while row < len(open_ends):
            stack = open_ends[row]
            while stack and stack[-1] <= begin + tolerance_ns:
                begin = max(begin, stack.pop())
            if not stack or end <= stack[-1] + tolerance_ns:
                break
            row += 1
        else:
            open_ends.append([])
        stack = open_ends[row]
        if stack:
            end = min(end, stack[-1])
        begins[i], ends[i] = begin, max(begin, end)
        rows.append(row)
        levels.append(len(stack))
        stack.append(ends[i])
    return rows, levels

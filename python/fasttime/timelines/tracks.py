# SPDX-License-Identifier: BSD-3-Clause
"""Tracks: the spans of one thread, or of one stream, in rows in which they nest.

Scopes of one thread nest, but for those of asyncio tasks, which run between each other; scopes of
one stream do, but for those of several threads. What does not nest gets a row of its own, as no
viewer can show it otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .columns import Columns, in_pieces
from .rows import Rows

# Two events of a stream are never less than 1.2 us apart. Boundaries that seem to be less than
# this apart are one and the same, read with different rounding.
_SAME_EVENT_NS = 500


class Piece(NamedTuple):
    """Some spans of a track, by position in the columns, and where they are drawn."""

    spans: npt.NDArray[np.int64]
    begins_ns: list[int]
    ends_ns: list[int]
    rows: list[int]
    levels: list[int]  # how deep in its row
    row_count: int  # of the track up to here


class Bar(NamedTuple):
    """One span of a track, likewise."""

    span: int
    begin_ns: int
    end_ns: int
    row: int
    level: int


@dataclass(frozen=True, eq=False)
class Track:
    """Spans of one thread or stream in the order of their begins, by position in the columns."""

    device: int  # -1: the host
    handle: int  # the thread's native id, or the stream's handle
    spans: npt.NDArray[np.int64]
    begin_ns: npt.NDArray[np.int64]  # of all spans there are, as is `end_ns`
    end_ns: npt.NDArray[np.int64]
    tolerance_ns: int

    def pieces(self) -> Iterator[Piece]:
        """Yield the spans, some thousands at a time."""
        track_rows = Rows(self.tolerance_ns)
        for spans in in_pieces(self.spans):
            begins, ends = self.begin_ns[spans].tolist(), self.end_ns[spans].tolist()
            rows, levels = track_rows.place(begins, ends)
            yield Piece(spans, begins, ends, rows, levels, track_rows.count)

    def bars(self) -> Iterator[Bar]:
        """Yield the spans one by one."""
        for spans, *places, _ in self.pieces():
            yield from map(Bar, spans.tolist(), *places)


# To sort takes all spans at once: in numpy up to 40 bytes a span, and 16 until the tracks are done
# with. All else that is done with a track goes piece by piece.


def host_tracks(columns: Columns) -> Iterator[Track]:
    """Yield one track a thread, without the spans that were never ended."""
    begin_ns, end_ns = columns.host_begin_ns, columns.host_end_ns
    order = np.lexsort((columns.depth(), -end_ns, begin_ns, columns.thread))
    order = order[columns.is_ended[order]]
    for spans in _split(order, columns.thread):
        yield Track(-1, int(columns.thread[spans[0]]), spans, begin_ns, end_ns, 0)


def device_tracks(columns: Columns) -> Iterator[Track]:
    """Yield one track a stream, of the spans that have a place on their device."""
    begin_ns, end_ns = gathered_begins(columns), columns.device_end_ns
    for spans in _by_stream(columns, -end_ns, columns.depth(), begin_ns):
        device, stream = int(columns.device[spans[0]]), int(columns.stream[spans[0]])
        yield Track(device, stream, spans, begin_ns, end_ns, _SAME_EVENT_NS)


def gathered_begins(columns: Columns) -> npt.NDArray[np.int64]:
    """Return the device begins; those of a stream that differ by rounding alone are the same."""
    begin_ns = columns.device_begin_ns.copy()
    for spans in _by_stream(columns, begin_ns):
        begins = begin_ns[spans]
        begins[1:][np.diff(begins) <= _SAME_EVENT_NS] = begins[0]
        begin_ns[spans] = np.maximum.accumulate(begins, out=begins)
    return begin_ns


def _by_stream(columns: Columns, *keys: npt.NDArray[Any]) -> list[npt.NDArray[np.int64]]:
    """Return the spans of each stream in the order of the keys, the last of which counts most."""
    order = np.lexsort((*keys, columns.stream, columns.device))
    order = order[columns.is_placed[order]]
    return _split(order, columns.device, columns.stream)


def _split(order: npt.NDArray[np.int64], *keys: npt.NDArray[Any]) -> list[npt.NDArray[np.int64]]:
    """Cut wherever one of the keys changes."""
    is_new = np.zeros(max(len(order) - 1, 0), dtype=np.bool_)
    for key in keys:
        along = key[order]
        is_new |= along[1:] != along[:-1]
    return np.split(order, np.flatnonzero(is_new) + 1) if len(order) else []


def gaps(track: Track) -> Iterator[tuple[int, int, int]]:
    """Yield level, begin and end in ns of each stretch between the scopes of a track.

    On each level of its first row: where there is no scope of that level, nor one further out that
    has none inside.
    """
    bars = list(track.bars())
    is_leaf = [True] * len(bars)
    newest: dict[tuple[int, int], int] = {}  # by row and level
    for i, bar in enumerate(bars):
        newest[bar.row, bar.level] = i
        if bar.level > 0:
            is_leaf[newest[bar.row, bar.level - 1]] = False
    for level in range(max(bar.level for bar in bars if bar.row == 0) + 1):
        covered_ns: int | None = None
        for bar, ends_here in zip(bars, is_leaf, strict=True):
            if bar.level == level or (bar.level < level and ends_here):
                if covered_ns is not None and bar.begin_ns > covered_ns:
                    yield level, covered_ns, bar.begin_ns
                covered_ns = bar.end_ns if covered_ns is None else max(covered_ns, bar.end_ns)

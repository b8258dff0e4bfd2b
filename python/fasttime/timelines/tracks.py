# SPDX-License-Identifier: BSD-3-Clause
"""Tracks: the spans of one thread or one stream, in rows in which they nest.

Scopes of one thread nest, except scopes of asyncio tasks that take turns. Scopes of one stream
nest, except scopes of several threads. A span that does not nest goes to another row, because
viewers cannot show overlapping spans in one row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .columns import CHUNK, Columns

# Two events of a stream are at least 1.2 us apart. Boundaries that seem closer than this are one
# event, read with different rounding.
_SAME_EVENT_NS = 500


class Bar(NamedTuple):
    """Where to draw a span of a track."""

    span: int  # the span's index in the columns
    begin_ns: int
    end_ns: int
    row: int
    level: int  # the number of spans around this span in its row


@dataclass(frozen=True, eq=False)
class Track:
    """The spans of one thread or stream, sorted by their begin."""

    device: int  # -1: the host
    handle: int  # the thread's native id, or the stream's handle
    spans: npt.NDArray[np.int64]  # indices into the columns
    begin_ns: npt.NDArray[np.int64]  # of all spans of the columns, like `end_ns`
    end_ns: npt.NDArray[np.int64]
    tolerance_ns: int

    def bars(self) -> Iterator[Bar]:
        """Yield one bar per span."""
        rows = Rows(self.tolerance_ns)
        for start in range(0, len(self.spans), CHUNK):
            spans = self.spans[start : start + CHUNK]
            begins_ns, ends_ns = self.begin_ns[spans].tolist(), self.end_ns[spans].tolist()
            for span, begin_ns, end_ns in zip(spans.tolist(), begins_ns, ends_ns, strict=True):
                yield Bar(span, *rows.place(begin_ns, end_ns))


# Sorting needs all spans at once: up to 40 bytes per span inside numpy, and 16 bytes per span for
# as long as the tracks are used. Everything else works chunk by chunk.


def host_tracks(columns: Columns) -> Iterator[Track]:
    """Yield one track per thread. Spans that never ended are left out."""
    begin_ns, end_ns = columns.host_begin_ns, columns.host_end_ns
    order = np.lexsort((columns.depth(), -end_ns, begin_ns, columns.thread))
    order = order[columns.is_ended[order]]
    for spans in _split(order, columns.thread):
        yield Track(-1, int(columns.thread[spans[0]]), spans, begin_ns, end_ns, 0)


def device_tracks(columns: Columns) -> Iterator[Track]:
    """Yield one track per stream. Spans without a place on their device are left out."""
    begin_ns, end_ns = gathered_begins(columns), columns.device_end_ns
    for spans in _by_stream(columns, -end_ns, columns.depth(), begin_ns):
        device, stream = int(columns.device[spans[0]]), int(columns.stream[spans[0]])
        yield Track(device, stream, spans, begin_ns, end_ns, _SAME_EVENT_NS)


def gathered_begins(columns: Columns) -> npt.NDArray[np.int64]:
    """Return the device begins, made equal on each stream if they differ only by rounding."""
    begin_ns = columns.device_begin_ns.copy()
    for spans in _by_stream(columns, begin_ns):
        begins = begin_ns[spans]
        begins[1:][np.diff(begins) <= _SAME_EVENT_NS] = begins[0]
        begin_ns[spans] = np.maximum.accumulate(begins, out=begins)
    return begin_ns


def _by_stream(columns: Columns, *keys: npt.NDArray[Any]) -> list[npt.NDArray[np.int64]]:
    """Return the placed spans of each stream, sorted by the keys, the last key first."""
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


class Rows:
    """The rows of one track so far. Spans arrive sorted by their begin.

    Each span goes to the first row in which it nests. To make spans fit, begins and ends move by at
    most the tolerance. Each row remembers its `newest` begin, and no later span of the row begins
    earlier. Otherwise a child could begin before its moved parent, or overlap a neighbour.

    Nearly all spans go to the first row, which is checked first and costs little. The other rows
    are in a tree, so n spans find their rows in n log n steps even if all of them overlap.
    """

    def __init__(self, tolerance_ns: int) -> None:
        self._tolerance_ns = tolerance_ns
        self._open_ends: list[int] = []  # in the first row, outermost first
        self._newest: float = -math.inf
        self._others = _OtherRows(tolerance_ns)

    def place(self, begin: int, end: int) -> tuple[int, int, int, int]:
        """Return begin, end, row and level of the next span."""
        first, tolerance_ns = self._open_ends, self._tolerance_ns
        asked = begin
        # Comparisons instead of min and max, whose calls would double the time.
        while first and first[-1] <= begin + tolerance_ns:
            closed = first.pop()
            if closed > begin:
                begin = closed
                self._newest = closed
        if not first or end <= first[-1] + tolerance_ns:
            row, open_ends = 0, first
            if begin < self._newest:
                begin = int(self._newest)
            self._newest = begin
        else:
            row, open_ends, begin = self._others.take(asked, end)
        if open_ends and end > open_ends[-1]:
            end = open_ends[-1]
        if end < begin:
            end = begin
        level = len(open_ends)
        open_ends.append(end)
        if row:
            self._others.opened(row, end)
        return begin, end, row, level


class _OtherRows:
    """All rows except the first, numbered from 1.

    The heap holds every open span of these rows, so a span's end closes the span in its row, even
    if no new span is tried there. Each row then has room for spans that end no later than its
    innermost open span, or for any span if none is open. Each node of the tree holds the larger
    room of the two nodes below. The leftmost row with enough room is found from the top.
    """

    def __init__(self, tolerance_ns: int) -> None:
        self._tolerance_ns = tolerance_ns
        self._open_ends: list[list[int]] = []
        self._newest: list[int] = []
        self._heap: list[tuple[int, int]] = []  # an end, and its index in the lists above
        self._leaves = 1  # a power of two
        self._tree = [-math.inf] * 2  # the top is node 1; nodes 2 i and 2 i + 1 are below node i

    @property
    def count(self) -> int:
        return len(self._open_ends)

    def take(self, begin: int, end: int) -> tuple[int, list[int], int]:
        """Return a row for a span, the open ends of the row, and the span's begin in the row."""
        self._close(begin)
        place = self._first_with_room(end - self._tolerance_ns)
        if place == self.count:
            self._open_ends.append([])
            self._newest.append(begin)
        begin = self._newest[place] = max(begin, self._newest[place])
        return place + 1, self._open_ends[place], begin

    def opened(self, row: int, end: int) -> None:
        """Remember the end of the span that was just added to the row."""
        heappush(self._heap, (end, row - 1))
        self._set_room(row - 1, end)

    def _close(self, begin: int) -> None:
        while self._heap and self._heap[0][0] <= begin + self._tolerance_ns:
            closed, place = heappop(self._heap)
            open_ends = self._open_ends[place]
            if not open_ends or open_ends[-1] != closed:
                continue  # closed together with a span inside it
            # A span that ends after this begin moves the next begin, which may close more spans.
            while open_ends and open_ends[-1] <= max(begin, closed) + self._tolerance_ns:
                closed = self._newest[place] = open_ends.pop()
            self._set_room(place, open_ends[-1] if open_ends else math.inf)

    def _first_with_room(self, end: int) -> int:
        """Return the first row index with room for a span with this end, or a new index."""
        if self._tree[1] < end:
            return self.count
        i = 1
        while i < self._leaves:
            i *= 2
            if self._tree[i] < end:
                i += 1
        return i - self._leaves

    def _set_room(self, place: int, end: float) -> None:
        while place >= self._leaves:  # the old tree becomes the left half of a tree twice as large
            levels = [self._tree[2**k : 2 ** (k + 1)] for k in range(self._leaves.bit_length())]
            self._tree = [-math.inf, self._tree[1]]
            for level in levels:
                self._tree += [*level, *[-math.inf] * len(level)]
            self._leaves *= 2
        tree = self._tree
        i = self._leaves + place
        tree[i] = most = end
        while i > 1:
            beside = tree[i ^ 1]
            if most < beside:
                most = beside
            i >>= 1
            if tree[i] == most:
                break
            tree[i] = most

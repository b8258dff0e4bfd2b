# SPDX-License-Identifier: BSD-3-Clause
"""Rows of a track: each span goes to the first one in which it nests.

Nearly all go to the first row of all, which is looked at first, at no cost. The others are kept in
a tree, so that n spans find their rows in n log n steps, however many lie across one another.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush


class Rows:
    """The rows of one track so far. Spans come in the order of their begins.

    Ends and begins are moved within the tolerance to fit. Where the last span of a row begins, or
    what was closed since then ends, none after it begins earlier: or a child would where its parent
    moved, or lie across a neighbour. That is the row's `newest`.
    """

    def __init__(self, tolerance_ns: int) -> None:
        self._tolerance_ns = tolerance_ns
        self._open_ends: list[int] = []  # in the first row, outermost first
        self._newest: float = -math.inf
        self._others = _OtherRows(tolerance_ns)

    @property
    def count(self) -> int:
        """How many rows there are, at least one."""
        return 1 + self._others.count

    def place(self, begins: list[int], ends: list[int]) -> tuple[list[int], list[int]]:
        """Return row and level of further spans, whose begins and ends are moved to fit."""
        tolerance_ns, first, newest = self._tolerance_ns, self._open_ends, self._newest
        rows: list[int] = []
        levels: list[int] = []
        for i, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            while first and first[-1] <= begin + tolerance_ns:
                closed = first.pop()
                if closed > begin:
                    begin = newest = closed
            # Comparisons, as to call min and max would take half of the time a trace takes.
            if not first or end <= first[-1] + tolerance_ns:
                row, open_ends = 0, first
                if begin < newest:
                    begin = int(newest)
                newest = begin
            else:
                row, open_ends, begin = self._others.take(begins[i], end)
            if open_ends and end > open_ends[-1]:
                end = open_ends[-1]
            if end < begin:
                end = begin
            begins[i], ends[i] = begin, end
            rows.append(row)
            levels.append(len(open_ends))
            open_ends.append(end)
            if row:
                self._others.opened(row, end)
        self._newest = newest
        return rows, levels


class _OtherRows:
    """All rows but the first, by number from 1 on.

    What ends closes in all of them at once, and not only where a span is tried: the heap holds all
    that is open. So each row has room for what ends no later than its innermost open span, or for
    anything. The tree holds the most of two below: the leftmost row with room enough is found from
    its top.
    """

    def __init__(self, tolerance_ns: int) -> None:
        self._tolerance_ns = tolerance_ns
        self._open_ends: list[list[int]] = []
        self._newest: list[int] = []
        self._heap: list[tuple[int, int]] = []  # an end, and its position in the lists above
        self._leaves = 1  # a power of two
        self._tree = [-math.inf] * 2  # the top is at 1, what is below i at 2 i and 2 i + 1

    @property
    def count(self) -> int:
        return len(self._open_ends)

    def take(self, begin: int, end: int) -> tuple[int, list[int], int]:
        """Return a row for a span, what is open there, and where the span begins in it."""
        self._close(begin)
        place = self._first_with_room(end - self._tolerance_ns)
        if place == self.count:
            self._open_ends.append([])
            self._newest.append(begin)
        begin = self._newest[place] = max(begin, self._newest[place])
        return place + 1, self._open_ends[place], begin

    def opened(self, row: int, end: int) -> None:
        """Note that the span ends there that has just been put into the row."""
        heappush(self._heap, (end, row - 1))
        self._set_room(row - 1, end)

    def _close(self, begin: int) -> None:
        while self._heap and self._heap[0][0] <= begin + self._tolerance_ns:
            closed, place = heappop(self._heap)
            open_ends = self._open_ends[place]
            if not open_ends or open_ends[-1] != closed:
                continue  # closed along with one inside it
            # One that ends later than this begins moves what comes next, which may close more.
            while open_ends and open_ends[-1] <= max(begin, closed) + self._tolerance_ns:
                closed = self._newest[place] = open_ends.pop()
            self._set_room(place, open_ends[-1] if open_ends else math.inf)

    def _first_with_room(self, end: int) -> int:
        """Return the first place that has room for a span with this end, or a new one."""
        if self._tree[1] < end:
            return self.count
        i = 1
        while i < self._leaves:
            i *= 2
            if self._tree[i] < end:
                i += 1
        return i - self._leaves

    def _set_room(self, place: int, end: float) -> None:
        while place >= self._leaves:  # the old tree is the left half of one twice as large
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

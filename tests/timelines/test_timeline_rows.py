# SPDX-License-Identifier: BSD-3-Clause
"""Rows of a track: the row of each span, and the steps to find it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from fasttime.timelines.tracks import Rows

Spans = Sequence[tuple[int, int]]
Placed = list[tuple[int, int, int, int]]


def placed(spans: Spans, tolerance_ns: int = 0) -> Placed:
    """Row, level, begin and end of each span."""
    rows = Rows(tolerance_ns)
    found: Placed = []
    for asked_begin, asked_end in spans:
        begin, end, row, level = rows.place(asked_begin, asked_end)
        found.append((row, level, begin, end))
    return found


def by_first_fit(spans: Spans, tolerance_ns: int) -> Placed:
    """The slow reference: try each row in turn."""
    rows: list[list[int]] = []
    newest: list[int] = []
    found: Placed = []
    for asked, end in spans:
        for row in range(len(rows) + 1):
            begin = asked
            if row == len(rows):
                rows.append([])
                newest.append(begin)
            inside = rows[row]
            while inside and inside[-1] <= begin + tolerance_ns:
                closed = inside.pop()
                if closed > begin:
                    begin = newest[row] = closed
            if not inside or end <= inside[-1] + tolerance_ns:
                break
        begin = newest[row] = max(begin, newest[row])
        end = max(begin, min([end, *inside[-1:]]))
        found.append((row, len(inside), begin, end))
        inside.append(end)
    return found


def test_nested_spans_share_a_row() -> None:
    spans = [(0, 100), (0, 40), (10, 20), (40, 90)]
    assert [(row, level) for row, level, _, _ in placed(spans)] == [(0, 0), (0, 1), (0, 2), (0, 1)]


def test_an_overlapping_span_goes_to_a_free_row() -> None:
    spans = [(0, 10), (5, 15), (6, 16), (10, 20), (15, 25)]
    assert [row for row, _, _, _ in placed(spans)] == [0, 1, 2, 0, 1]


def test_a_child_goes_to_the_row_of_its_parent() -> None:
    spans = [(0, 10), (5, 30), (6, 40), (11, 20), (12, 28), (21, 35)]
    rows_and_levels = [(row, level) for row, level, _, _ in placed(spans)]
    assert rows_and_levels == [(0, 0), (1, 0), (2, 0), (0, 0), (1, 1), (0, 0)]


times = st.integers(0, 60)
spans_in_order = st.lists(st.tuples(times, times), min_size=1, max_size=60).map(
    lambda pairs: sorted((min(pair), -max(pair)) for pair in pairs)
)


@settings(max_examples=500, deadline=None)
@given(spans_in_order, st.sampled_from([0, 1, 3, 10]))
def test_rows_agree_with_the_reference(spans: list[tuple[int, int]], tolerance_ns: int) -> None:
    in_order = [(begin, -end) for begin, end in spans]
    assert placed(in_order, tolerance_ns) == by_first_fit(in_order, tolerance_ns)


class Counted(int):
    """A moment that counts its comparisons."""

    comparisons = 0

    def _counting(name: str):  # type: ignore[no-untyped-def]
        def compare(self: Counted, other: float) -> bool:
            Counted.comparisons += 1
            return bool(getattr(float, name)(float(self), float(other)))

        return compare

    __lt__, __le__, __gt__, __ge__ = map(_counting, ("__lt__", "__le__", "__gt__", "__ge__"))
    __hash__ = int.__hash__

    def __add__(self, other: int) -> Counted:
        return Counted(int(self) + other)

    def __sub__(self, other: int) -> Counted:
        return Counted(int(self) - other)


def test_overlapping_spans_find_rows_in_few_steps() -> None:
    count = 2000
    spans = [(Counted(i), Counted(i + count)) for i in range(3 * count)]
    Counted.comparisons = 0
    found = placed(spans)
    assert [row for row, _, _, _ in found] == [i % count for i in range(3 * count)]
    assert Counted.comparisons < 60 * len(spans)  # a few per doubling, not one per row

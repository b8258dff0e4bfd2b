# SPDX-License-Identifier: BSD-3-Clause
"""Shorten names for a narrow table so that different names stay different."""

from __future__ import annotations

from itertools import takewhile

from rich.cells import cell_len, set_cell_size

_BEFORE = 3  # characters to show before the first difference


def shortened(names: list[str], rooms: list[int]) -> list[str]:
    """Return the names, each cut to its room in terminal columns.

    A name is cut in the middle, because layers of a model often differ at their ends. Names that
    would then look the same are cut around their first difference, or get a number as a last
    resort.
    """
    short = [_cut(name, room) for name, room in zip(names, rooms, strict=True)]
    for rows in _lookalikes(names, short):
        columns = zip(*(names[row] for row in rows), strict=False)
        common = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
        for row in rows:
            short[row] = _cut_from(names[row], max(0, common - _BEFORE), rooms[row])
    for rows in _lookalikes(names, short):
        numbers: dict[str, int] = {}
        for row in rows:
            number = numbers.setdefault(names[row], len(numbers) + 1)
            short[row] = _numbered(names[row], number, rooms[row])
    return short


def shortened_guide(guide: str, width: int) -> str:
    """Cut the guide lines of a deep site; the last levels tell it from its neighbours."""
    return guide if len(guide) <= width else f"… {guide[len(guide) - width + 2 :]}"


def _lookalikes(names: list[str], short: list[str]) -> list[list[int]]:
    """Return groups of rows that look the same although their names differ."""
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(short):
        rows.setdefault(text, []).append(row)
    return [group for group in rows.values() if len({names[row] for row in group}) > 1]


def _cut(name: str, width: int) -> str:
    if cell_len(name) <= width:
        return name
    tail = max(0, width - 1) // 2
    head = max(0, width - 1 - tail)
    return f"{set_cell_size(name, head)}…{set_cell_size(name[::-1], tail)[::-1]}"


def _cut_from(name: str, start: int, width: int) -> str:
    """Show the name from a position on."""
    if start == 0:
        return f"{set_cell_size(name, max(0, width - 1))}…"
    rest = f"…{name[start:]}"
    return rest if cell_len(rest) <= width else f"{set_cell_size(rest, max(0, width - 1))}…"


def _numbered(name: str, number: int, width: int) -> str:
    mark = f"…#{number}"
    return f"{set_cell_size(name, width - len(mark))}{mark}" if len(mark) <= width else mark[:width]

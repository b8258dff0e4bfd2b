# SPDX-License-Identifier: BSD-3-Clause
"""Names cut for a narrow table stay different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fasttime.reports.formats.shortening import shortened, shortened_guide


@pytest.mark.parametrize(
    ("names", "room", "expected"),
    [
        (["short", "name"], 5, ["short", "name"]),
        (["abcdefghij"], 5, ["ab…ij"]),
        # The ends are the same, so the cut shows the first difference.
        (["block.10.norm.weight", "block.11.norm.weight"], 9, ["…k.10.no…", "…k.11.no…"]),
        (["x.begin.y", "y.begin.y"], 7, ["x.b…n.y", "y.b…n.y"]),
    ],
)
def test_names_are_cut_to_their_room(names: list[str], room: int, expected: list[str]) -> None:
    assert shortened(names, [room] * len(names)) == expected


def test_equal_names_are_cut_alike() -> None:
    assert shortened(["abcdefghij"] * 2, [5, 5]) == ["ab…ij", "ab…ij"]


def test_names_that_still_look_alike_are_numbered() -> None:
    names = ["a" * 30 + middle + "b" * 30 for middle in ("", "x" * 30 + "1", "x" * 30 + "2")]
    short = shortened(names, [10] * 3)
    assert len(set(short)) == 3
    assert [cell_len(text) <= 10 for text in short] == [True] * 3


@given(st.lists(st.text("ab日", max_size=30), max_size=20), st.integers(1, 20))
def test_names_stay_inside_their_room(names: list[str], room: int) -> None:
    assert all(cell_len(text) <= room for text in shortened(names, [room] * len(names)))


@given(st.sets(st.text("ab", max_size=30), max_size=20))
def test_different_names_look_different(names: set[str]) -> None:
    assert len(set(shortened(list(names), [10] * len(names)))) == len(names)


def test_a_guide_keeps_its_last_levels() -> None:
    assert shortened_guide("│ │ └ ", 6) == "│ │ └ "
    assert shortened_guide("│ │ │ └ ", 6) == "… │ └ "

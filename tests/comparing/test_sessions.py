# SPDX-License-Identifier: BSD-3-Clause
"""Blocks mislead on a machine that changes, and turns do not. `benchmarks/sessions.py` has more."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from ab_simulation import is_false
from session_simulation import in_blocks, in_turns, verdict_on_sides

COUNT = 40

# A share of 5 % stays below this in 99 of 100 samples.
RARE = 0.05 * COUNT + 2.33 * math.sqrt(0.05 * 0.95 * COUNT)


def false_verdicts(order: Callable[[int, int], list[int]], machine: str, pairs: int) -> int:
    found = [verdict_on_sides(machine, order, pairs, 0.0, seed) for seed in range(COUNT)]
    return sum(is_false(verdict, 0.0) for verdict in found)


@pytest.mark.parametrize("pairs", [6, 10])
@pytest.mark.parametrize("machine", ["two sessions", "warming"])
def test_blocks_mislead_if_the_machine_changes(machine: str, pairs: int) -> None:
    assert false_verdicts(in_blocks, machine, pairs) > 0.5 * COUNT


@pytest.mark.parametrize("pairs", [6, 10])
@pytest.mark.parametrize("machine", ["two sessions", "warming", "wander", "modes"])
def test_turns_rarely_mislead(machine: str, pairs: int) -> None:
    assert false_verdicts(in_turns, machine, pairs) <= RARE


@pytest.mark.parametrize("machine", ["two sessions", "warming", "wander"])
def test_turns_find_a_difference(machine: str) -> None:
    found = [verdict_on_sides(machine, in_turns, 10, 0.02, seed) for seed in range(20)]
    assert found.count("slower") >= 19


def alternating(pairs: int, seed: int) -> list[int]:
    return [0, 1] * pairs


def test_alternating_turns_would_mislead_a_drift() -> None:
    """So the order of each pair is drawn."""
    assert false_verdicts(alternating, "warming", 10) > RARE

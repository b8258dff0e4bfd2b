# SPDX-License-Identifier: BSD-3-Clause
"""`compare` on a GPU, with kernels of known length and small budgets."""

from __future__ import annotations

from collections import Counter

import pytest
from known_kernels import kernel

import fasttime

pytestmark = pytest.mark.gpu

COMPARISONS = 20


def verdicts(length_ns: int, other_ns: int, budget: float) -> Counter[str]:
    """Return how often each verdict comes on the second kernel against the first."""
    pair = {"a": kernel(length_ns), "b": kernel(other_ns)}
    found = [fasttime.compare(pair, budget=budget) for _ in range(COMPARISONS)]
    # A round is finished, so the rounds may take a little longer than the budget.
    assert max(one.duration for one in found) <= 1.2 * budget
    return Counter(one.verdicts["b"].verdict for one in found)


@pytest.mark.parametrize("budget", [0.15, 0.3])
def test_five_percent_of_20_us_are_found(budget: float) -> None:
    found = verdicts(20_000, 21_000, budget)
    assert found["slower"] >= 0.9 * COMPARISONS, found
    assert found["faster"] == found["same"] == 0, found


def test_equal_kernels_are_not_told_apart() -> None:
    found = verdicts(20_000, 20_000, 0.3)
    assert found["slower"] + found["faster"] <= 1, found


def test_half_a_percent_is_never_a_difference() -> None:
    found = verdicts(200_000, 201_000, 0.5)
    assert found["slower"] + found["faster"] <= 1, found

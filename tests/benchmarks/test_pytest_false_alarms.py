# SPDX-License-Identifier: BSD-3-Clause
"""The script that counts false alarms of the pytest plugin, with made-up processes."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from made_up import measurement

from fasttime import Measurement

Load = Callable[[str], ModuleType]


def processes(medians: list[float]) -> Callable[[int], Measurement]:
    """Return a function that measures in the process of a number."""
    numbers = itertools.count()

    def take(number: int) -> Measurement:
        times = medians[number] * np.linspace(0.9999, 1.0001, 41)
        return measurement(times, loop_time=float(next(numbers)))

    return take


@pytest.mark.parametrize(
    ("medians", "word"),
    [
        ([1.0, 1.001, 0.999, 1.0, 1.001, 0.999], "passed"),
        ([0.7, 1.0, 1.3, 0.8, 1.1, 1.2], "undecided"),
    ],
)
def test_outcomes_of_identical_code(load: Load, medians: list[float], word: str) -> None:
    script = load("pytest_false_alarms")
    draw = random.Random(1)
    for outcomes in (
        script.against_baselines(processes(medians), 6, 20, 3, draw),
        script.in_pairs(processes(2 * medians), 12, 20, draw),
    ):
        found = set(outcomes)
        assert word in found
        assert "failed" not in found


def test_a_slower_side_is_an_alarm(load: Load) -> None:
    """A draw that always takes the slow processes for the check."""
    script = load("pytest_false_alarms")

    class InOrder:
        """Takes the first processes first, and lets the old side of each pair begin."""

        def sample(self, what: list[int], count: int) -> list[int]:
            return list(what)[:count]

        def random(self) -> float:
            return 0.0

    take = processes([1.0, 1.001, 0.999, 1.2, 1.201, 1.199])
    assert list(script.against_baselines(take, 6, 2, 3, InOrder())) == ["failed", "failed"]
    take = processes([1.0, 1.2, 1.001, 1.2] * 3)
    assert list(script.in_pairs(take, 12, 2, InOrder())) == ["failed", "failed"]


def test_the_sentence_counts_alarms(load: Load) -> None:
    script = load("pytest_false_alarms")
    found = [
        script.Runs("a", {"passed": 90, "failed": 1, "undecided": 9}),
        script.Runs("b", dict(Counter(["passed"] * 100))),
    ]
    assert script.sentence(found).startswith("1 of 200 checks of identical code failed (0.5 %")

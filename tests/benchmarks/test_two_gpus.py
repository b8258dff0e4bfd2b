# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark on two GPUs: what counts as naming the slow rank, and its summary."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from made_up_modules import step_records

from fasttime import StepReport
from fasttime.ranks.build import build_table
from fasttime.ranks.sources import summary_of

Load = Callable[[str], ModuleType]


def steps(backward: float, wait: float, data: float = 1.0) -> StepReport:
    parts = {
        "data wait": (data, 0.0),
        "forward": (1.0, 3.0),
        "backward": (1.0, backward),
        "gradient wait": (1.0, wait),
    }
    return StepReport(step_records(parts))


@pytest.mark.parametrize(
    ("first", "second", "part", "named"),
    [
        (steps(5, 20), steps(25, 0), "backward", True),
        (steps(25, 0), steps(5, 20), "backward", False),
        (steps(5, 20), steps(25, 0), "data wait", False),
        (steps(5, 20), steps(5, 0, data=21), "data wait", True),
        (steps(5, 0), steps(5, 0), "backward", False),
    ],
)
def test_rank_and_part_must_be_named(
    first: StepReport, second: StepReport, part: str, named: bool, load: Load
) -> None:
    table = build_table([summary_of(one, rank) for rank, one in enumerate((first, second))])
    assert load("two_gpus").is_named(table, part) == named


def test_the_summary_counts_the_cases(load: Load) -> None:
    found: dict[str, Any] = {
        "stragglers": {"backward": {"named": True}, "data": {"named": False}},
        "cost": {"median_change": {"instrumented": 0.012}},
    }
    assert load("two_gpus").summary(found) == (
        "gather named the slow rank and its part in 1 of 3 cases (backward); instrumenting both "
        "ranks changed the step by +1.2 %."
    )

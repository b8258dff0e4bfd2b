# SPDX-License-Identifier: BSD-3-Clause
"""From an interval to a verdict, and the statistics behind both."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fasttime.comparing.verdict import decide, times_as_many
from fasttime.stats.interim import plan_interim_analyses
from fasttime.stats.signed_rank import fewest_pairs, location_interval

# --- the verdict ---


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.995, 1.005), "same"),
        ((0.992, 0.998), "same"),
        ((0.98, 0.99), "faster"),
        ((1.011, 1.2), "slower"),
        ((0.98, 0.999), "can't tell"),  # the true difference may lie within the margin
        ((1.001, 1.2), "can't tell"),
        ((0.98, 1.001), "can't tell"),
        ((0.995, 1.02), "can't tell"),
        ((1.0, 1.02), "can't tell"),
        ((0.0, math.inf), "can't tell"),
    ],
)
def test_the_interval_and_the_margin_decide(interval: tuple[float, float], verdict: str) -> None:
    assert decide(interval, 0.01) == verdict


def test_a_wider_margin_makes_more_candidates_equal() -> None:
    assert [decide((1.02, 1.04), margin) for margin in (0.01, 0.05)] == ["slower", "same"]


def test_needed_evidence_grows_with_the_squared_width() -> None:
    assert times_as_many(3 * math.log1p(0.01), 4 * math.log1p(0.01), 0.01) == pytest.approx(4)
    assert times_as_many(0.0, 2 * math.log1p(0.01), 0.01) == pytest.approx(4)
    assert times_as_many(0.5, 0.1, 0.01) == 1


# --- the interval ---


def test_the_interval_matches_the_signed_rank_test() -> None:
    # Hollander and Wolfe, example 3.1: nine pairs, estimate and the 96 % interval in 3.3.
    differences = np.array([-0.952, 0.147, -1.022, -0.430, -0.620, -0.590, -0.490, 0.080, -0.010])
    middle, low, high = location_interval(differences, 0.04)
    assert (round(middle, 3), round(low, 3), round(high, 3)) == (-0.46, -0.786, -0.01)


def test_too_few_pairs_have_no_interval() -> None:
    assert location_interval(np.ones(5), 0.05) == (1.0, -math.inf, math.inf)
    assert location_interval(np.ones(6), 0.05) == (1.0, 1.0, 1.0)
    assert [fewest_pairs(alpha) for alpha in (0.05, 0.025, 0.0625)] == [6, 7, 5]


@pytest.mark.parametrize("pairs", [8, 60, 61])
def test_the_interval_covers_as_often_as_promised(pairs: int) -> None:
    rng = np.random.default_rng(pairs)
    intervals = [location_interval(rng.standard_t(2, size=pairs), 0.05) for _ in range(1000)]
    assert 0.93 <= np.mean([low <= 0 <= high for _, low, high in intervals]) <= 0.98


# --- the interim analyses ---


@pytest.mark.parametrize(
    ("rounds", "after"), [(10, [10]), (31, [31]), (40, [20, 40]), (160, [20, 40, 80, 160])]
)
def test_there_are_at_most_four_interim_analyses(rounds: int, after: list[int]) -> None:
    assert [analysis.rounds for analysis in plan_interim_analyses(rounds, 1)] == after


@pytest.mark.parametrize("pairs", [1, 2, 5])
@pytest.mark.parametrize("rounds", [10, 40, 160])
def test_all_analyses_of_all_pairs_share_4_percent(rounds: int, pairs: int) -> None:
    analyses = plan_interim_analyses(rounds, pairs)
    assert pairs * sum(analysis.alpha for analysis in analyses) == pytest.approx(0.04)
    assert analyses[-1].alpha >= 0.02 / pairs

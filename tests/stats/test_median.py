# SPDX-License-Identifier: BSD-3-Clause
"""The interval of the median, on made-up samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from fasttime.stats import Times, median
from fasttime.stats.median import median_interval
from fasttime.stats.student import student_quantile


def test_a_95_percent_interval_needs_six_runs() -> None:
    assert np.isnan(median_interval(np.arange(5.0))).all()
    assert median_interval(np.arange(6.0)) == (0.0, 5.0)


@pytest.fixture
def no_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the interval of order statistics alone."""
    monkeypatch.setattr(median, "_BLOCKS", ())


@pytest.mark.usefixtures("no_blocks")
@pytest.mark.parametrize(
    ("count", "rank"),
    # The ranks are as in tables of the sign test, such as Conover's.
    [(8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8), (100, 40)],
)
def test_the_interval_matches_the_sign_test(count: int, rank: int) -> None:
    shuffled = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert median_interval(shuffled) == (rank, count + 1 - rank)


@pytest.mark.usefixtures("no_blocks")
def test_a_higher_level_gives_a_wider_interval() -> None:
    times = np.arange(1.0, 101.0)
    low, high = median_interval(times, 0.99)
    assert (low, high) == (37.0, 64.0)


@pytest.mark.parametrize("tail", ["normal", "exponential", "cauchy"])
def test_the_interval_covers_the_median(tail: str) -> None:
    rng = np.random.default_rng(1)
    draw = {
        "normal": rng.standard_normal,
        "exponential": lambda size: rng.exponential(size=size) - math.log(2),
        "cauchy": rng.standard_cauchy,
    }[tail]
    intervals = [median_interval(draw(40)) for _ in range(2000)]
    assert 0.95 <= np.mean([low <= 0 <= high for low, high in intervals]) <= 0.99


def independent(rng: np.random.Generator) -> Times:
    return rng.standard_normal(400)


def offset_by_batch(rng: np.random.Generator) -> Times:
    return np.repeat(rng.standard_normal(20), 20) + rng.standard_normal(400)


def like_their_neighbours(rng: np.random.Generator) -> Times:
    times = rng.standard_normal(400)
    for run in range(1, 400):
        times[run] = 0.8 * times[run - 1] + 0.6 * times[run]
    return times


@pytest.mark.parametrize(
    ("draw", "share", "share_without_blocks"),
    [
        (independent, 0.98, 0.96),
        (offset_by_batch, 0.97, 0.54),
        (like_their_neighbours, 0.96, 0.56),
    ],
)
def test_the_interval_holds_for_correlated_runs(
    draw: Callable[[np.random.Generator], Times],
    share: float,
    share_without_blocks: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def covered() -> float:
        rng = np.random.default_rng(5)
        intervals = [median_interval(draw(rng)) for _ in range(500)]
        return float(np.mean([low <= 0 <= high for low, high in intervals]))

    assert covered() == pytest.approx(share, abs=0.02)
    monkeypatch.setattr(median, "_BLOCKS", ())
    assert covered() == pytest.approx(share_without_blocks, abs=0.04)


def test_wide_blocks_decide_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(median, "_BLOCKS", (10,))
    # Neighbours are hardly correlated, so ten blocks count as ten.
    levels = np.array([2.0, 9.0, 1.0, 6.0, 4.0, 8.0, 0.0, 5.0, 3.0, 7.0])
    low, high = median_interval(np.repeat(levels, 7))
    spread = np.array([1, 1, 2, 3, 4, 5, 6, 7, 8, 8]).std(ddof=1) / 0.8
    half = student_quantile(0.975, 7) * spread / math.sqrt(10)
    assert (low, high) == pytest.approx((4.5 - half, 4.5 + half))


@pytest.mark.parametrize("runs", [40, 400])
def test_a_burst_of_odd_runs_does_not_widen_it(runs: int) -> None:
    times = 1 + 0.01 * np.random.default_rng(8).standard_normal(runs)
    before = median_interval(times)
    burst = slice(runs // 2, runs // 2 + runs // 20)
    times[burst] *= 100
    low, high = median_interval(times)
    assert high - low < 1.5 * (before[1] - before[0])


def test_the_interval_stays_within_the_readings() -> None:
    times = np.repeat([1.0, 10.0, 1.0, 10.0, 1.0, 10.0, 1.0, 10.0], 15)
    assert median_interval(times + np.arange(120) * 1e-9) == pytest.approx((1.0, 10.0))


def test_fewer_than_40_runs_form_no_blocks() -> None:
    assert median_interval(np.repeat(np.arange(13.0), 3)) == (4.0, 8.0)


def in_steps(rng: np.random.Generator, times: Times, step: float) -> Times:
    """Return what a clock that moves in steps reads; runs begin anywhere between two steps."""
    begins = step * rng.random(len(times))
    return step * (np.floor((begins + times) / step) - np.floor(begins / step))


def test_a_stepping_clock_keeps_the_coverage() -> None:
    rng = np.random.default_rng(2)
    step = 0.03125
    covered = bare = 0
    for truth in rng.uniform(1.05 * step, 1.95 * step, 1000) + 1.0:
        times = in_steps(rng, truth * np.exp(1e-3 * rng.standard_normal(200)), step)
        low, high = median_interval(times)
        covered += low <= truth <= high
        bare += low + step / 2 <= truth <= high - step / 2
    assert covered >= 950
    assert bare < 500  # order statistics alone are mostly one value, next to the truth


def test_equal_readings_are_one_step_wide() -> None:
    assert median_interval(np.array([2.0] * 20 + [2.125] * 2)) == (1.9375, 2.0625)


def test_equal_readings_alone_have_no_width() -> None:
    assert median_interval(np.full(20, 2.0)) == (2.0, 2.0)


def test_the_approximate_rank_meets_the_exact_one() -> None:
    limit = median._EXACT_UP_TO
    assert median._lower_rank(limit + 1, 0.95) - median._lower_rank(limit, 0.95) in (0, 1)

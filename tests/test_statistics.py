# SPDX-License-Identifier: BSD-3-Clause
"""Statistics of a sample of times, on made-up samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from made_up import measurement

from fasttime.measuring import statistics
from fasttime.measuring.statistics import (
    Times,
    clock_step,
    far_outliers,
    median_deviation,
    median_interval,
    middle_mean,
)
from fasttime.measuring.student import student_quantile

# --- the interval of the median ---


def test_the_median_needs_six_runs_for_95_percent() -> None:
    assert np.isnan(median_interval(np.arange(5.0))).all()
    assert median_interval(np.arange(6.0)) == (0.0, 5.0)


@pytest.fixture
def no_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the interval of order statistics without blocks."""
    monkeypatch.setattr(statistics, "_BLOCKS", 0)


@pytest.mark.usefixtures("no_blocks")
@pytest.mark.parametrize(
    ("count", "rank"),
    # The ranks in the tables of the sign test, such as Conover's.
    [(8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8), (100, 40)],
)
def test_the_ends_match_the_tables_of_the_sign_test(count: int, rank: int) -> None:
    shuffled = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert median_interval(shuffled) == (rank, count + 1 - rank)


@pytest.mark.usefixtures("no_blocks")
def test_a_higher_level_gives_a_wider_interval() -> None:
    times = np.arange(1.0, 101.0)
    low, high = median_interval(times, 0.99)
    assert (low, high) == (37.0, 64.0)


@pytest.mark.parametrize("tail", ["normal", "exponential", "cauchy"])
def test_coverage_matches_the_level(tail: str) -> None:
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
        (offset_by_batch, 0.94, 0.54),
        (like_their_neighbours, 0.93, 0.56),
    ],
)
def test_dependent_runs_are_covered_too(
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
    monkeypatch.setattr(statistics, "_BLOCKS", 0)
    assert covered() == pytest.approx(share_without_blocks, abs=0.04)


def test_ten_blocks_can_widen_the_interval() -> None:
    low, high = median_interval(np.repeat(np.arange(10.0), 7))
    spread = np.array([1, 1, 2, 3, 4, 5, 6, 7, 8, 8]).std(ddof=1) / 0.8
    half = student_quantile(0.975, 7) * spread / math.sqrt(10)
    assert (low, high) == pytest.approx((4.5 - half, 4.5 + half))


@pytest.mark.parametrize("runs", [40, 400])
def test_a_burst_of_outliers_does_not_widen_it(runs: int) -> None:
    times = 1 + 0.01 * np.random.default_rng(8).standard_normal(runs)
    before = median_interval(times)
    burst = slice(runs // 2, runs // 2 + runs // 13)
    times[burst] *= 100
    low, high = median_interval(times)
    assert high - low < 1.5 * (before[1] - before[0])


def test_the_interval_stays_within_the_readings() -> None:
    times = np.repeat([1.0, 10.0, 1.0, 10.0, 1.0, 10.0, 1.0, 10.0], 15)
    assert median_interval(times + np.arange(120) * 1e-9) == pytest.approx((1.0, 10.0))


def test_fewer_than_40_runs_make_no_blocks() -> None:
    assert median_interval(np.repeat(np.arange(13.0), 3)) == (4.0, 8.0)


def in_steps(rng: np.random.Generator, times: Times, step: float) -> Times:
    """Read durations with a clock that moves in steps, beginning anywhere between two steps."""
    begins = step * rng.random(len(times))
    return step * (np.floor((begins + times) / step) - np.floor(begins / step))


def test_a_coarse_clock_is_covered_too() -> None:
    rng = np.random.default_rng(2)
    step = 0.03125
    covered = bare = 0
    for truth in rng.uniform(1.05 * step, 1.95 * step, 1000) + 1.0:
        times = in_steps(rng, truth * np.exp(1e-3 * rng.standard_normal(200)), step)
        low, high = median_interval(times)
        covered += low <= truth <= high
        bare += low + step / 2 <= truth <= high - step / 2
    assert covered >= 950
    assert bare < 500  # order statistics alone mostly give one value, beside the truth


def test_equal_ends_are_widened_by_a_clock_step() -> None:
    assert median_interval(np.array([2.0] * 20 + [2.125] * 2)) == (1.9375, 2.0625)


def test_equal_readings_give_an_interval_of_width_0() -> None:
    assert median_interval(np.full(20, 2.0)) == (2.0, 2.0)


def test_the_approximate_rank_meets_the_exact_one() -> None:
    limit = statistics._EXACT_UP_TO
    assert statistics._lower_rank(limit + 1, 0.95) - statistics._lower_rank(limit, 0.95) in (0, 1)


# --- the rest ---


def test_one_outlier_leaves_the_median_deviation() -> None:
    assert median_deviation(np.array([1.0, 2.0, 3.0, 4.0, 1000.0])) == 1.0


def test_far_outliers_are_flagged_on_both_sides() -> None:
    times = np.concatenate((np.linspace(9.0, 11.0, 21), [5.0, 14.5]))
    assert np.flatnonzero(far_outliers(times)).tolist() == [21, 22]


def test_one_run_away_from_equal_runs_is_far_out() -> None:
    assert far_outliers(np.array([1.0] * 20 + [4.0])).sum() == 1


def test_a_step_of_the_clock_is_not_far_out() -> None:
    step = 32e-9
    ticks = np.array([31] * 20 + [32, 33])
    assert far_outliers(ticks * step).sum() == 0
    assert far_outliers(np.append(ticks, 36) * step).sum() == 1


def test_the_middle_mean_drops_a_quarter_at_each_end() -> None:
    times = np.array([[5.0, 1.0, 2.0, 1000.0], [1.0, 1.0, 2.0, 2.0]])
    assert middle_mean(times).tolist() == [3.5, 1.5]
    assert middle_mean(np.array([1.0, 2.0])) == 1.5


def test_a_clock_step_needs_repeated_values() -> None:
    assert clock_step(np.array([2.0, 2.0, 2.125, 2.0, 2.125, 3.5])) == 0.125
    assert clock_step(np.array([1.0, 1.0625, 2.0])) == 0.0
    assert clock_step(np.ones(5)) == 0.0


@pytest.mark.parametrize("strays", [[2.9e-6], [2.9e-6, 3.5e-6], [2.9e-6, 2.95e-6, 3.2e-6]])
def test_outliers_are_not_a_clock_step(strays: list[float]) -> None:
    times = np.array([2.016e-6] * 44 + strays)
    assert clock_step(times) == 0.0
    assert far_outliers(times).sum() == len(strays)
    assert median_interval(times) == (2.016e-6, 2.016e-6)


@pytest.mark.parametrize("odd", [math.inf, math.nan])
def test_infinite_readings_show_no_clock_step(odd: float) -> None:
    assert clock_step(np.array([2.0] * 8 + [2.125, 2.125, odd, odd])) == 0.0
    assert clock_step(np.array([])) == 0.0


def test_a_clock_step_survives_float32() -> None:
    step = 32e-9
    milliseconds = (np.array([0, 1, 1, 2, 3, 1, 2, 2, 5, 3] * 10) * step + 50e-3) * 1e3
    times = milliseconds.astype(np.float32).astype(np.float64) * 1e-3
    assert clock_step(times) == pytest.approx(step, rel=0.2)


def test_a_large_clock_step_needs_short_times() -> None:
    assert clock_step(np.array([2.0, 2.0, 2.0, 2.5, 2.5])) == 0.0
    assert clock_step(np.array([2.0, 2.0, 2.0, 2.5, 2.5]) * 1e-6) == pytest.approx(0.5e-6)


def test_a_measurement_shows_these_statistics() -> None:
    found = measurement([*np.linspace(1.0, 2.0, 11), 9.0])
    assert found.mad == pytest.approx(0.3)
    assert found.median_interval == median_interval(found.times)
    assert found.outliers.tolist() == [False] * 11 + [True]
    assert repr(found).splitlines()[1:3] == [
        "  median 1.550 s (95 %: 1.200 s to 1.900 s), mean 2.125 s, std 2.188 s",
        "  min 1.000 s, max 9.000 s, 12 runs, 1 far from the others",
    ]

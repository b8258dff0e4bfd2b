# SPDX-License-Identifier: BSD-3-Clause
"""Outliers, robust figures and clock steps, on made-up samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fasttime.stats.clock_step import clock_step
from fasttime.stats.median import median_interval
from fasttime.stats.outliers import far_outliers, median_deviation, middle_mean


def test_one_odd_run_does_not_change_the_mad() -> None:
    assert median_deviation(np.array([1.0, 2.0, 3.0, 4.0, 1000.0])) == 1.0


def test_far_outliers_are_flagged_on_both_sides() -> None:
    times = np.concatenate((np.linspace(9.0, 11.0, 21), [5.0, 14.5]))
    assert np.flatnonzero(far_outliers(times)).tolist() == [21, 22]


def test_one_run_apart_from_equal_runs_is_an_outlier() -> None:
    assert far_outliers(np.array([1.0] * 20 + [4.0])).sum() == 1


def test_a_clock_step_is_not_an_outlier() -> None:
    step = 32e-9
    ticks = np.array([31] * 20 + [32, 33])
    assert far_outliers(ticks * step).sum() == 0
    assert far_outliers(np.append(ticks, 36) * step).sum() == 1


def test_the_middle_mean_trims_a_quarter_at_each_end() -> None:
    times = np.array([[5.0, 1.0, 2.0, 1000.0], [1.0, 1.0, 2.0, 2.0]])
    assert middle_mean(times).tolist() == [3.5, 1.5]
    assert middle_mean(np.array([1.0, 2.0])) == 1.5


def test_a_clock_step_shows_in_repeated_values() -> None:
    assert clock_step(np.array([2.0, 2.0, 2.125, 2.0, 2.125, 3.5])) == 0.125
    assert clock_step(np.array([1.0, 1.0625, 2.0])) == 0.0
    assert clock_step(np.ones(5)) == 0.0


@pytest.mark.parametrize("strays", [[2.9e-6], [2.9e-6, 3.5e-6], [2.9e-6, 2.95e-6, 3.2e-6]])
def test_stray_readings_are_not_a_clock_step(strays: list[float]) -> None:
    times = np.array([2.016e-6] * 44 + strays)
    assert clock_step(times) == 0.0
    assert far_outliers(times).sum() == len(strays)
    assert median_interval(times) == (2.016e-6, 2.016e-6)


@pytest.mark.parametrize("odd", [math.inf, math.nan])
def test_infinite_readings_show_no_step(odd: float) -> None:
    assert clock_step(np.array([2.0] * 8 + [2.125, 2.125, odd, odd])) == 0.0
    assert clock_step(np.array([])) == 0.0


def test_a_step_shows_in_24_bit_readings() -> None:
    step = 32e-9
    milliseconds = (np.array([0, 1, 1, 2, 3, 1, 2, 2, 5, 3] * 10) * step + 50e-3) * 1e3
    times = milliseconds.astype(np.float32).astype(np.float64) * 1e-3
    assert clock_step(times) == pytest.approx(step, rel=0.2)


def test_a_large_gap_is_not_a_clock_step() -> None:
    assert clock_step(np.array([2.0, 2.0, 2.0, 2.5, 2.5])) == 0.0
    assert clock_step(np.array([2.0, 2.0, 2.0, 2.5, 2.5]) * 1e-6) == pytest.approx(0.5e-6)

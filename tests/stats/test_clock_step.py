# SPDX-License-Identifier: BSD-3-Clause
"""Clocks whose steps are coarser than the unit of their readings."""

from __future__ import annotations

import numpy as np
import pytest

from fasttime.measuring.distribution import judge_times
from fasttime.stats import Times
from fasttime.stats.clock_step import clock_step
from fasttime.stats.median import median_interval


def rounded(rng: np.random.Generator, truth: float) -> Times:
    """Return readings of a 10 ns clock that are rounded to whole ns, in seconds."""
    begins = rng.uniform(0, 10, 2000)
    return 1e-9 * (np.floor((begins + truth) / 10) * 10 + (rng.random(2000) < 0.06))


def test_a_rounded_step_is_found() -> None:
    rng = np.random.default_rng(0)
    steps = [clock_step(rounded(rng, rng.uniform(100, 110))) for _ in range(50)]
    assert steps == pytest.approx([10e-9] * 50, rel=0.1)


def test_a_rounded_step_keeps_the_coverage() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for truth in rng.uniform(100, 110, 50):
        low, high = median_interval(rounded(rng, truth))
        covered += low <= 1e-9 * truth <= high
    assert covered == 50


def test_rounded_steps_are_not_two_modes() -> None:
    rng = np.random.default_rng(2)
    assert not any(judge_times(rounded(rng, truth)) for truth in np.linspace(100, 110, 50))


def test_long_runs_do_not_hide_a_rounded_step() -> None:
    rng = np.random.default_rng(3)
    times = rounded(rng, 104)
    times[::50] += 1e-8 * rng.integers(1, 10**6, 40)
    assert clock_step(times) == pytest.approx(10e-9, rel=0.1)


def test_a_single_rounded_step_apart_is_a_stray() -> None:
    assert clock_step(1e-9 * np.array([100] * 30 + [101] * 9 + [110])) == pytest.approx(1e-9)


def test_two_groups_of_many_values_are_not_a_step() -> None:
    times = 1e-9 * np.repeat(np.r_[1000:1005, 1080:1085], 20)
    assert clock_step(times) == pytest.approx(1e-9)

# SPDX-License-Identifier: BSD-3-Clause
"""The imbalance of times over ranks."""

from __future__ import annotations

import numpy as np
import pytest

from fasttime.stats.imbalance import excess_of_slowest, imbalance, stands_out
from fasttime.stats.student import student_quantile

NAN = np.nan


@pytest.mark.parametrize(
    ("times", "excess", "fraction"),
    [
        ([2.0, 2.0, 2.0], 0.0, 0.0),
        ([1.0, 1.0, 4.0], 3.0, 0.75),
        ([0.0, 0.0, 5.0], 5.0, 1.0),
        ([1.0, 2.0, 6.0], 4.5, 0.75),
        ([3.0, NAN, 1.0], 2.0, 2 / 3),
        ([3.0, NAN, NAN], 0.0, 0.0),
        ([0.0, 0.0, 0.0], 0.0, 0.0),
        ([NAN, NAN, NAN], 0.0, 0.0),
    ],
)
def test_the_slowest_against_the_others(times: list[float], excess: float, fraction: float) -> None:
    assert excess_of_slowest(np.array([times])) == pytest.approx([excess])
    assert imbalance(np.array([times])) == pytest.approx([fraction])


def test_it_is_the_imbalance_percentage() -> None:
    times = np.random.default_rng(1).uniform(1, 9, (50, 7))
    largest, mean = times.max(axis=1), times.mean(axis=1)
    assert imbalance(times) == pytest.approx((largest - mean) / largest * 7 / 6)


@pytest.mark.parametrize(
    ("times", "errors", "expected"),
    [
        ([1.0, 3.0], [0.0, 0.0], True),
        ([1.0, 3.0], [0.34, 0.34], True),  # 4 standard errors of the difference are 1.92
        ([1.0, 3.0], [0.36, 0.36], False),
        ([1.0, 3.0, 1.0], [0.0, 0.49, 0.0], True),
        ([1.0, 3.0, 1.0], [0.0, 0.51, 0.0], False),
        ([1.0, 3.0, 1.0], [0.69, 0.0, 0.69], True),  # the mean of two
        ([1.0, 3.0, NAN], [0.1, 0.1, NAN], True),
        ([1.0, 3.0, 1.0], [0.1, 0.1, NAN], False),
        ([0.1 + 0.2, 0.3, 0.3], [0.0, 0.0, 0.0], False),
        ([1.0, 3.0], [0.0, np.inf], False),
        ([3.0, NAN], [0.0, NAN], False),
        ([NAN, NAN], [NAN, NAN], False),
    ],
)
def test_noise_is_told_from_a_slow_rank(
    times: list[float], errors: list[float], expected: bool
) -> None:
    calls = np.full((1, len(times)), 10_000)
    assert stands_out(np.array([times]), np.array([errors]), calls).tolist() == [expected]


@pytest.mark.parametrize("calls", [3, 5])
def test_few_calls_of_equal_ranks_name_no_rank(calls: int) -> None:
    """The standard errors are themselves uncertain then."""
    durations = np.random.default_rng(1).lognormal(0, 0.1, (2000, 8, calls))
    times = durations.mean(axis=2)
    errors = durations.std(axis=2, ddof=1) / np.sqrt(calls)
    numbers = np.full(times.shape, calls)
    assert stands_out(times, errors, numbers).mean() < 0.005
    times[:, 3] *= 20
    assert stands_out(times, errors, numbers).mean() > 0.9


def test_your_numpy_settings_do_not_matter() -> None:
    """A part of the density is too small for a float."""
    student_quantile.cache_clear()
    with np.errstate(all="raise"):
        assert stands_out(np.array([[1.0, 3.0]]), np.array([[0.1, 0.1]]), np.array([[900, 900]]))
    assert student_quantile(0.975, 400.0) == pytest.approx(1.965912)

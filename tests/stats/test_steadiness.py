# SPDX-License-Identifier: BSD-3-Clause
"""The tests for drift and for two modes, on made-up samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fasttime.stats import Times
from fasttime.stats.steadiness import drift, slow_noise, two_modes


def normal(size: int, spread: float = 0.01) -> Times:
    return np.asarray(1 + spread * np.random.default_rng(0).standard_normal(size))


def test_a_drift_within_the_noise_is_ignored() -> None:
    assert drift(normal(30, spread=0.2) + np.linspace(0, 0.1, 30)) is None


@pytest.mark.parametrize(
    ("runs", "most"),
    # Without blocks, 24 %, 27 % and 5 % would raise a warning.
    [(20, 0.05), (45, 0.12), (200, 0.05)],
)
def test_correlated_runs_rarely_look_like_a_drift(runs: int, most: float) -> None:
    rng = np.random.default_rng(3)

    def wandering() -> Times:
        noise = rng.standard_normal(runs)
        for run in range(1, runs):
            noise[run] = 0.9 * noise[run - 1] + math.sqrt(0.19) * noise[run]
        return 1 + 0.05 * noise

    assert np.mean([drift(wandering()) is not None for _ in range(300)]) <= most


def test_a_steep_drift_never_goes_below_minus_one() -> None:
    times = 1e-3 * np.linspace(10, 0.5, 200) ** 2
    change = drift(times)
    assert change is not None
    assert -1 < change < -0.9


def test_less_than_a_tenth_of_runs_is_not_a_mode() -> None:
    times = normal(1000, spread=0.001)
    times[::20] += 0.1
    assert two_modes(times) is None


def test_slow_noise_names_its_correlation() -> None:
    level = np.sin(np.arange(4000) * (4 * math.pi / 4000))
    found = slow_noise(1 + 0.05 * level + normal(4000) / 100)
    assert found is not None
    assert found == (pytest.approx(0.92, abs=0.05), 100)


def test_slow_noise_that_does_not_matter_is_ignored() -> None:
    level = np.sin(np.arange(4000) * (4 * math.pi / 4000))
    assert slow_noise(1 + 1e-4 * level) is None


@pytest.mark.parametrize("runs", [100, 200, 2000])
def test_independent_runs_show_no_slow_noise(runs: int) -> None:
    rng = np.random.default_rng(6)
    assert not any(slow_noise(1 + 0.2 * rng.standard_normal(runs)) for _ in range(500))


@pytest.mark.parametrize("runs", [8, 10, 12, 15, 19])
@pytest.mark.parametrize("shape", ["normal", "exponential", "uniform"])
def test_few_runs_rarely_show_two_modes(runs: int, shape: str) -> None:
    rng = np.random.default_rng(runs)
    draw = {
        "normal": lambda: 1 + 0.05 * rng.standard_normal(runs),
        "exponential": lambda: 1 + rng.exponential(size=runs),
        "uniform": lambda: 1 + rng.random(runs),
    }[shape]
    assert sum(two_modes(draw()) is not None for _ in range(1000)) <= 4


def test_few_runs_in_three_and_five_are_two_modes() -> None:
    times = normal(8)
    times[[1, 4, 6]] *= 1.5
    assert two_modes(times) is not None
    times[[0, 2]] *= 1.2  # now there is no gap
    assert two_modes(times) is None

# SPDX-License-Identifier: BSD-3-Clause
"""The tests for drift and for two modes, on made-up samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fasttime.stats import Times
from fasttime.stats.steadiness import drift, two_modes


def normal(size: int, spread: float = 0.01) -> Times:
    return np.asarray(1 + spread * np.random.default_rng(0).standard_normal(size))


def test_a_drift_within_the_noise_is_ignored() -> None:
    assert drift(normal(30, spread=0.2) + np.linspace(0, 0.1, 30)) is None


@pytest.mark.parametrize(
    ("runs", "most"),
    # Without blocks of three, 24 %, 15 % and 1 % would raise a warning.
    [(20, 0.0), (45, 0.12), (200, 0.03)],
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

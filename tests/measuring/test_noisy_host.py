# SPDX-License-Identifier: BSD-3-Clause
"""When a measurement ends, and what it says, on a host whose noise is known.

Each test has few measurements, for speed. `benchmarks/interval_coverage.py` has many.
"""

from __future__ import annotations

import functools

import noisy_host
import numpy as np
import pytest
from noisy_host import Independent, Measured, adaptive, measure

from fasttime.stats.median import median_interval


@functools.cache
def measured(noise: str, count: int = 60) -> list[Measured]:
    return [measure(noise, seed) for seed in range(count)]


@pytest.mark.parametrize(
    ("noise", "share"),
    [
        ("independent, 2 %", 0.94),
        ("independent, 0.3 %", 0.94),
        ("wandering, tau 0.1 s", 0.90),
        ("wandering, tau 0.5 s", 0.80),
        ("dwelling, 140 and 60 ms", 0.80),
    ],
)
def test_the_interval_covers_the_truth(noise: str, share: float) -> None:
    assert np.mean([found.covers for found in measured(noise)]) >= share


def test_slow_noise_raises_a_warning() -> None:
    noisy = measured("wandering, tau 0.5 s")
    assert sum("correlated" in m.kinds or "drift" in m.kinds for m in noisy) >= 55
    assert not any(m.kinds for m in measured("independent, 2 %"))


def test_quiet_machines_take_half_the_budget() -> None:
    times = [found.seconds for found in measured("independent, 0.3 %")]
    assert np.quantile(times, 0.9) < 0.75  # the warm-up is extra
    assert min(found.seconds for found in measured("wandering, tau 0.5 s")) > 0.5


def test_deciding_takes_time_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    sorted_runs = []

    def counted(times: object) -> tuple[float, float]:
        sorted_runs.append(len(times))  # type: ignore[arg-type]
        low, high = median_interval(times)  # type: ignore[arg-type]
        return low, 10 * high  # never narrow enough

    monkeypatch.setattr(adaptive, "median_interval", counted)
    measure("independent, 0.3 %", 0, budget=20.0)
    assert len(sorted_runs) > 10
    assert sum(sorted_runs) <= 12 * sorted_runs[-1]


@pytest.mark.parametrize("budget", [0.5, 1.0, 20.0])
def test_a_budget_is_for_a_bounded_number_of_runs(
    budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptive, "median_interval", lambda times: (0.0, 1.0))
    found = measure("independent, 0.3 %", 0, run_time=1e-6, budget=budget)
    assert 10_000 < found.runs <= 60_000


@pytest.mark.parametrize("run_time", [0.042, 0.1])
def test_noise_of_long_calls_is_not_unsteady(
    run_time: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(noisy_host.NOISES, "loud", lambda rng: Independent(rng, 0.04))
    found = [measure("loud", seed, run_time=run_time) for seed in range(100)]
    assert sum("unsteady" in one.kinds for one in found) <= 5

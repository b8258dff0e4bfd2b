# SPDX-License-Identifier: BSD-3-Clause
"""Warnings about the times: raised when they should be, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fasttime.environment.gpu_state import GpuState
from fasttime.measuring.clocks import clock_warnings
from fasttime.measuring.distribution import DISTRIBUTION_KINDS, judge_times
from fasttime.stats import Times
from fasttime.stats.steadiness import drift, two_modes

Rng = np.random.Generator


def kinds(times: Times, processes: tuple[int, ...] = ()) -> list[str]:
    return [warning.kind for warning in judge_times(times, processes)]


def normal(size: int, seed: int = 0, spread: float = 0.01) -> Times:
    return np.asarray(1 + spread * np.random.default_rng(seed).standard_normal(size))


# --- no false alarms, on sound distributions of all shapes ---


def ticks(times: Times) -> Times:
    return np.asarray(np.round(times / 32e-9) * 32e-9)


SOUND: dict[str, Callable[[Rng, int], Times]] = {
    "normal": lambda rng, n: 1e-3 * (1 + 0.02 * rng.standard_normal(n)),
    "wide": lambda rng, n: 1e-3 * np.exp(0.2 * rng.standard_normal(n)),
    "exponential tail": lambda rng, n: 1e-3 * (1 + 0.1 * rng.exponential(size=n)),
    "uniform": lambda rng, n: 1e-3 * (1 + 0.3 * rng.random(n)),
    "steps of 32 ns at 1 us": lambda rng, n: ticks(1e-6 * (1 + 0.02 * rng.standard_normal(n))),
    "wide in steps": lambda rng, n: ticks(1e-6 * (1 + 0.1 * rng.standard_normal(n))),
    "tail in steps": lambda rng, n: ticks(2e-6 * (1 + 0.1 * rng.exponential(size=n))),
    "steps of 32 ns at 5 us": lambda rng, n: ticks(5e-6 * (1 + 0.005 * rng.standard_normal(n))),
    "all alike": lambda rng, n: np.full(n, 1e-3),
}


@pytest.mark.parametrize("shape", SOUND)
@pytest.mark.parametrize("runs", [20, 50, 200, 2000])
def test_sound_times_rarely_raise_a_warning(shape: str, runs: int) -> None:
    rng = np.random.default_rng(runs)
    alarms = sum(bool(judge_times(SOUND[shape](rng, runs))) for _ in range(100))
    assert alarms < 2


@pytest.mark.parametrize("shape", SOUND)
def test_sound_processes_rarely_raise_a_warning(shape: str) -> None:
    rng = np.random.default_rng(5)

    def merged() -> Times:
        parts = [SOUND[shape](rng, 300) for _ in range(5)]
        # Each has its own overhead subtracted, so their steps do not coincide.
        return np.concatenate([part - 4e-9 * rng.random() for part in parts])

    alarms = sum(bool(judge_times(merged(), (300,) * 5)) for _ in range(50))
    assert alarms < 3


# --- few runs ---


def test_fewer_than_ten_runs_raise_a_warning() -> None:
    assert [kinds(normal(9)), kinds(normal(10))] == [["few_samples"], []]
    assert judge_times(np.ones(1))[0].message.startswith("There is only 1 run, so ")


# --- outliers ---


@pytest.mark.parametrize(("odd", "expected"), [(5, ["outliers"]), (4, [])])
def test_five_odd_runs_of_forty_are_too_many(odd: int, expected: list[str]) -> None:
    times = normal(40)
    times[3 : 8 * odd : 8] = np.linspace(1.2, 1.8, odd)
    assert kinds(times) == expected


# --- rare cost ---


def test_a_rare_cost_raises_a_warning() -> None:
    times = 2.5e-3 * normal(500)
    times[::25] += 2.5e-3 * 25
    (warning,) = judge_times(times)
    assert warning.kind == "rare_cost"
    assert "is 100 % above the median, because 20 of 500 runs took much longer" in warning.message


@pytest.mark.parametrize(("extra", "expected"), [(0.12, ["rare_cost"]), (0.08, [])])
def test_a_mean_10_percent_above_is_too_much(extra: float, expected: list[str]) -> None:
    times = np.ones(100)
    times[50] += 100 * extra
    assert kinds(times) == expected


def test_a_skewed_distribution_has_a_rare_cost() -> None:
    times = 1e-3 * np.random.default_rng(0).exponential(size=300)
    assert kinds(times) == ["rare_cost"]


# --- long calls, of which a budget has few ---


@pytest.mark.parametrize("runs", [8, 10, 15, 19, 20, 23, 24, 25])
def test_eight_runs_show_what_many_runs_show(runs: int) -> None:
    order = np.arange(runs)
    few = ["few_samples"] if runs < 10 else []
    assert kinds(np.linspace(1, 1.5, runs)) == [*few, "drift"]
    assert kinds(np.where(order % 2, 1.0, 2.0)) == [*few, "two_modes"]
    assert kinds(np.where(order % 5, 1.0, 9.0)) == [*few, "rare_cost"]


def test_a_step_of_3_percent_half_way_is_noticed() -> None:
    level = np.repeat([1.0, 1.03], 50)
    found = [kinds(level * normal(100, seed)) for seed in range(100)]
    assert found.count(["drift"]) >= 80
    assert all(found)


# --- drift ---


@pytest.mark.parametrize(
    ("change", "expected"), [(0.04, ["drift"]), (0.01, []), (-0.04, ["drift"])]
)
def test_a_drift_above_2_percent_raises_a_warning(change: float, expected: list[str]) -> None:
    assert kinds(normal(200, spread=0.005) + np.linspace(0, change, 200)) == expected


def test_a_drift_goes_from_first_to_last_run() -> None:
    assert drift(np.linspace(1.0, 1.5, 2000)) == pytest.approx(0.475, abs=0.01)
    (warning,) = judge_times(np.linspace(2.0, 1.0, 2000) + normal(2000) / 1e6)
    assert warning.message.startswith("Times changed by -48.")


def test_a_drift_over_45_runs_raises_a_warning() -> None:
    assert kinds(normal(45, spread=0.005) + np.linspace(0, 0.06, 45)) == ["drift"]


def test_each_process_is_tested_for_drift_by_itself() -> None:
    steps = np.repeat([1.0, 1.1, 1.2], 100)
    assert kinds(normal(300) * steps, (100, 100, 100)) == []
    sloped = np.tile(np.linspace(1.0, 1.3, 100), 3)
    warnings = judge_times(normal(300) * sloped, (100, 100, 100))
    assert [warning.kind for warning in warnings] == ["drift"]
    assert "in 3 of 3 processes" in warnings[0].message


# --- two modes ---


@pytest.mark.parametrize(("apart", "expected"), [(0.05, ["two_modes"]), (0.02, [])])
def test_groups_3_percent_apart_raise_a_warning(apart: float, expected: list[str]) -> None:
    times = normal(100, spread=0.001)
    times[::2] += apart
    assert kinds(times) == expected


def test_two_modes_come_with_the_upper_ones_share() -> None:
    times = normal(1000, spread=0.001)
    times[::4] += 0.1
    found = two_modes(times)
    assert found is not None
    assert found == pytest.approx((1.0, 1.1, 0.25), abs=0.01)
    assert "about 1.000 s and 1.100 s (25 % of the runs)" in judge_times(times)[-1].message


def test_steps_of_the_clock_are_not_modes() -> None:
    times = np.tile([1.0e-6, 1.032e-6, 1.064e-6], 100)
    assert kinds(times) == []
    assert two_modes(np.tile([1.0e-6, 1.064e-6], 100), step=0.0) is not None


# --- numbers that cannot be judged ---


def test_few_runs_below_zero_raise_a_warning() -> None:
    assert kinds(-normal(5)) == ["few_samples"]


def test_impossible_times_are_not_judged() -> None:
    assert kinds(np.zeros(100)) == []
    assert kinds(np.full(100, np.nan)) == []
    assert kinds(np.array([])) == []


# --- the clock ---


def gpu_state(**known: Any) -> GpuState:
    """A GPU state in which everything else is unknown."""
    return GpuState(None, None, None, None, None, None, ())._replace(**known)


def test_throttling_names_its_reason() -> None:
    after = gpu_state(throttle_reasons=("power cap",), power_w=700.0, temperature_c=81)
    (warning,) = clock_warnings(gpu_state(), after)
    assert warning.kind == "throttled"
    assert "throttled (power cap; 81 °C, 700 W at the end)" in warning.message


@pytest.mark.parametrize("reason", ["gpu idle", "applications clocks setting"])
def test_harmless_reasons_raise_no_warning(reason: str) -> None:
    state = gpu_state(throttle_reasons=(reason,))
    assert clock_warnings(state, state) == ()


@pytest.mark.parametrize(("after", "kinds"), [(1900, []), (1800, ["clock_changed"])])
def test_a_clock_change_above_5_percent_is_a_warning(after: int, kinds: list[str]) -> None:
    warnings = clock_warnings(gpu_state(sm_clock_mhz=1980), gpu_state(sm_clock_mhz=after))
    assert [warning.kind for warning in warnings] == kinds


def test_the_clock_of_an_idle_device_is_not_compared() -> None:
    idle = gpu_state(sm_clock_mhz=345, throttle_reasons=("gpu idle",))
    assert clock_warnings(idle, gpu_state(sm_clock_mhz=1980)) == ()


@pytest.mark.parametrize("state", [None, gpu_state()])
def test_an_unknown_gpu_state_raises_no_warning(state: GpuState | None) -> None:
    assert clock_warnings(state, state) == ()
    assert clock_warnings(gpu_state(sm_clock_mhz=1980), state) == ()


def test_kinds_about_the_times_are_listed() -> None:
    assert DISTRIBUTION_KINDS == (
        "few_samples",
        "few_processes",
        "rare_cost",
        "outliers",
        "drift",
        "correlated",
        "two_modes",
    )

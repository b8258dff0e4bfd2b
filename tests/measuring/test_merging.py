# SPDX-License-Identifier: BSD-3-Clause
"""`Measurement.merge`: several processes as one measurement."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import environment, measurement, origin

import fasttime
from fasttime import Bottleneck, Measurement, TimingWarning
from fasttime.measuring.options import EndedBy
from fasttime.stats import median
from fasttime.stats.median import median_interval
from fasttime.stats.processes import processes_interval


def test_a_merged_measurement_counts_runs_by_process() -> None:
    found = Measurement.merge(
        measurement([1.0, 2.0], warmup_times=[5.0], warmup=1, repeat=3),
        measurement([3.0], host_times=[0.25]),
        measurement([4.0, 5.0, 6.0], processes=(1, 2)),
    )
    assert found.times.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert found.processes == (2, 1, 1, 2)
    assert found.host_times.tolist() == [0.5, 1.0, 0.25, 2.0, 2.5, 3.0]
    assert found.warmup_times.tolist() == [5.0]
    assert (found.warmup, found.repeat, found.loop_time) == (1, 7, 21.0)
    assert "processes  4, medians 1.500 s, 3.000 s" in repr(found)


def test_merged_figures_are_medians() -> None:
    walls = (1.0, 3.0, 2.0)
    parts = [
        measurement([1.0], wall_time=wall, event_overhead=1e-6, loop_time=wall) for wall in walls
    ]
    found = Measurement.merge(*parts)
    assert (found.wall_time, found.event_overhead) == (2.0, 1e-6)
    assert Measurement.merge(*parts, measurement([4.0])).wall_time is None


def merged_bottleneck(*found: Bottleneck | None) -> Bottleneck | None:
    parts = [measurement([float(n)], bottleneck=one) for n, one in enumerate(found)]
    return Measurement.merge(*parts).bottleneck


def test_the_middle_bottleneck_is_kept() -> None:
    low, middle, high = (Bottleneck("host-bound", f"by {by}", by) for by in (2.0, 2.5, 9.0))
    assert merged_bottleneck(high, low, middle) == middle
    assert merged_bottleneck(high, low) == low
    unknown = Bottleneck("host-bound", "whatever")
    assert merged_bottleneck(unknown, high, middle) == middle


def test_disagreeing_bottlenecks_are_unclear() -> None:
    host, device = Bottleneck("host-bound", "so", 2.0), Bottleneck("device-bound", "so", 2.0)
    found = merged_bottleneck(device, host, host)
    assert found is not None
    assert found.bound == "unclear"
    assert "2 host-bound, 1 device-bound" in found.reason
    assert merged_bottleneck(host, None) is None


def test_the_worst_ending_is_kept() -> None:
    endings: tuple[EndedBy, ...] = ("count", "budget", "precision")
    parts = [measurement([float(n)], ended_by=ended) for n, ended in enumerate(endings)]
    assert Measurement.merge(*parts).ended_by == "budget"


@pytest.mark.parametrize("given", [[measurement([1.0])], "first.json"])
def test_merge_takes_measurements_only(given: Any) -> None:
    kind = type(given).__name__
    with pytest.raises(TypeError) as caught:
        Measurement.merge(given)
    assert str(caught.value) == (
        f"merge() takes measurements, got {kind}; for a list, write "
        "Measurement.merge(*measurements), for a file, fasttime.load(path)"
    )


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("label", "model", "rival"),
        ("method", "event", "sync"),
        ("cache", "warm", "cold"),
        ("device", "cuda:0 Simulated", "cpu"),
    ],
)
def test_different_measurements_are_not_merged(name: str, value: Any, other: Any) -> None:
    with pytest.raises(
        ValueError,
        match=f"^measurements with different {name} cannot be merged: {value!r}, {other!r}; use",
    ):
        Measurement.merge(measurement([1.0]), measurement([1.0], **{name: other}))


def test_a_measurement_given_twice_raises(
    tmp_path: Path,
) -> None:
    first, second = measurement([1.0, 1.1]), measurement([1.0, 1.2])
    first.save(tmp_path / "first.json")
    message = (
        "measurements 0 and 2 are the same one, which does not show how much processes differ; "
        "measure in separate processes: fasttime bench TARGET --processes 3"
    )
    for again in (first, fasttime.load(tmp_path / "first.json")):
        assert isinstance(again, Measurement)
        with pytest.raises(ValueError, match=f"^{message}$"):
            Measurement.merge(first, second, again)
    assert len(Measurement.merge(first, second)) == 4


def test_one_process_cannot_pass_for_two() -> None:
    first, second, third = (
        measurement([1.0, time], origins=(origin(process),))
        for time, process in ((1.1, 41), (1.2, 42), (1.3, 41))
    )
    message = (
        "^measurements 0 and 2 are from one process, number 41, so they do not show how much "
        "processes differ; measure in separate processes: fasttime bench TARGET --processes 3$"
    )
    with pytest.raises(ValueError, match=message):
        Measurement.merge(first, second, third)
    assert Measurement.merge(first, second).origins == (origin(41), origin(42))


@pytest.mark.parametrize("change", [{"process_start": 9.0}, {"boot": "another boot"}])
def test_a_number_may_be_used_by_two_processes(change: dict[str, Any]) -> None:
    other = dataclasses.replace(origin(41), **change)
    found = Measurement.merge(
        measurement([1.0], origins=(origin(41),)), measurement([2.0], origins=(other,))
    )
    assert found.origins == (origin(41), other)


def test_one_unknown_origin_makes_all_unknown() -> None:
    found = Measurement.merge(measurement([1.0], origins=(origin(41),)), measurement([2.0]))
    assert found.origins == ()


def test_two_measurements_here_are_from_one_process() -> None:
    one, other = (fasttime.measure(sorted, [2, 1], warmup=1, repeat=9) for _ in range(2))
    (found,) = one.origins
    assert found.process_id == os.getpid()
    assert found.process == other.origins[0].process
    with pytest.raises(ValueError, match="are from one process"):
        Measurement.merge(one, other)


def test_a_process_without_calibration_loses_nothing() -> None:
    parts = [
        measurement([time], is_calibrated=time != 3.0, event_overhead=0.5)
        for time in (1.0, 2.0, 3.0)
    ]
    found = Measurement.merge(*parts)
    assert found.times.tolist() == [1.5, 2.5, 3.0]
    assert not found.is_calibrated
    assert found.warnings[0].kind == "mixed_calibration"
    assert found.warnings[0].message == (
        "In 1 of 3 processes the event overhead could not be subtracted, so all times include "
        "about 500.0 ms of it. Measure with hold=True (fasttime bench --hold), or do more work in "
        "each call."
    )


def test_a_process_without_a_hold_loses_nothing() -> None:
    parts = [measurement([time], held=time != 3.0) for time in (1.0, 2.0, 3.0)]
    found = Measurement.merge(*parts)
    assert (found.times.tolist(), found.held) == ([1.0, 2.0, 3.0], False)
    assert found.warnings[0].kind == "mixed_holding"
    assert found.warnings[0].message.startswith("In 1 of 3 processes the stream was not held, so")


def test_calibrated_times_need_no_hold_to_be_alike() -> None:
    parts = [
        measurement([time], held=time < 3, is_calibrated=True, event_overhead=0.5)
        for time in (1.0, 2.0, 3.0)
    ]
    found = Measurement.merge(*parts)
    assert (found.held, found.is_calibrated) == (False, True)
    assert "mixed_holding" not in [warning.kind for warning in found.warnings]


def test_equal_device_times_may_be_two_processes() -> None:
    on_host = ([0.5, 0.6], [0.5, 0.7])
    parts = [measurement([1.0, 1.0], host_times=host) for host in on_host]
    assert Measurement.merge(*parts).processes == (2, 2)


def test_merge_needs_a_measurement() -> None:
    with pytest.raises(ValueError, match="takes at least one measurement"):
        Measurement.merge()


def test_merged_warnings_are_kept_once() -> None:
    few, cpu = TimingWarning("few_samples", "few"), TimingWarning("cpu", "agree")
    times = np.linspace(1.0, 1.001, 6)
    parts = [measurement(times, warnings=(cpu, few), loop_time=loop) for loop in (1.0, 2.0, 3.0)]
    assert Measurement.merge(*parts).warnings == (cpu,)


def test_different_environments_raise_a_warning() -> None:
    old = environment(driver="580")
    new = environment(driver="590", date="later", process_id=7)
    first, second, third = (
        measurement(np.ones(10), environment=old, loop_time=loop) for loop in (1.0, 2.0, 3.0)
    )
    assert Measurement.merge(first, second, third).warnings == ()
    other = measurement(np.ones(10), environment=new)
    (warning,) = Measurement.merge(first, second, other).warnings
    assert warning == TimingWarning(
        "environments_differ",
        "The processes ran in different environments (driver was '580', is '590'), so their times "
        "may not belong together. Measure them again under the same conditions.",
    )


# --- the median and its interval ---


def processes_of(*medians: float, runs: int = 20, **changes: Any) -> Measurement:
    """Return a merged measurement whose runs lie within 0.1 % of their process's median."""
    spread = np.linspace(0.999, 1.001, runs)
    return Measurement.merge(
        *(
            measurement(median * spread, loop_time=float(process), **changes)
            for process, median in enumerate(medians)
        )
    )


def test_more_runs_give_a_process_no_more_weight() -> None:
    parts = measurement([1.0] * 100), measurement([2.0] * 3), measurement([3.0] * 3)
    found = Measurement.merge(*parts)
    assert found.process_medians == (1.0, 2.0, 3.0)
    assert found.median == 2.0


def test_the_processes_interval_is_students() -> None:
    # Logarithms -d, 0, d: a deviation of d, by the root of three, times 4.3027 for two degrees.
    d = 0.05
    low, high = processes_of(math.exp(-d), 1.0, math.exp(d)).median_interval
    half = 4.30265 * d / math.sqrt(3)
    assert (low, high) == pytest.approx((math.exp(-half), math.exp(half)), rel=1e-5)


def test_more_runs_do_not_narrow_the_interval() -> None:
    few, many = (processes_of(1.0, 1.1, 0.9, runs=runs) for runs in (5, 5000))
    assert few.median_interval == pytest.approx(many.median_interval)


def test_two_processes_have_no_interval() -> None:
    found = processes_of(6.58e-6, 7.90e-6)
    assert np.isnan(found.median_interval).all()
    assert repr(found).splitlines()[1:7] == [
        "  median     7.240 µs",
        "  mean       7.240 µs, std 668.4 ns",
        "  range      6.573 µs to 7.908 µs",
        "  runs       40",
        "  processes  2, medians 6.580 µs, 7.900 µs",
        "  host time  3.620 µs to issue a call",
    ]
    assert " ".join(repr(found).split()).endswith(
        "warning (few_processes): 2 processes are too few to show how much processes differ, so "
        "the median has no interval. Merge at least 3, as fasttime bench TARGET --processes 3 does."
    )


def test_a_third_process_gives_an_interval() -> None:
    two = processes_of(6.58e-6, 7.90e-6)
    assert [warning.kind for warning in two.warnings] == ["few_processes"]
    assert Measurement.merge(two, processes_of(7.0e-6)).warnings == ()


def test_two_processes_without_times_are_a_warning() -> None:
    assert [warning.kind for warning in processes_of(0.0, 1.0).warnings] == ["few_processes"]


def test_one_process_keeps_its_interval() -> None:
    one = measurement(np.linspace(1.0, 1.01, 20))
    found = Measurement.merge(one)
    assert found.warnings == ()
    assert found.median_interval == median_interval(one.times)
    assert "processes" not in repr(found)


def test_many_process_medians_print_as_a_range() -> None:
    text = repr(processes_of(1.0, 1.05, 0.95, 1.0, 1.02, 0.98))
    assert "\n  processes  6, medians from 950.0 ms to 1.050 s\n" in text


def test_a_median_of_zero_gives_no_interval() -> None:
    assert np.isnan(processes_of(0.0, 1.0, 1.0).median_interval).all()


def test_the_interval_contains_the_median() -> None:
    found = processes_of(*[1.0] * 12, *[2.0] * 9)
    low, high = found.median_interval
    assert low == found.median == 1.0 < high


def test_half_a_clock_step_is_added() -> None:
    step = 0.03125
    steps = [np.tile([1.0, 1.0, 1.0 + step], 10)] * 3
    assert processes_interval(steps) == (1.0 - step / 2, 1.0 + step / 2)


def test_the_next_clock_step_is_not_an_outlier() -> None:
    # A fifth of the runs reads one more step of 32 ns. Each process has its own overhead.
    one = np.repeat([1024e-9, 1056e-9], (80, 20))
    parts = [measurement(one - event_overhead) for event_overhead in (0.0, 1e-9, 2e-9)]
    assert not Measurement.merge(*parts).outliers.any()


def test_outliers_are_relative_to_their_process() -> None:
    # One process in three is three times as slow: all of its runs would be far from the others.
    level = 1 + 0.001 * np.arange(20)
    parts = [measurement(level), measurement(level[::-1]), measurement(np.append(3 * level, 4.0))]
    found = Measurement.merge(*parts)
    assert np.flatnonzero(found.outliers).tolist() == [60]
    assert "1 far from the others" in repr(found)


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_the_processes_interval_covers_the_truth(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(median, "_BLOCKS", ())
    rng = np.random.default_rng(processes)
    held = pooled = 0
    trials, runs = 500, 40
    for _ in range(trials):
        offsets = 0.05 * rng.standard_normal((processes, 1))
        times = np.exp(offsets + 0.01 * rng.standard_normal((processes, runs))).ravel()
        low, high = measurement(times, processes=(runs,) * processes).median_interval
        held += low <= 1 <= high
        low, high = median_interval(times)
        pooled += low <= 1 <= high
    assert 0.93 * trials <= held <= 0.97 * trials
    assert pooled < 0.6 * trials  # the interval of all runs pooled

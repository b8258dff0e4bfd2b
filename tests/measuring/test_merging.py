# SPDX-License-Identifier: BSD-3-Clause
"""`Measurement.merge`: several processes as one measurement."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fasttime.stats.times import median_interval
from made_up import environment, measurement

import fasttime
from fasttime import Measurement
from fasttime.measuring.bottleneck import Bottleneck
from fasttime.measuring.measurement import EndedBy
from fasttime.measuring.warnings import TimingWarning
from fasttime.stats import times as statistics
from fasttime.stats.processes import processes_interval


def test_a_merged_measurement_knows_which_process_each_run_came_from() -> None:
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
    assert "6 runs in 4 processes" in repr(found)


def test_figures_of_the_whole_are_the_middle_ones_where_all_are_known() -> None:
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


def test_the_bottleneck_is_that_of_the_process_in_the_middle() -> None:
    low, middle, high = (Bottleneck("host-bound", by, f"by {by}") for by in (2.0, 2.5, 9.0))
    assert merged_bottleneck(high, low, middle) == middle
    assert merged_bottleneck(high, low) == low
    unknown = Bottleneck("host-bound", None, "whatever")
    assert merged_bottleneck(unknown, high, middle) == middle


def test_processes_that_do_not_agree_on_the_bottleneck_leave_it_open() -> None:
    host, device = Bottleneck("host-bound", 2.0, "so"), Bottleneck("device-bound", 2.0, "so")
    found = merged_bottleneck(device, host, host)
    assert found is not None
    assert found.bound == "unclear"
    assert "2 host-bound, 1 device-bound" in found.reason
    assert merged_bottleneck(host, None) is None


def test_it_ended_as_the_part_that_ended_worst() -> None:
    endings: tuple[EndedBy, ...] = ("count", "budget", "precision")
    parts = [measurement([float(n)], ended_by=ended) for n, ended in enumerate(endings)]
    assert Measurement.merge(*parts).ended_by == "budget"


@pytest.mark.parametrize("given", [[measurement([1.0])], "first.json"])
def test_what_is_no_measurement_is_refused(given: Any) -> None:
    kind = type(given).__name__
    with pytest.raises(TypeError) as caught:
        Measurement.merge(given)
    assert str(caught.value) == (
        f"merge() takes measurements, got a {kind}; of a list, write "
        "Measurement.merge(*measurements), of a file, fasttime.load(path)"
    )


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("label", "model", "rival"),
        ("method", "event", "sync"),
        ("cache", "warm", "cold"),
        ("device", "cuda:0 Simulated", "cpu"),
        ("held", False, True),
        ("is_calibrated", False, True),
    ],
)
def test_what_is_not_the_same_thing_is_not_merged(name: str, value: Any, other: Any) -> None:
    with pytest.raises(
        ValueError,
        match=f"^measurements that differ in {name} cannot be merged: {value!r}, {other!r}; use",
    ):
        Measurement.merge(measurement([1.0]), measurement([1.0], **{name: other}))


def test_a_measurement_that_is_there_twice_agrees_with_itself_and_is_refused(
    tmp_path: Path,
) -> None:
    first, second = measurement([1.0, 1.1]), measurement([1.0, 1.2])
    first.save(tmp_path / "first.json")
    message = (
        "measurements 0 and 2 are one and the same, which says nothing of how much processes "
        "differ; measure in a process for each: fasttime bench TARGET --processes 3"
    )
    for again in (first, fasttime.load(tmp_path / "first.json")):
        assert isinstance(again, Measurement)
        with pytest.raises(ValueError, match=f"^{message}$"):
            Measurement.merge(first, second, again)
    assert len(Measurement.merge(first, second)) == 4


def test_processes_that_read_the_same_by_the_steps_of_a_clock_are_two() -> None:
    on_host = ([0.5, 0.6], [0.5, 0.7])
    parts = [measurement([1.0, 1.0], host_times=host) for host in on_host]
    assert Measurement.merge(*parts).processes == (2, 2)


def test_nothing_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="takes at least one measurement"):
        Measurement.merge()


def test_warnings_are_kept_once_each_and_those_about_the_times_are_worked_out_anew() -> None:
    few, cpu = TimingWarning("few_samples", "few"), TimingWarning("cpu", "agree")
    times = np.linspace(1.0, 1.001, 6)
    parts = [measurement(times, warnings=(cpu, few), loop_time=loop) for loop in (1.0, 2.0, 3.0)]
    assert Measurement.merge(*parts).warnings == (cpu,)


def test_processes_in_different_environments_are_a_warning() -> None:
    old = environment(driver="580")
    new = environment(driver="590", date="later", process_id=7)
    first, second, third = (
        measurement(np.ones(10), environment=old, loop_time=loop) for loop in (1.0, 2.0, 3.0)
    )
    assert Measurement.merge(first, second, third).warnings == ()
    other = measurement(np.ones(10), environment=new)
    (warning,) = Measurement.merge(first, second, other).warnings
    assert warning == (
        "environments_differ",
        "the processes ran in different environments: driver was '580', is '590'",
    )


# --- where the median lies ---


def processes_of(*medians: float, runs: int = 20, **changes: Any) -> Measurement:
    """Return a merged measurement whose runs lie within 0.1 % of their process's median."""
    spread = np.linspace(0.999, 1.001, runs)
    return Measurement.merge(
        *(
            measurement(median * spread, loop_time=float(process), **changes)
            for process, median in enumerate(medians)
        )
    )


def test_a_process_with_more_runs_than_another_has_no_more_say() -> None:
    parts = measurement([1.0] * 100), measurement([2.0] * 3), measurement([3.0] * 3)
    found = Measurement.merge(*parts)
    assert found.process_medians == (1.0, 2.0, 3.0)
    assert found.median == 2.0


def test_the_interval_of_several_processes_is_student_s_of_their_logarithms() -> None:
    # Logarithms -d, 0, d: a deviation of d, by the root of three, times 4.3027 for two degrees.
    d = 0.05
    low, high = processes_of(math.exp(-d), 1.0, math.exp(d)).median_interval
    half = 4.30265 * d / math.sqrt(3)
    assert (low, high) == pytest.approx((math.exp(-half), math.exp(half)), rel=1e-5)


def test_more_runs_in_each_process_do_not_make_it_narrower() -> None:
    few, many = (processes_of(1.0, 1.1, 0.9, runs=runs) for runs in (5, 5000))
    assert few.median_interval == pytest.approx(many.median_interval)


def test_two_processes_have_no_interval_and_are_told_how_to_get_one() -> None:
    found = processes_of(6.58e-6, 7.90e-6)
    assert np.isnan(found.median_interval).all()
    assert repr(found).splitlines()[1:] == [
        "  median 7.240 µs, mean 7.240 µs, std 668.4 ns",
        "  min 6.573 µs, max 7.908 µs, 40 runs in 2 processes",
        "  medians of the processes: 6.580 µs, 7.900 µs",
        "  the host was in the callable for 3.620 µs",
        "  warning (few_processes): the spread of 2 processes says too little of where the next would "
        "lie, so that the median has no interval; merge at least 3, as fasttime bench TARGET "
        "--processes 3 does",
    ]


def test_a_third_process_settles_that() -> None:
    two = processes_of(6.58e-6, 7.90e-6)
    assert [warning.kind for warning in two.warnings] == ["few_processes"]
    assert Measurement.merge(two, processes_of(7.0e-6)).warnings == ()


def test_two_processes_are_doubted_where_nothing_else_can_be_said_of_their_times() -> None:
    assert [warning.kind for warning in processes_of(0.0, 1.0).warnings] == ["few_processes"]


def test_one_process_is_no_warning_and_keeps_the_interval_of_its_runs() -> None:
    one = measurement(np.linspace(1.0, 1.01, 20))
    found = Measurement.merge(one)
    assert found.warnings == ()
    assert found.median_interval == median_interval(one.times)
    assert "medians of the processes" not in repr(found)


def test_medians_of_many_processes_are_shown_by_their_extent() -> None:
    text = repr(processes_of(1.0, 1.05, 0.95, 1.0, 1.02, 0.98))
    assert "\n  medians of the processes from 950.0 ms to 1.050 s\n" in text


def test_a_median_that_is_not_above_0_has_no_logarithm_and_gives_no_interval() -> None:
    assert np.isnan(processes_of(0.0, 1.0, 1.0).median_interval).all()


def test_the_interval_holds_its_median_where_processes_fall_into_two_groups() -> None:
    found = processes_of(*[1.0] * 12, *[2.0] * 9)
    low, high = found.median_interval
    assert low == found.median == 1.0 < high


def test_half_a_step_of_the_clock_comes_on_top() -> None:
    step = 0.03125
    steps = [np.tile([1.0, 1.0, 1.0 + step], 10)] * 3
    assert processes_interval(steps) == (1.0 - step / 2, 1.0 + step / 2)


def test_the_next_step_of_the_clock_is_not_far_from_the_others() -> None:
    # A fifth of the runs reads one step of 32 ns more; each process has another floor taken off.
    one = np.repeat([1024e-9, 1056e-9], (80, 20))
    parts = [measurement(one - event_overhead) for event_overhead in (0.0, 1e-9, 2e-9)]
    assert not Measurement.merge(*parts).outliers.any()


def test_a_run_is_far_from_those_of_its_own_process() -> None:
    # One process in three is three times as slow: all of its runs would be far from the others.
    level = 1 + 0.001 * np.arange(20)
    parts = [measurement(level), measurement(level[::-1]), measurement(np.append(3 * level, 4.0))]
    found = Measurement.merge(*parts)
    assert np.flatnonzero(found.outliers).tolist() == [60]
    assert "1 far from the others" in repr(found)


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_the_interval_holds_the_truth_as_often_as_it_says_where_processes_differ(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "_BLOCKS", 0)
    rng = np.random.default_rng(processes)
    held = pooled = 0
    trials, runs = 2000, 40
    for _ in range(trials):
        offsets = 0.05 * rng.standard_normal((processes, 1))
        times = np.exp(offsets + 0.01 * rng.standard_normal((processes, runs))).ravel()
        low, high = measurement(times, processes=(runs,) * processes).median_interval
        held += low <= 1 <= high
        low, high = median_interval(times)
        pooled += low <= 1 <= high
    assert 0.93 * trials <= held <= 0.97 * trials
    assert pooled < 0.6 * trials  # which is what pooling all runs comes to

# SPDX-License-Identifier: BSD-3-Clause
"""What a `Measurement` derives from its times, and how it and its units print."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest

from fasttime import Measurement, compare_saved
from fasttime.measuring.warnings import TimingWarning
from fasttime.text import format_change, format_ratio, format_seconds


def measurement(times: Any, **changes: Any) -> Measurement:
    made = Measurement(
        times=times,
        warmup_times=np.array([0.5, 0.25]),
        host_times=np.asarray(times) / 2,
        loop_time=1.0,
        method="event",
        label="model",
        device="cuda:0 Simulated",
        warmup=2,
        repeat=2 + len(times),
    )
    return dataclasses.replace(made, **changes)


def test_statistics_are_those_of_the_kept_runs() -> None:
    found = measurement([4.0, 1.0, 3.0, 2.0])
    assert len(found) == 4
    assert (found.mean, found.median, found.min, found.max) == (2.5, 2.5, 1.0, 4.0)
    assert found.std == math.sqrt(5 / 3)
    assert [found.quantile(q) for q in (0, 0.5, 1)] == [1.0, 2.5, 4.0]
    assert found.quantile(0.25) == 1.75


def test_statistics_are_plain_floats() -> None:
    found = measurement([4.0, 1.0])
    values = (found.mean, found.median, found.std, found.min, found.max, found.quantile(0.5))
    assert {type(value) for value in values} == {float}


def test_a_single_run_has_no_standard_deviation() -> None:
    assert math.isnan(measurement([1.0]).std)
    assert "  median 1.000 s, mean 1.000 s\n" in str(measurement([1.0]))


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_a_quantile_outside_of_0_to_1_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match=f"^q must lie between 0 and 1, got {q}$"):
        measurement([1.0]).quantile(q)


def test_a_measurement_cannot_be_changed() -> None:
    found = measurement([1.0])
    with pytest.raises(ValueError, match="read-only"):
        found.times[0] = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.method = "sync"  # type: ignore[misc]


def test_a_measurement_does_not_follow_the_arrays_it_was_made_from() -> None:
    times = np.array([1.0])
    found = measurement(times)
    times[0] = 2.0
    assert found.times.tolist() == [1.0]


def test_a_measurement_can_be_pickled() -> None:
    found = measurement([1.0, 2.0])
    again = pickle.loads(pickle.dumps(found))
    assert repr(again) == repr(found)


def test_a_measurement_prints_its_figures_and_its_warnings() -> None:
    found = measurement([0.001, 0.002, 0.003], warnings=(TimingWarning("unclear", "who knows"),))
    assert str(found) == repr(found)
    assert repr(found).splitlines() == [
        "Measurement of model on cuda:0 Simulated, method 'event'",
        "  median 2.000 ms, mean 2.000 ms, std 1.000 ms",
        "  min 1.000 ms, max 3.000 ms, 3 runs",
        "  2 runs ignored as warm-up, the first took 500.0 ms",
        "  the host was in the callable for 1.000 ms",
        "  warning (unclear): who knows",
    ]


def test_what_moves_a_cursor_is_printed_as_its_escape() -> None:
    evil = "\x1b[2Jmodel\r\n"
    found = measurement([1.0], label=evil, device=evil, warnings=(TimingWarning("unclear", evil),))
    lines = repr(found).splitlines()
    escaped = "\\x1b[2Jmodel\\r\\n"
    assert lines[0] == f"Measurement of {escaped} on {escaped}, method 'event'"
    assert lines[-1] == f"  warning (unclear): {escaped}"
    assert all(map(str.isprintable, lines))
    assert all(map(str.isprintable, str(compare_saved(found, found)).splitlines()))


def test_a_measurement_prints_no_host_time_where_there_is_no_other() -> None:
    on_cpu = measurement([1.0], warmup=0, warnings=(TimingWarning("cpu", "agree"),))
    assert repr(on_cpu).splitlines()[2:] == [
        "  min 1.000 s, max 1.000 s, 1 run",
        "  warning (cpu): agree",
    ]
    assert "the host was" not in repr(measurement([1.0], method="naive"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (1.0, "1.000 s"),
        (0.0477, "47.70 ms"),
        (2.13e-6, "2.130 µs"),
        (32e-9, "32.00 ns"),
        (0.5e-9, "0.5000 ns"),
        (999.94e-6, "999.9 µs"),
        (999.97e-6, "1.000 ms"),
        (0.99999, "1.000 s"),
        (-0.0015, "-1.500 ms"),
        (-0.0, "0 s"),
        (1234.5, "1234 s"),
        (9999.4, "9999 s"),
        (9999.6, "10000 s"),
        (123456.7, "123457 s"),
        (float("nan"), "nan s"),
        (float("inf"), "inf s"),
    ],
)
def test_durations_have_four_digits_and_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("change", "text"),
    [(0.4147, "+41.5 %"), (-0.75, "-75.0 %"), (0.0, "+0.0 %"), (-0.0001, "+0.0 %")],
)
def test_changes_have_a_sign(change: float, text: str) -> None:
    assert format_change(change) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.4147, "+41.5 %"),
        (2.0, "+100.0 %"),
        (2.01, "x 2.01"),
        (0.5, "-50.0 %"),
        (0.0499, "x 0.0499"),
        (12345.6, "x 12350"),
    ],
)
def test_ratios_beyond_two_are_factors(ratio: float, text: str) -> None:
    assert format_ratio(ratio) == text


def test_kept_runs_are_one_process_s_unless_told_otherwise() -> None:
    assert measurement([1.0, 2.0]).processes == (2,)
    assert measurement([1.0, 2.0], processes=(1, 1)).processes == (1, 1)


def test_what_is_not_known_is_none() -> None:
    found = measurement([1.0])
    assert (found.wall_time, found.event_overhead, found.environment, found.bottleneck) == (
        None,
    ) * 4
    assert (found.held, found.cache, found.is_calibrated) == (False, "warm", False)

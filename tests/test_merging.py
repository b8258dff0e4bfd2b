# SPDX-License-Identifier: BSD-3-Clause
"""`Measurement.merge`: several processes as one measurement."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_up import environment, measurement

from fasttime import Measurement
from fasttime.measuring.bottleneck import Bottleneck
from fasttime.measuring.doubts import Doubt


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
    parts = [measurement([1.0], wall_time=wall, floor=1e-6) for wall in (1.0, 3.0, 2.0)]
    found = Measurement.merge(*parts)
    assert (found.wall_time, found.floor) == (2.0, 1e-6)
    assert Measurement.merge(*parts, measurement([1.0])).wall_time is None


def test_the_bottleneck_is_that_of_all_parts_if_it_is_the_same() -> None:
    host, device = Bottleneck("host-bound", 2.0, "so"), Bottleneck("device-bound", 2.0, "so")
    parts = [measurement([1.0], bottleneck=bottleneck) for bottleneck in (host, host, device)]
    assert Measurement.merge(*parts[:2]).bottleneck == host
    assert Measurement.merge(*parts).bottleneck is None


def test_it_ended_as_the_part_that_ended_worst() -> None:
    parts = [measurement([1.0], ended_by=ended) for ended in ("count", "budget", "precision")]
    assert Measurement.merge(*parts).ended_by == "budget"


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


def test_nothing_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="takes at least one measurement"):
        Measurement.merge()


def test_doubts_are_kept_once_each_and_those_about_the_times_are_worked_out_anew() -> None:
    few, cpu = Doubt("few_samples", "few"), Doubt("cpu", "agree")
    part = measurement(np.linspace(1.0, 1.001, 6), warnings=(cpu, few))
    assert Measurement.merge(part, part).warnings == (cpu,)


def test_processes_in_different_environments_are_a_doubt() -> None:
    one = measurement(np.ones(10), environment=environment(driver="580"))
    other = measurement(np.ones(10), environment=environment(driver="590", date="later"))
    assert Measurement.merge(one, one).warnings == ()
    (doubt,) = Measurement.merge(one, other).warnings
    assert doubt == (
        "environments_differ",
        "the processes ran in different environments: driver was '580', is '590'",
    )

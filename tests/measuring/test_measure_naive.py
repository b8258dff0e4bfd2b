# SPDX-License-Identifier: BSD-3-Clause
"""The naive method and what it says about itself, on a scripted clock and a simulated device."""

from __future__ import annotations

import pytest
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime.measuring.warnings import judge_naive


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in measurement.warnings]


def test_naive_reads_the_host_alone_and_waits_at_the_ends_only(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 1.0, method="naive", warmup=1, repeat=4)
    assert found.times.tolist() == [0.25] * 3
    assert found.warmup_times.tolist() == [0.25]
    assert found.host_times.tolist() == [0.25] * 3
    assert found.loop_time == 4.25
    assert found.device == "cuda:0 Scripted"
    assert script.log[:6] == ["wait", "run", "run", "run", "run", "wait"]
    assert script.log.count("run") == 4


def test_naive_says_that_it_measured_queueing_only(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 1.0, method="naive", warmup=2, repeat=12)
    assert found.warnings == (
        (
            "queued_only",
            "wrong by -75.0 %, as it measured how long the host took to queue the work: the host "
            "read 250.0 ms a run, the device took 1.000 s, and had 9.250 s of work left at the end",
        ),
    )


def test_naive_says_that_a_full_launch_queue_made_it_right_by_accident(
    script: ScriptedLoop,
) -> None:
    script.queue_limit = 2.0
    found = fasttime.measure(script.work, 0.25, 1.0, method="naive", warmup=5, repeat=20)
    assert found.median == 1.0
    assert found.warnings == (
        (
            "launch_queue_full",
            "right by accident, as the launch queue was full and held the host back: the host read "
            "1.000 s a run, the device took 1.000 s, and had 2.000 s of work left at the end",
        ),
    )


def test_naive_says_that_the_host_was_the_bottleneck(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 1.0, 0.03125, method="naive", warmup=2, repeat=12)
    assert found.warnings == (
        (
            "host_bound",
            "right, as the device kept up (the host is the bottleneck, or the callable waits for "
            "the device itself): the host read 1.000 s a run, the device took 1.000 s, and had "
            "31.25 ms of work left at the end",
        ),
    )


def test_naive_is_unclear_where_what_is_left_is_less_than_a_run(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 1.0, 0.5, method="naive", warmup=2, repeat=12)
    assert kinds(found) == ["unclear"]
    assert found.warnings[0].message.startswith("right here, but whether through a full")


def test_naive_is_unclear_where_hardly_anything_was_to_be_done() -> None:
    warning = judge_naive(5e-6, device_time=8e-6, backlog=10e-6)
    assert warning == (
        "unclear",
        "not to be relied on, as there is too little work to tell host and device apart: the host "
        "read 5.000 µs a run, the device took 8.000 µs, and had 10.00 µs of work left at the end",
    )


def test_naive_counts_the_work_of_all_streams_where_others_go_on(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream()
    found = fasttime.measure(
        simulated.work, 20 * US, MS, other, method="naive", warmup=5, repeat=50
    )
    assert found.warnings[0] == (
        "queued_only",
        "wrong by -98.0 %, as it measured how long the host took to queue the work: the host read "
        "20.00 µs a run, the device took 1.000 ms, and had 49.02 ms of work left at the end",
    )


def test_a_cold_run_is_not_taken_for_the_work_of_other_streams(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream()
    durations = iter([900 * MS, *[20 * US] * 49])
    found = fasttime.measure(
        lambda: simulated.work(next(durations), MS, other), method="naive", warmup=1, repeat=50
    )
    assert "the device took 1.020 ms, and had 49.02 ms of work" in found.warnings[0].message


def test_naive_compares_with_the_device_s_kept_runs_only(script: ScriptedLoop) -> None:
    durations = iter([64.0, 1.0, 1.0])  # the first call is a cold one
    found = fasttime.measure(
        lambda: script.work(0.25, next(durations)), method="naive", warmup=1, repeat=3
    )
    assert "the device took 1.000 s" in found.warnings[0].message


@pytest.mark.parametrize(
    ("starts_in", "kind"), [(0, "queued_only"), (1, "queued_only"), (2, "cuda_started")]
)
def test_naive_checks_itself_where_cuda_was_started_in_the_warm_up(
    script: ScriptedLoop, starts_in: int, kind: str
) -> None:
    script.cuda_is_up = False
    runs = iter(range(12))

    def fn() -> None:
        script.cuda_is_up = script.cuda_is_up or next(runs) == starts_in
        script.work(0.25, 1.0)

    found = fasttime.measure(fn, method="naive", warmup=2, repeat=12)
    assert kinds(found) == [kind]
    assert found.device == "cuda:0 Scripted"


def test_naive_says_where_it_could_not_be_checked(script: ScriptedLoop) -> None:
    script.cuda_is_up = False

    def fn() -> None:
        script.cuda_is_up = True

    found = fasttime.measure(fn, method="naive", warmup=0, repeat=10)
    assert found.warnings == (
        ("cuda_started", "not checked against the device, as fn itself started CUDA"),
    )

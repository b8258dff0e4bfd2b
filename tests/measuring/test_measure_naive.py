# SPDX-License-Identifier: BSD-3-Clause
"""The naive method and its warnings, on a scripted clock and a simulated device."""

from __future__ import annotations

import pytest
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime import TimingWarning
from fasttime.measuring.warnings import judge_naive


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in measurement.warnings]


def test_naive_waits_at_both_ends_only(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 1.0, method="naive", warmup=1, repeat=4)
    assert found.times.tolist() == [0.25] * 3
    assert found.warmup_times.tolist() == [0.25]
    assert found.host_times.tolist() == [0.25] * 3
    assert found.loop_time == 4.25
    assert found.device == "cuda:0 Scripted"
    assert script.log[:6] == ["wait", "run", "run", "run", "run", "wait"]
    assert script.log.count("run") == 4


def test_naive_warns_that_it_timed_queueing(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 1.0, method="naive", warmup=2, repeat=12)
    assert found.warnings == (
        TimingWarning(
            "queued_only",
            "The naive reading is wrong by -75.0 %, because it is the time that the host took to "
            "queue the work: the host read 250.0 ms per run, the device took 1.000 s and had 9.250 "
            "s of work left at the end. Use method='event'.",
        ),
    )


def test_naive_warns_about_a_full_launch_queue(
    script: ScriptedLoop,
) -> None:
    script.queue_limit = 2.0
    found = fasttime.measure(script.work, 0.25, 1.0, method="naive", warmup=5, repeat=20)
    assert found.median == 1.0
    assert found.warnings == (
        TimingWarning(
            "launch_queue_full",
            "The naive reading is right only by accident, because the launch queue was full and "
            "made the host wait: the host read 1.000 s per run, the device took 1.000 s and had "
            "2.000 s of work left at the end. Use method='event'.",
        ),
    )


def test_naive_warns_that_the_host_is_the_bottleneck(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 1.0, 0.03125, method="naive", warmup=2, repeat=12)
    assert found.warnings == (
        TimingWarning(
            "host_bound",
            "The naive reading is right, because the device kept up with the host: the host read "
            "1.000 s per run, the device took 1.000 s and had 31.25 ms of work left at the end. "
            "The host is the bottleneck, or the callable waits for the device itself.",
        ),
    )


def test_naive_is_unclear_with_less_than_a_run_left(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 1.0, 0.5, method="naive", warmup=2, repeat=12)
    assert kinds(found) == ["unclear"]
    assert found.warnings[0].message.startswith(
        "The naive reading is right here, but it is unknown"
    )


def test_naive_is_unclear_with_hardly_any_work() -> None:
    warning = judge_naive(5e-6, device_time=8e-6, backlog=10e-6)
    assert warning == TimingWarning(
        "unclear",
        "The naive reading is unreliable, because there is too little work to tell host and device "
        "apart: the host read 5.000 µs per run, the device took 8.000 µs and had 10.00 µs of work "
        "left at the end. Use method='event'.",
    )


def test_naive_counts_the_work_of_all_streams(cuda: Simulated, simulated: SimulatedMachine) -> None:
    other = cuda.create_stream()
    found = fasttime.measure(
        simulated.work, 20 * US, MS, other, method="naive", warmup=5, repeat=50
    )
    assert found.warnings[0] == TimingWarning(
        "queued_only",
        "The naive reading is wrong by -98.0 %, because it is the time that the host took to queue "
        "the work: the host read 20.00 µs per run, the device took 1.000 ms and had 49.02 ms of "
        "work left at the end. Use method='sync'.",
    )


def test_a_cold_run_is_not_other_streams_work(cuda: Simulated, simulated: SimulatedMachine) -> None:
    other = cuda.create_stream()
    durations = iter([900 * MS, *[20 * US] * 49])
    found = fasttime.measure(
        lambda: simulated.work(next(durations), MS, other), method="naive", warmup=1, repeat=50
    )
    assert "the device took 1.020 ms and had 49.02 ms of work" in found.warnings[0].message


def test_naive_compares_with_kept_runs_only(script: ScriptedLoop) -> None:
    durations = iter([64.0, 1.0, 1.0])  # the first call is a cold one
    found = fasttime.measure(
        lambda: script.work(0.25, next(durations)), method="naive", warmup=1, repeat=3
    )
    assert "the device took 1.000 s" in found.warnings[0].message


@pytest.mark.parametrize(
    ("starts_in", "kind"), [(0, "queued_only"), (1, "queued_only"), (2, "cuda_started")]
)
def test_naive_is_checked_if_the_warm_up_starts_cuda(
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


def test_naive_warns_if_it_could_not_be_checked(script: ScriptedLoop) -> None:
    script.cuda_is_up = False

    def fn() -> None:
        script.cuda_is_up = True

    found = fasttime.measure(fn, method="naive", warmup=0, repeat=10)
    assert found.warnings == (
        TimingWarning(
            "cuda_started",
            "fn started CUDA itself, so the naive reading was not checked against the device. Call "
            "torch.cuda.init() first.",
        ),
    )

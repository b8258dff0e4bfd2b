# SPDX-License-Identifier: BSD-3-Clause
"""What `measure` says of work that the timed stream does not see, or hardly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime.environment.gpu_state import GpuState
from fasttime.measuring.warnings import judge_coverage, judge_resolution, judge_work


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in measurement.warnings]


# --- no work, or elsewhere ---


def test_a_callable_without_device_work_says_so(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 100 * US, 0, budget=0.1)
    assert found.median == pytest.approx(0.0, abs=1e-12)
    assert found.warnings == (
        (
            "no_device_work",
            "the timed stream saw no work beside the events' own 1.250 µs; fn puts none on the "
            "device, or it puts it on another stream or device. Make its stream the current one "
            "(torch.cuda.stream), or use method='sync'",
        ),
    )


def test_a_callable_that_works_on_another_stream_says_how_long_that_went_on(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream()
    found = fasttime.measure(simulated.work, 10 * US, MS, other, budget=1.0)
    assert kinds(found) == ["no_device_work"]
    assert "went on for 20.80 ms: fn puts its work there. Make" in found.warnings[0].message


def test_a_callable_that_works_on_another_device_has_none_on_this_one(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream(device=1)
    found = fasttime.measure(simulated.work, 10 * US, MS, other, budget=0.1)
    assert kinds(found) == ["no_device_work"]


def test_work_on_another_stream_beside_that_on_the_timed_one_is_told(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream()

    def fn() -> None:
        simulated.work(10 * US, MS)
        cuda.enqueue(other, 3 * MS)

    found = fasttime.measure(fn, warmup=0, repeat=10)
    # The timed stream is done after 10.01 ms, the other one after 30.01.
    assert found.warnings == (
        (
            "other_streams",
            "other streams of the device went on for 20.00 ms after the timed one was done, which "
            "is in none of the times; let the current stream wait for them in fn, or use "
            "method='sync'",
        ),
    )


def test_work_on_another_stream_is_told_where_runs_are_held_one_by_one(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream()

    def fn() -> None:
        simulated.work(10 * US, MS)
        cuda.enqueue(other, 3 * MS)

    found = fasttime.measure(fn)
    assert (found.held, kinds(found)) == (True, ["other_streams"])
    assert found.times == pytest.approx([1e-3] * len(found), rel=1e-6)


def test_work_elsewhere_that_ends_with_the_timed_stream_s_is_no_matter(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream()

    def fn() -> None:
        simulated.work(10 * US, MS)
        cuda.enqueue(other, MS // 2)

    assert fasttime.measure(fn, warmup=0, repeat=10).warnings == ()


@pytest.mark.parametrize(("time", "doubted"), [(0.4e-6, True), (-0.4e-6, True), (0.6e-6, False)])
def test_less_than_half_a_microsecond_is_no_work(time: float, doubted: bool) -> None:
    assert (judge_work(time, 1e-6, 0.0) is not None) is doubted


@pytest.mark.parametrize(
    ("time", "others", "doubted"),
    [
        (1 * US * 1e-9, 200e-6, False),
        (1 * US * 1e-9, 201e-6, True),
        (10e-3, 0.5e-3, False),
        (10e-3, 0.51e-3, True),
    ],
)
def test_other_streams_matter_beyond_a_twentieth_of_a_run(
    time: float, others: float, doubted: bool
) -> None:
    assert (judge_coverage(time, others, 1) is not None) is doubted


# --- hardly more than nothing ---


def test_a_reading_that_is_mostly_event_overhead_says_so(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 10 * US, 2000, hold=True, warmup=0, repeat=10)
    assert found.median == pytest.approx(2e-6, rel=1e-5)
    assert found.warnings == (
        (
            "below_resolution",
            "a run reads 3.250 µs, and 1.250 µs where there is nothing to time; put several calls "
            "into fn and divide",
        ),
    )


@pytest.mark.parametrize(("reading", "doubted"), [(2.9e-6, True), (3.0e-6, False), (0.0, True)])
def test_three_times_the_event_overhead_is_enough(reading: float, doubted: bool) -> None:
    assert (judge_resolution(reading, 1e-6) is not None) is doubted


def test_the_event_overhead_of_the_host_s_methods_is_what_empty_runs_read(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def synchronize() -> None:
        script.now += 0.125

    monkeypatch.setattr("fasttime.measuring.machine.synchronize", synchronize)
    found = fasttime.measure(script.work, 0.0625, 0.0, method="sync", warmup=0, repeat=10)
    assert (found.event_overhead, found.is_calibrated, found.median) == (0.125, False, 0.1875)
    assert kinds(found) == ["below_resolution"]


# --- the device's state, and the times themselves ---

NOT_KNOWN = GpuState(None, None, None, None, None, None, ())


@pytest.mark.parametrize("lengths", [{}, {"warmup": 0, "repeat": 10}])
def test_a_device_that_was_held_back_is_told(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch, lengths: dict[str, int]
) -> None:
    state = NOT_KNOWN._replace(throttle_reasons=("power cap",), power_w=700.0)
    monkeypatch.setattr("fasttime.measuring.machine.gpu_state", lambda: state)
    found = fasttime.measure(simulated.work, 10 * US, MS, **lengths)  # type: ignore[arg-type]
    assert kinds(found) == ["throttled"]
    assert "held back (power cap; 700 W at the end)" in found.warnings[0].message


def test_a_clock_that_changed_since_the_warm_up_is_told(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_at_a_look: list[int] = []

    def look() -> GpuState:
        runs_at_a_look.append(simulated.runs)
        return NOT_KNOWN._replace(sm_clock_mhz=1980 if len(runs_at_a_look) == 1 else 1200)

    monkeypatch.setattr("fasttime.measuring.machine.gpu_state", look)
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=50, repeat="auto")
    assert kinds(found) == ["clock_changed"]
    assert "went from 1980 MHz to 1200 MHz (-39.4 %)" in found.warnings[0].message
    assert runs_at_a_look == [51, simulated.runs]  # after the warm-up, and after all


@pytest.mark.parametrize(("kept", "warnings"), [(9, ["few_samples"]), (10, [])])
def test_fewer_than_ten_runs_are_doubted(
    simulated: SimulatedMachine, kept: int, warnings: list[str]
) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=5, repeat=5 + kept)
    assert kinds(found) == warnings


@pytest.mark.parametrize(
    ("device_us", "kind"),
    [
        (lambda run: 1000 + 5 * run, "drift"),
        (lambda run: 1000 + 200 * (run * run % 7 < 2), "two_modes"),
        (lambda run: 1000 * (1 + run % 10 // 9), "outliers"),
    ],
)
def test_what_the_times_themselves_say_is_among_the_warnings(
    simulated: SimulatedMachine, device_us: Callable[[int], int], kind: str
) -> None:
    runs = iter(range(100))
    found = fasttime.measure(
        lambda: simulated.work(10 * US, device_us(next(runs)) * US), warmup=0, repeat=100
    )
    assert kind in kinds(found)


# --- where the doubts end up ---


def test_a_measurement_that_raises_no_warning_has_none(simulated: SimulatedMachine) -> None:
    assert fasttime.measure(simulated.work, 10 * US, MS).warnings == ()


def test_on_the_cpu_an_automatic_length_says_so_once(script: ScriptedLoop) -> None:
    script.cuda_is_up = False
    found = fasttime.measure(script.work, 0.25, 0.0, method="sync", budget=16.0)
    assert kinds(found) == ["cpu"]
    assert (found.median, found.device, found.bottleneck) == (0.25, "cpu", None)
    assert found.wall_time == 0.25


def test_a_measurement_prints_its_warnings(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, warmup=0, repeat=4)
    assert f"warning (raw): {found.warnings[0].message}" in str(found)

# SPDX-License-Identifier: BSD-3-Clause
"""Warnings about work that the timed stream hardly sees, and about the device's state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime import TimingWarning
from fasttime.environment.gpu_state import GpuState
from fasttime.measuring.elsewhere import Elsewhere, judge_elsewhere, judge_work
from fasttime.measuring.warnings import MORE_WORK, judge_resolution, longer_runs


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in measurement.warnings]


# --- no work, or elsewhere ---


def test_a_callable_without_device_work_has_a_warning(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 100 * US, 0, budget=0.1)
    assert found.median == pytest.approx(0.0, abs=1e-12)
    assert found.warnings == (
        TimingWarning(
            "no_device_work",
            "The timed stream saw no work beyond the event overhead of 1.250 µs. fn puts no work "
            "on the device, or puts it on another stream or device: make that stream or device "
            "current (torch.cuda.stream, torch.cuda.device), or use method='sync'.",
        ),
    )


def test_work_on_another_stream_alone_is_timed(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream()
    found = fasttime.measure(simulated.work, 10 * US, MS, other, budget=1.0)
    assert kinds(found) == ["no_device_work"]
    assert "kept working for 20.80 ms, so fn puts its work there: make" in found.warnings[0].message


def test_work_on_another_device_is_not_counted(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream(device=1)
    found = fasttime.measure(simulated.work, 10 * US, MS, other, budget=0.1)
    assert kinds(found) == ["no_device_work"]


def test_work_beside_the_timed_stream_is_a_warning(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream()

    def fn() -> None:
        simulated.work(10 * US, MS)
        cuda.enqueue(other, 3 * MS)

    found = fasttime.measure(fn, warmup=0, repeat=10)
    # The timed stream is done after 10.01 ms, the other one after 30.01.
    assert found.warnings == (
        TimingWarning(
            "other_streams",
            "Other streams of the device kept working for 20.00 ms after the timed stream was "
            "done, and times do not include that work. Let the current stream wait for the work in "
            "fn, or use method='sync'.",
        ),
    )


def test_held_runs_warn_about_other_streams(cuda: Simulated, simulated: SimulatedMachine) -> None:
    other = cuda.create_stream()

    def fn() -> None:
        simulated.work(10 * US, MS)
        cuda.enqueue(other, 3 * MS)

    found = fasttime.measure(fn)
    assert (found.held, kinds(found)) == (True, ["other_streams"])
    assert found.times == pytest.approx([1e-3] * len(found), rel=1e-6)


def test_short_work_elsewhere_raises_no_warning(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    other = cuda.create_stream()

    def fn() -> None:
        simulated.work(10 * US, MS)
        cuda.enqueue(other, MS // 2)

    assert fasttime.measure(fn, warmup=0, repeat=10).warnings == ()


@pytest.mark.parametrize(("time", "warned"), [(0.4e-6, True), (-0.4e-6, True), (0.6e-6, False)])
def test_less_than_half_a_microsecond_is_not_work(time: float, warned: bool) -> None:
    assert (judge_work(time, 1e-6, []) is not None) is warned


@pytest.mark.parametrize(
    ("time", "others", "warned"),
    [
        (1 * US * 1e-9, 200e-6, False),
        (1 * US * 1e-9, 201e-6, True),
        (10e-3, 0.5e-3, False),
        (10e-3, 0.51e-3, True),
    ],
)
def test_other_streams_matter_above_5_percent_of_a_run(
    time: float, others: float, warned: bool
) -> None:
    assert bool(judge_elsewhere([Elsewhere(others)], time, 1)) is warned


# --- hardly more than nothing ---


def test_a_reading_of_mostly_overhead_has_a_warning(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 10 * US, 2000, hold=True, warmup=0, repeat=10)
    assert found.median == pytest.approx(2e-6, rel=1e-5)
    assert found.warnings == (
        TimingWarning(
            "below_resolution",
            "A run takes 2.000 µs after the event overhead of 1.250 µs is subtracted, so most of "
            "the reading was overhead. Pass calls=100: a run then makes so many calls, and times "
            "are per call.",
        ),
    )


@pytest.mark.parametrize(("reading", "warned"), [(2.9e-6, True), (3.0e-6, False), (0.0, True)])
def test_three_times_the_event_overhead_is_enough(reading: float, warned: bool) -> None:
    assert (judge_resolution(reading, 1e-6, 0.0, "Do more.") is not None) is warned


def test_a_reading_without_subtraction_is_quoted() -> None:
    found = judge_resolution(2e-6, 1e-6, 0.0, "Do more.")
    assert found is not None
    assert found.message == (
        "A run reads 2.000 µs and an empty run 1.000 µs, so most of the reading is overhead. "
        "Do more."
    )


@pytest.mark.parametrize(
    ("calls", "has_setup", "remedy"),
    [(1, False, "Pass calls=100:"), (7, False, "Pass calls=700:"), (1, True, MORE_WORK)],
)
def test_short_runs_get_a_possible_remedy(calls: int, has_setup: bool, remedy: str) -> None:
    assert longer_runs(calls, has_setup).startswith(remedy)


def test_host_methods_read_overhead_from_empty_runs(
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
def test_a_throttled_device_raises_a_warning(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch, lengths: dict[str, int]
) -> None:
    state = NOT_KNOWN._replace(throttle_reasons=("power cap",), power_w=700.0)
    monkeypatch.setattr("fasttime.measuring.machine.gpu_state", lambda: state)
    found = fasttime.measure(simulated.work, 10 * US, MS, **lengths)  # type: ignore[arg-type]
    assert kinds(found) == ["throttled"]
    assert "throttled (power cap; 700 W at the end)" in found.warnings[0].message


def test_a_clock_change_since_warm_up_is_a_warning(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_at_check: list[int] = []

    def changing_state() -> GpuState:
        runs_at_check.append(simulated.runs)
        return NOT_KNOWN._replace(sm_clock_mhz=1980 if len(runs_at_check) == 1 else 1200)

    monkeypatch.setattr("fasttime.measuring.machine.gpu_state", changing_state)
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=50, repeat="auto")
    assert kinds(found) == ["clock_changed"]
    assert "went from 1980 MHz to 1200 MHz (-39.4 %)" in found.warnings[0].message
    assert runs_at_check == [51, simulated.runs]  # after the warm-up, and after all


@pytest.mark.parametrize(("kept", "warnings"), [(9, ["few_samples"]), (10, [])])
def test_a_short_measurement_has_a_warning(
    simulated: SimulatedMachine, kept: int, warnings: list[str]
) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=5, repeat=5 + kept)
    assert kinds(found) == warnings


@pytest.mark.parametrize(
    ("device_us", "kind"),
    [
        (lambda run: 1000 + 5 * run, "drift"),
        (lambda run: 1000 + 200 * (run * run % 7 < 2), "two_modes"),
        (lambda run: 1000 + 300 * (run % 10 // 9), "outliers"),
    ],
)
def test_warnings_include_those_about_the_times(
    simulated: SimulatedMachine, device_us: Callable[[int], int], kind: str
) -> None:
    runs = iter(range(100))
    found = fasttime.measure(
        lambda: simulated.work(10 * US, device_us(next(runs)) * US), warmup=0, repeat=100
    )
    assert kind in kinds(found)


# --- the measurement ---


def test_a_sound_measurement_has_no_warnings(simulated: SimulatedMachine) -> None:
    assert fasttime.measure(simulated.work, 10 * US, MS).warnings == ()


def test_on_the_cpu_there_is_one_warning(script: ScriptedLoop) -> None:
    script.cuda_is_up = False
    found = fasttime.measure(script.work, 0.25, 0.0, method="sync", budget=16.0)
    assert kinds(found) == ["cpu"]
    assert (found.median, found.device, found.bottleneck) == (0.25, "cpu", None)
    assert found.wall_time == 0.25


def test_a_measurement_prints_its_warnings(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, warmup=0, repeat=4)
    assert f"warning (raw): {found.warnings[0].message}" in " ".join(str(found).split())


# --- cost that the median leaves out ---


@pytest.mark.parametrize(("hold", "kind"), [(True, "wall_time"), (False, "rare_cost")])
def test_a_rare_host_cost_raises_a_warning(
    simulated: SimulatedMachine, hold: bool, kind: str
) -> None:
    calls = iter(range(1_000_000))

    def fn() -> None:
        simulated.work((2500 if next(calls) % 25 == 0 else 0) * US + 10 * US, 100 * US)

    found = fasttime.measure(fn, hold=hold, budget=0.5)
    assert kind in kinds(found)


@pytest.mark.parametrize(("host", "device"), [(100, 20), (10, 100), (20, 20)])
@pytest.mark.parametrize("hold", [True, False])
def test_a_regular_cost_raises_no_wall_time_warning(
    simulated: SimulatedMachine, host: int, device: int, hold: bool
) -> None:
    found = fasttime.measure(simulated.work, host * US, device * US, hold=hold, budget=0.2)
    assert "wall_time" not in kinds(found)

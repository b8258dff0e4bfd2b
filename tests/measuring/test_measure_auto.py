# SPDX-License-Identifier: BSD-3-Clause
"""Automatic lengths: the warm-up, the number of runs, and whether the stream is held."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, S, SimulatedMachine

import fasttime
from fasttime.measuring import adaptive
from fasttime.measuring.adaptive import run_until_known
from fasttime.measuring.batch import Batch
from fasttime.measuring.progress import ProgressBar
from fasttime.measuring.warm_up import (
    MOST_RUNS,
    WarmUp,
    batch_time,
    runs_for,
    warm_up,
)
from fasttime.measuring.warnings import unsteady
from fasttime.stats.median import median_interval


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in measurement.warnings]


# --- host or device ---


def test_host_bound_callables_show_device_time_alone(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, budget=0.1)
    assert (found.held, found.is_calibrated) == (True, True)
    assert found.times == pytest.approx([20e-6] * len(found), rel=1e-6)
    assert found.event_overhead == pytest.approx(1.25e-6, rel=1e-6)
    assert found.host_times == pytest.approx([100e-6] * len(found.host_times), rel=1e-6)
    assert found.warnings == ()


def test_wall_time_of_host_bound_calls_is_host_time(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, budget=1.0)
    # 200 runs in a row, and the last run's work on the device.
    assert found.wall_time == pytest.approx((200 * 100e-6 + 20e-6) / 200)


def test_a_host_bound_callable_has_a_headroom(simulated: SimulatedMachine) -> None:
    bottleneck = fasttime.measure(simulated.work, 100 * US, 20 * US, budget=0.1).bottleneck
    assert bottleneck is not None
    assert bottleneck.bound == "host-bound"
    assert bottleneck.headroom == pytest.approx(5.0)
    assert bottleneck.reason == (
        "the device could go 5.0 times faster (100.0 µs to issue, 20.00 µs on the device)"
    )


@pytest.mark.parametrize("hold", [None, False])
def test_device_bound_callables_are_calibrated(
    cuda: Simulated, simulated: SimulatedMachine, hold: bool | None
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 10 * US, MS, hold=hold)
    assert (found.held, found.is_calibrated) == (hold is None, True)
    assert found.event_overhead == pytest.approx(1.25e-6, rel=1e-6)
    assert found.times == pytest.approx([1e-3] * len(found), rel=1e-6)
    assert found.host_times == pytest.approx([10e-6] * len(found.host_times), rel=1e-6)
    assert found.warnings == ()


def test_a_device_bound_callable_has_a_headroom(simulated: SimulatedMachine) -> None:
    bottleneck = fasttime.measure(simulated.work, 10 * US, MS).bottleneck
    assert bottleneck is not None
    assert bottleneck.bound == "device-bound"
    assert bottleneck.headroom == pytest.approx(100.0)


def test_long_device_bound_runs_are_not_held(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 10 * US, 100 * MS)
    assert found.held is False
    assert found.bottleneck is not None
    assert found.bottleneck.bound == "device-bound"


def test_long_host_bound_runs_are_held(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 100 * MS, 10 * MS)
    assert found.held is True
    assert found.times == pytest.approx([10e-3] * len(found), rel=1e-6)


@pytest.mark.parametrize(
    ("device", "bound"),
    [(880, "host-bound"), (930, "unclear"), (1080, "unclear"), (1120, "device-bound")],
)
def test_within_ten_percent_the_bottleneck_is_unclear(
    simulated: SimulatedMachine, device: int, bound: str
) -> None:
    found = fasttime.measure(simulated.work, 1000 * US, device * US)
    assert found.bottleneck is not None
    assert found.bottleneck.bound == bound


@pytest.mark.parametrize("hold", [None, False])
def test_a_full_queue_does_not_count_as_issuing(
    cuda: Simulated, simulated: SimulatedMachine, hold: bool | None
) -> None:
    # A run takes two entries of the queue, one per event, and a batch has 200 runs.
    cuda.set_queue_limit(300)

    def fn() -> None:
        simulated.work(1 * US, 100 * US)

    found = fasttime.measure(fn, hold=hold)
    assert found.held is (hold is None)
    assert found.bottleneck is not None
    assert found.bottleneck.headroom == pytest.approx(100.0)
    assert found.host_times == pytest.approx([1e-6] * len(found.host_times), rel=1e-6)


@pytest.mark.parametrize(("hold", "times"), [(False, 100e-6), (True, 20e-6)])
def test_hold_does_what_it_says(simulated: SimulatedMachine, hold: bool, times: float) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, hold=hold, budget=0.1)
    assert found.held is hold
    assert found.median == pytest.approx(times, rel=1e-6)
    assert kinds(found) == ([] if hold else ["raw"])


def test_device_bound_callables_are_held_on_request(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, hold=True)
    assert found.held is True
    assert found.median == pytest.approx(1e-3, rel=1e-6)


def test_without_holding_the_headroom_is_unknown(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 1000 * US, 20 * US, hold=False, budget=1.0)
    assert found.bottleneck is not None
    assert (found.bottleneck.bound, found.bottleneck.headroom) == ("host-bound", None)
    assert found.bottleneck.reason.endswith("only hold=True shows how fast the device could go")


@pytest.mark.parametrize("method", ["naive", "sync"])
def test_host_methods_choose_their_number_of_runs(simulated: SimulatedMachine, method: Any) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, method=method, budget=0.3)
    assert found.median == pytest.approx({"naive": 100e-6, "sync": 120e-6}[method])
    assert (found.held, found.is_calibrated, found.bottleneck) == (False, False, None)
    assert found.ended_by == "precision"


# --- until the median is known ---


def test_equal_times_need_five_batches(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, budget=1.0)
    assert found.ended_by == "precision"
    assert len(found) == 5 * 20  # 20 ms per batch


def test_a_known_median_needs_twenty_runs(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, 12 * MS, budget=10.0)
    assert (found.ended_by, len(found)) == ("precision", 5 * 4)
    found = fasttime.measure(simulated.work, 10 * US, 40 * MS, budget=10.0)
    assert (found.ended_by, len(found)) == ("precision", 20)


def swinging(simulated: SimulatedMachine) -> Any:
    """Return work that takes 10 ms for a fifth of a second, then 20 ms, 30 ms, and so on."""
    cuda = simulated.cuda
    return lambda: simulated.work(10 * US, (10 + 10 * (cuda.now_ns // (200 * MS) % 3)) * MS)


def test_unsteady_times_end_by_the_budget(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptive, "_SOONEST", 0.5)
    found = fasttime.measure(swinging(simulated), budget=20.0)
    assert found.ended_by == "budget"


def test_a_wider_precision_ends_sooner(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(swinging(simulated), budget=20.0, precision=1.0)
    assert found.ended_by == "precision"


class Noisy:
    """A sampler of noisy runs of 5 ms. Each batch as a whole may be off, too."""

    def __init__(self, simulated: SimulatedMachine, seed: int, noise: float, offset: float) -> None:
        self.simulated, self.rng = simulated, np.random.default_rng(seed)
        self.noise, self.offset = noise, offset

    def take(self, runs: int, ignored: int = 0) -> Batch:
        of_batch = 1 + self.offset * self.rng.standard_normal()
        times = 5e-3 * (of_batch + self.noise * self.rng.standard_normal(runs))
        self.simulated.cuda.advance(round(times.sum() * 1e9))
        return Batch(times, times, float(times.sum()), work_was_waiting=False)


@pytest.mark.parametrize(("noise", "offset"), [(0.02, 0.0), (0.01, 0.01)])
def test_precision_bounds_the_interval(
    simulated: SimulatedMachine, noise: float, offset: float
) -> None:
    ended, covered = [], []
    for seed in range(40):
        sampler = Noisy(simulated, seed, noise, offset)
        runs = run_until_known(
            lambda: simulated.cuda.advance(5 * MS),
            sampler,
            None,
            WarmUp(np.empty(0), 5e-3, sampler.take(1), True, None),
            kept=None,
            precision=0.005,
            budget=4.0,
            bar=ProgressBar("noisy"),
        )
        low, high = median_interval(np.concatenate(runs.times))
        covered.append(low <= 5e-3 <= high)
        if runs.ended_by == "precision":
            ended.append((low, high))
    assert len(ended) > 20
    assert all((high - low) / 2 <= 0.005 * (high + low) / 2 * 1.01 for low, high in ended)
    assert np.mean(covered) >= 0.9


def test_the_budget_limits_runs_and_warm_up(cuda: Simulated, simulated: SimulatedMachine) -> None:
    start = cuda.now_ns
    found = fasttime.measure(swinging(simulated), budget=20.0)
    longest_round = 3 * 0.05 + 2 * 0.03  # three loops of about one batch
    assert (cuda.now_ns - start) * 1e-9 <= 1.25 * 20.0 + 5 * longest_round
    assert found.loop_time == pytest.approx((cuda.now_ns - start) * 1e-9, abs=1e-3)


@pytest.mark.parametrize(
    ("host", "device", "calls"),
    [
        (2 * S, MS, 2 + 2 + 3),  # warm-up; not held, with one left out; held, with two before
        (10 * US, 2 * S, 2 + 2),
    ],
)
def test_a_two_second_callable_runs_a_few_times(
    simulated: SimulatedMachine, host: int, device: int, calls: int
) -> None:
    found = fasttime.measure(simulated.work, host, device, budget=1.0)
    assert simulated.runs == calls
    assert (found.ended_by, len(found), found.warmup) == ("budget", 1, 2)
    assert found.median == pytest.approx(device * 1e-9, rel=1e-6)


def test_on_the_cpu_every_long_run_is_kept(script: ScriptedLoop) -> None:
    script.cuda_is_up = False
    found = fasttime.measure(script.work, 0.25, 0.0, method="sync", budget=1.0)
    assert len(found) + found.warmup == script.log.count("run")
    assert (len(found), found.wall_time) == (4, 0.25)


# --- warm-up ---


def test_no_time_includes_a_cold_start(simulated: SimulatedMachine) -> None:
    calls = iter(range(1_000_000))
    found = fasttime.measure(lambda: simulated.work(10 * US, (9 if next(calls) < 2 else 1) * MS))
    assert found.warmup_times[0] == pytest.approx(9.01e-3, rel=1e-6)
    assert found.times == pytest.approx([1e-3] * len(found), rel=1e-6)
    assert found.warnings == ()


def test_times_that_do_not_settle_raise_a_warning(simulated: SimulatedMachine) -> None:
    calls = iter(range(1_000_000))
    found = fasttime.measure(lambda: simulated.work(10 * US, (1 + next(calls)) * MS), budget=1.0)
    assert "unsteady" in kinds(found)
    message = next(warning.message for warning in found.warnings if warning.kind == "unsteady")
    assert message == (
        "Times had not settled to within 5 % when the warm-up ended after "
        f"{found.warmup} runs, and the kept runs still changed. Use a larger budget, or "
        "keep other work off the machine."
    )


@pytest.mark.parametrize("milliseconds", [20, 100, 400])
def test_too_few_batches_raise_no_unsteady_warning(
    simulated: SimulatedMachine, milliseconds: int
) -> None:
    found = fasttime.measure(simulated.work, 10 * US, milliseconds * MS, budget=0.2)
    assert "unsteady" not in kinds(found)


def test_the_first_call_does_not_use_up_the_warm_up(
    simulated: SimulatedMachine,
) -> None:
    calls = iter(range(1_000_000))
    found = fasttime.measure(lambda: simulated.work(10 * US, 1 * MS if next(calls) else 9 * S))
    assert kinds(found) == ["first_run"]


def test_one_warm_up_run_is_singular() -> None:
    assert " after 1 run, and " in unsteady(1).message


def test_a_given_warm_up_allows_automatic_repeat(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=7)
    assert (found.warmup, len(found.warmup_times), found.ended_by) == (7, 7, "precision")
    assert (found.repeat, len(found)) == (7 + 100, 100)


@pytest.mark.parametrize(("host", "device"), [(10 * US, MS), (100 * US, 20 * US)])
def test_an_automatic_warm_up_keeps_all_given_runs(
    simulated: SimulatedMachine, host: int, device: int
) -> None:
    found = fasttime.measure(simulated.work, host, device, repeat=70)
    assert (len(found), found.ended_by, found.held) == (70, "count", True)
    assert found.warmup == len(found.warmup_times) > 0
    assert found.times == pytest.approx([device * 1e-9] * 70, rel=1e-6)


class Scripted:
    """A sampler whose batches take the listed times, in seconds per run."""

    def __init__(self, simulated: SimulatedMachine, *run_times: float) -> None:
        self.simulated, self.run_times, self.asked = simulated, list(run_times), list[int]()

    def take(self, runs: int, ignored: int = 0) -> Batch:
        run_time = self.run_times.pop(0) if len(self.run_times) > 1 else self.run_times[0]
        self.asked.append(runs)
        self.simulated.cuda.advance(round(runs * run_time * 1e9))
        return Batch(np.full(runs, run_time), np.zeros(runs), runs * run_time)


def test_warm_up_batches_grow_fourfold(
    simulated: SimulatedMachine,
) -> None:
    sampler = Scripted(simulated, 1e-3)
    found = warm_up(sampler, batch_time=0.1, budget=10.0)
    assert sampler.asked == [1, 4, 16, 64, 100, 100]  # the three that reach half of it count
    assert (found.is_steady, found.run_time, len(found.times)) == (True, 1e-3, 285)
    assert len(found.last.times) == 100


@pytest.mark.parametrize(("last", "more"), [(1.04e-3, 0), (1.06e-3, 2)])
def test_three_equal_batches_end_a_warm_up(
    simulated: SimulatedMachine, last: float, more: int
) -> None:
    sampler = Scripted(simulated, *[1e-3] * 5, last)
    warm_up(sampler, batch_time=0.1, budget=10.0)
    assert len(sampler.asked) == 6 + more


def test_the_budget_ends_a_warm_up(simulated: SimulatedMachine) -> None:
    sampler = Scripted(simulated, *[1.0 * 1.1**step for step in range(100)])
    found = warm_up(sampler, batch_time=0.1, budget=5.0)
    assert found.is_steady is False
    assert sampler.asked == [1] * 5  # 1 + 1.1 + 1.21 + 1.33 < 5


def test_each_long_run_is_a_batch(simulated: SimulatedMachine) -> None:
    sampler = Scripted(simulated, 1.0)
    assert warm_up(sampler, batch_time=0.1, budget=5.0).is_steady is True
    assert sampler.asked == [1, 1, 1]


def test_runs_without_duration_end_a_warm_up(simulated: SimulatedMachine) -> None:
    sampler = Scripted(simulated, 0.0)
    found = warm_up(sampler, batch_time=0.1, budget=5.0)
    assert (found.is_steady, sampler.asked[-1]) == (True, MOST_RUNS)


@pytest.mark.parametrize(
    ("seconds", "run_time", "most", "runs"),
    [
        (0.02, 1e-3, 100, 20),
        (0.02, 1e-3, 20, 20),
        (0.02, 1e-3, 19, 19),
        (0.02, 0.0, 100, 100),
        (0.02, 2.0, 100, 1),
        (0.02, 0.013, 100, 2),
    ],
)
def test_a_batch_has_at_least_one_run(
    seconds: float, run_time: float, most: int, runs: int
) -> None:
    assert runs_for(seconds, run_time, most) == runs


@pytest.mark.parametrize(
    ("budget", "seconds"), [(1.0, 0.02), (0.1, 0.002), (2.5, 0.05), (60, 0.05)]
)
def test_a_batch_takes_a_fiftieth_of_the_budget(budget: float, seconds: float) -> None:
    assert batch_time(budget) == pytest.approx(seconds)

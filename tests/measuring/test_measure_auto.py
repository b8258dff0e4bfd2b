# SPDX-License-Identifier: BSD-3-Clause
"""`measure` by itself: warm-up, how many runs, what is held, and what comes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fasttime.measuring.plan import run_until_known
from fasttime.measuring.sampler import Batch
from fasttime.stats.times import median_interval
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, S, SimulatedMachine

import fasttime
from fasttime.measuring.progress import ProgressBar
from fasttime.measuring.warm_up import (
    MOST_RUNS,
    WarmUp,
    batch_time,
    runs_for,
    warm_up,
)
from fasttime.measuring.warnings import unsteady


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in measurement.warnings]


# --- host or device ---


def test_a_host_bound_callable_is_held_and_shows_the_device_s_own_time(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, budget=0.1)
    assert (found.held, found.is_calibrated) == (True, True)
    assert found.times == pytest.approx([20e-6] * len(found), rel=1e-6)
    assert found.event_overhead == pytest.approx(1.25e-6, rel=1e-6)
    assert found.host_times == pytest.approx([100e-6] * len(found.host_times), rel=1e-6)
    assert found.warnings == ()


def test_a_host_bound_callable_takes_as_long_in_all_as_the_host_takes_to_issue_it(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, budget=1.0)
    # 200 runs in a row, and the device's part of the last one.
    assert found.wall_time == pytest.approx((200 * 100e-6 + 20e-6) / 200)


def test_a_host_bound_callable_says_by_how_much(simulated: SimulatedMachine) -> None:
    bottleneck = fasttime.measure(simulated.work, 100 * US, 20 * US, budget=0.1).bottleneck
    assert bottleneck is not None
    assert bottleneck.bound == "host-bound"
    assert bottleneck.headroom == pytest.approx(5.0)
    assert bottleneck.reason == (
        "the device could go 5.0 times faster (100.0 µs to issue, 20.00 µs on the device)"
    )


@pytest.mark.parametrize("hold", [None, False])
def test_a_device_bound_callable_is_calibrated_whether_or_not_it_is_held(
    cuda: Simulated, simulated: SimulatedMachine, hold: bool | None
) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 10 * US, MS, hold=hold)
    assert (found.held, found.is_calibrated) == (hold is None, True)
    assert found.event_overhead == pytest.approx(1.25e-6, rel=1e-6)
    assert found.times == pytest.approx([1e-3] * len(found), rel=1e-6)
    assert found.host_times == pytest.approx([10e-6] * len(found.host_times), rel=1e-6)
    assert found.warnings == ()


def test_a_device_bound_callable_says_by_how_much(simulated: SimulatedMachine) -> None:
    bottleneck = fasttime.measure(simulated.work, 10 * US, MS).bottleneck
    assert bottleneck is not None
    assert bottleneck.bound == "device-bound"
    assert bottleneck.headroom == pytest.approx(100.0)


def test_a_device_bound_callable_whose_runs_fill_a_batch_alone_is_not_held(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 10 * US, 100 * MS)
    assert found.held is False
    assert found.bottleneck is not None
    assert found.bottleneck.bound == "device-bound"


def test_a_host_bound_callable_whose_runs_fill_a_batch_alone_is_held(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 100 * MS, 10 * MS)
    assert found.held is True
    assert found.times == pytest.approx([10e-3] * len(found), rel=1e-6)


@pytest.mark.parametrize(
    ("device", "bound"),
    [(880, "host-bound"), (930, "unclear"), (1080, "unclear"), (1120, "device-bound")],
)
def test_within_ten_percent_it_is_too_close_to_call(
    simulated: SimulatedMachine, device: int, bound: str
) -> None:
    found = fasttime.measure(simulated.work, 1000 * US, device * US)
    assert found.bottleneck is not None
    assert found.bottleneck.bound == bound


@pytest.mark.parametrize("hold", [None, False])
def test_a_full_launch_queue_does_not_pass_for_issuing(
    cuda: Simulated, simulated: SimulatedMachine, hold: bool | None
) -> None:
    # A run takes two entries of the queue, one for each event, and a batch has 200 runs.
    cuda.set_queue_limit(300)

    def fn() -> None:
        simulated.work(1 * US, 100 * US)

    found = fasttime.measure(fn, hold=hold)
    assert found.held is (hold is None)
    assert found.bottleneck is not None
    assert found.bottleneck.headroom == pytest.approx(100.0)
    assert found.host_times == pytest.approx([1e-6] * len(found.host_times), rel=1e-6)


@pytest.mark.parametrize(("hold", "times"), [(False, 100e-6), (True, 20e-6)])
def test_hold_is_done_as_told(simulated: SimulatedMachine, hold: bool, times: float) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, hold=hold, budget=0.1)
    assert found.held is hold
    assert found.median == pytest.approx(times, rel=1e-6)
    assert kinds(found) == ([] if hold else ["raw"])


def test_a_device_bound_callable_is_held_where_told_to(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, hold=True)
    assert found.held is True
    assert found.median == pytest.approx(1e-3, rel=1e-6)


def test_what_is_not_held_cannot_tell_how_fast_the_device_could_go(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 1000 * US, 20 * US, hold=False, budget=1.0)
    assert found.bottleneck is not None
    assert (found.bottleneck.bound, found.bottleneck.headroom) == ("host-bound", None)
    assert found.bottleneck.reason.endswith("says nothing of how fast the device could go")


@pytest.mark.parametrize("method", ["naive", "sync"])
def test_methods_that_read_the_host_s_clock_find_their_number_of_runs_too(
    simulated: SimulatedMachine, method: Any
) -> None:
    found = fasttime.measure(simulated.work, 100 * US, 20 * US, method=method, budget=0.1)
    assert found.median == pytest.approx({"naive": 100e-6, "sync": 120e-6}[method])
    assert (found.held, found.is_calibrated, found.bottleneck) == (False, False, None)
    assert found.ended_by == "precision"


# --- until the median is known ---


def test_times_that_agree_end_by_precision_after_five_batches(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, budget=1.0)
    assert found.ended_by == "precision"
    assert len(found) == 5 * 20  # of 20 ms each


def test_at_least_twenty_runs_make_a_median_known(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, 12 * MS, budget=10.0)
    assert (found.ended_by, len(found)) == ("precision", 5 * 4)
    found = fasttime.measure(simulated.work, 10 * US, 40 * MS, budget=10.0)
    assert (found.ended_by, len(found)) == ("precision", 20)


def swinging(simulated: SimulatedMachine) -> Any:
    """Work that takes 10 ms for a fifth of a second, or a few batches, then 30 ms, and so on."""
    cuda = simulated.cuda
    return lambda: simulated.work(10 * US, (30 if cuda.now_ns // (200 * MS) % 2 else 10) * MS)


def test_times_that_never_agree_end_by_the_budget(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(swinging(simulated), budget=20.0)
    assert found.ended_by == "budget"


def test_a_wider_precision_ends_sooner(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(swinging(simulated), budget=20.0, precision=1.0)
    assert found.ended_by == "precision"


class Noisy:
    """A sampler of noisy runs of 5 ms, each batch of which may be off by some part as a whole."""

    def __init__(self, simulated: SimulatedMachine, seed: int, noise: float, offset: float) -> None:
        self.simulated, self.rng = simulated, np.random.default_rng(seed)
        self.noise, self.offset = noise, offset

    def take(self, runs: int, ignored: int = 0) -> Batch:
        of_batch = 1 + self.offset * self.rng.standard_normal()
        times = 5e-3 * (of_batch + self.noise * self.rng.standard_normal(runs))
        self.simulated.cuda.advance(round(times.sum() * 1e9))
        return Batch(times, times, float(times.sum()), work_was_waiting=False)


@pytest.mark.parametrize(("noise", "offset"), [(0.02, 0.0), (0.01, 0.01)])
def test_a_run_that_ends_by_precision_has_an_interval_as_narrow_as_asked(
    simulated: SimulatedMachine, noise: float, offset: float
) -> None:
    ended = []
    for seed in range(60):
        sampler = Noisy(simulated, seed, noise, offset)
        runs = run_until_known(
            lambda: None,
            sampler,
            None,
            WarmUp(np.empty(0), 5e-3, sampler.take(1), True, None),
            kept=None,
            precision=0.005,
            budget=1.0,
            bar=ProgressBar("noisy"),
        )
        low, high = median_interval(np.concatenate(runs.times))
        if runs.ended_by == "precision":
            ended.append((low, high))
    assert len(ended) > 30
    assert all((high - low) / 2 <= 0.005 * (high + low) / 2 * 1.01 for low, high in ended)
    assert np.mean([low <= 5e-3 <= high for low, high in ended]) >= 0.85


def test_the_budget_limits_runs_that_count_and_a_quarter_of_it_the_warm_up(
    cuda: Simulated, simulated: SimulatedMachine
) -> None:
    start = cuda.now_ns
    found = fasttime.measure(swinging(simulated), budget=20.0)
    longest_round = 3 * 0.05 + 2 * 0.03  # three loops of one batch or little more
    assert (cuda.now_ns - start) * 1e-9 <= 1.25 * 20.0 + 5 * longest_round
    assert found.loop_time == pytest.approx((cuda.now_ns - start) * 1e-9, abs=1e-3)


@pytest.mark.parametrize(
    ("host", "device", "calls"),
    [
        (2 * S, MS, 2 + 2 + 3),  # warm-up; free, the first left out; held, and twice before
        (10 * US, 2 * S, 2 + 2),
    ],
)
def test_a_callable_that_takes_two_seconds_is_called_a_few_times_only(
    simulated: SimulatedMachine, host: int, device: int, calls: int
) -> None:
    found = fasttime.measure(simulated.work, host, device, budget=1.0)
    assert simulated.runs == calls
    assert (found.ended_by, len(found), found.warmup) == ("budget", 1, 2)
    assert found.median == pytest.approx(device * 1e-9, rel=1e-6)


def test_on_the_cpu_every_run_of_a_long_callable_is_kept(script: ScriptedLoop) -> None:
    script.cuda_is_up = False
    found = fasttime.measure(script.work, 0.25, 0.0, method="sync", budget=1.0)
    assert len(found) + found.warmup == script.log.count("run")
    assert (len(found), found.wall_time) == (4, 0.25)


# --- warm-up ---


def test_a_cold_start_is_in_none_of_the_times(simulated: SimulatedMachine) -> None:
    calls = iter(range(1_000_000))
    found = fasttime.measure(lambda: simulated.work(10 * US, (9 if next(calls) < 2 else 1) * MS))
    assert found.warmup_times[0] == pytest.approx(9.01e-3, rel=1e-6)
    assert found.times == pytest.approx([1e-3] * len(found), rel=1e-6)
    assert found.warnings == ()


def test_times_that_do_not_settle_leave_a_warning(simulated: SimulatedMachine) -> None:
    calls = iter(range(1_000_000))
    found = fasttime.measure(lambda: simulated.work(10 * US, (1 + next(calls)) * MS), budget=1.0)
    assert "unsteady" in kinds(found)
    message = next(warning.message for warning in found.warnings if warning.kind == "unsteady")
    assert message == (
        "times had not settled to within 5 % when the time for warming up was over, after "
        f"{found.warmup} runs; give a larger budget, or quieten the machine"
    )


@pytest.mark.parametrize("milliseconds", [20, 100, 400])
def test_a_callable_too_long_to_be_seen_to_settle_leaves_no_warning_of_that(
    simulated: SimulatedMachine, milliseconds: int
) -> None:
    found = fasttime.measure(simulated.work, 10 * US, milliseconds * MS, budget=0.2)
    assert "unsteady" not in kinds(found)


def test_what_the_first_call_takes_is_not_the_warm_up_s_to_spend(
    simulated: SimulatedMachine,
) -> None:
    calls = iter(range(1_000_000))
    found = fasttime.measure(lambda: simulated.work(10 * US, 1 * MS if next(calls) else 9 * S))
    assert found.warnings == ()


def test_a_single_run_of_warm_up_is_spoken_of_as_one() -> None:
    assert ", after 1 run; " in unsteady(1).message


def test_a_warm_up_of_a_given_length_lets_the_runs_find_their_own_number(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, warmup=7)
    assert (found.warmup, len(found.warmup_times), found.ended_by) == (7, 7, "precision")
    assert (found.repeat, len(found)) == (7 + 100, 100)


@pytest.mark.parametrize(("host", "device"), [(10 * US, MS), (100 * US, 20 * US)])
def test_given_runs_after_a_warm_up_that_finds_its_own_length_are_kept_all(
    simulated: SimulatedMachine, host: int, device: int
) -> None:
    found = fasttime.measure(simulated.work, host, device, repeat=70)
    assert (len(found), found.ended_by, found.held) == (70, "count", True)
    assert found.warmup == len(found.warmup_times) > 0
    assert found.times == pytest.approx([device * 1e-9] * 70, rel=1e-6)


class Scripted:
    """A sampler whose batches take as long as a list says, in seconds a run."""

    def __init__(self, simulated: SimulatedMachine, *run_times: float) -> None:
        self.simulated, self.run_times, self.asked = simulated, list(run_times), list[int]()

    def take(self, runs: int, ignored: int = 0) -> Batch:
        run_time = self.run_times.pop(0) if len(self.run_times) > 1 else self.run_times[0]
        self.asked.append(runs)
        self.simulated.cuda.advance(round(runs * run_time * 1e9))
        return Batch(np.full(runs, run_time), np.zeros(runs), runs * run_time)


def test_batches_of_a_warm_up_grow_fourfold_up_to_their_length(
    simulated: SimulatedMachine,
) -> None:
    sampler = Scripted(simulated, 1e-3)
    found = warm_up(sampler, batch_time=0.1, budget=10.0)
    assert sampler.asked == [1, 4, 16, 64, 100, 100]  # the three that reach half of it count
    assert (found.is_steady, found.run_time, len(found.times)) == (True, 1e-3, 285)
    assert len(found.last.times) == 100


@pytest.mark.parametrize(("last", "more"), [(1.04e-3, 0), (1.06e-3, 2)])
def test_a_warm_up_is_over_once_three_batches_agree_to_within_five_percent(
    simulated: SimulatedMachine, last: float, more: int
) -> None:
    sampler = Scripted(simulated, *[1e-3] * 5, last)
    warm_up(sampler, batch_time=0.1, budget=10.0)
    assert len(sampler.asked) == 6 + more


def test_a_warm_up_is_over_when_its_time_is(simulated: SimulatedMachine) -> None:
    sampler = Scripted(simulated, *[1.0 * 1.1**step for step in range(100)])
    found = warm_up(sampler, batch_time=0.1, budget=5.0)
    assert found.is_steady is False
    assert sampler.asked == [1] * 5  # 1 + 1.1 + 1.21 + 1.33 < 5


def test_long_runs_are_a_batch_each(simulated: SimulatedMachine) -> None:
    sampler = Scripted(simulated, 1.0)
    assert warm_up(sampler, batch_time=0.1, budget=5.0).is_steady is True
    assert sampler.asked == [1, 1, 1]


def test_runs_that_take_no_time_end_a_warm_up_too(simulated: SimulatedMachine) -> None:
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
def test_runs_fill_a_batch_but_are_one_at_least(
    seconds: float, run_time: float, most: int, runs: int
) -> None:
    assert runs_for(seconds, run_time, most) == runs


@pytest.mark.parametrize(
    ("budget", "seconds"), [(1.0, 0.02), (0.1, 0.002), (2.5, 0.05), (60, 0.05)]
)
def test_a_batch_is_a_fiftieth_of_the_budget_and_at_most_50_ms(
    budget: float, seconds: float
) -> None:
    assert batch_time(budget) == pytest.approx(seconds)

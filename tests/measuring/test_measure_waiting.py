# SPDX-License-Identifier: BSD-3-Clause
"""Whether work was waiting in a row of runs: never wrong, and known when it can be."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from scripted_loop import ScriptedLoop
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime import TimingWarning
from fasttime.measuring.samplers import EventSampler
from fasttime.measuring.waiting import in_most, work_was_waiting

RATIOS = [percent / 100 for percent in range(80, 121, 2)]  # device time by host time
REPEATS = [*range(2, 13), 15, 30, 50]

# How a run issues its work: all at its end, all at its beginning, or in pieces throughout.
WAYS = {"late": 1, "early": 1, "spread": 40}


@dataclass
class Row:
    """The readings of a row of runs, and the truth about it. Times are in seconds."""

    times: np.ndarray
    begins: np.ndarray
    host_times: np.ndarray
    backlog: float
    idle: np.ndarray  # how long the device was idle within each run

    def answer(self, ignored: int = 0) -> bool | None:
        return work_was_waiting(self.times, self.begins, self.host_times, self.backlog, ignored)


def row(
    host: np.ndarray, device: np.ndarray, way: str, there: float = 0.0, back: float = 0.0
) -> Row:
    """Execute runs of the given lengths on one stream; work arrives `there` seconds late."""
    pieces = WAYS[way]
    now = done = 0.0
    times, begins, idle = [], [], []
    for issuing, working in zip(host, device, strict=True):
        begins.append(now)
        begin, waited = max(now, done), 0.0
        done = begin
        for piece in range(pieces):
            issued = now + issuing * (piece + (way != "early")) / pieces
            waited += max(0.0, issued + there - done)
            done = max(issued + there, done) + working / pieces
        now += issuing
        waited += max(0.0, now - done)
        done = max(now, done)  # the event at the end of the run is recorded after its work
        times.append(done - begin)
        idle.append(waited)
    return Row(np.array(times), np.array(begins), host, done - now + back, np.array(idle))


@functools.cache
def steady(host: float, ratio: float, runs: int, way: str) -> Row:
    return row(np.full(runs, host), np.full(runs, host * ratio), way)


def sweep() -> Iterator[tuple[float, int]]:
    yield from ((ratio, runs) for ratio in RATIOS for runs in REPEATS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", [10e-6, 100e-6, 1e-3, 0.1])
def test_steady_rows_are_never_misjudged(way: str, host: float) -> None:
    false = []
    for ratio, runs in sweep():
        answer = steady(host, ratio, runs, way).answer()
        if (answer is True and ratio <= 1) or (answer is False and ratio > 1):
            false.append((ratio, runs, answer))
    assert false == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", [10e-6, 100e-6, 1e-3])
@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_noisy_rows_are_never_misjudged(way: str, host: float, noise: float) -> None:
    false = []
    for ratio, runs in sweep():
        rng = np.random.default_rng([runs, round(100 * ratio)])
        issuing, working = host * np.exp(noise * rng.standard_normal((2, runs)))
        found = row(issuing, ratio * working, way, there=8e-6, back=20e-6)
        answer = found.answer()
        waited = np.median(found.idle) > 1e-9
        was_slower = working.sum() * ratio > 1.02 * issuing.sum() + 20e-6
        if (answer is True and waited) or (answer is False and was_slower):
            false.append((ratio, runs, answer))
    assert false == []


@pytest.mark.parametrize("way", WAYS)
def test_a_device_a_run_behind_is_recognised(way: str) -> None:
    missed = [
        (ratio, runs)
        for ratio, runs in sweep()
        if (ratio - 1) * runs > 2.5 and steady(1e-3, ratio, runs, way).answer() is not True
    ]
    assert missed == []


@pytest.mark.parametrize("way", ["early", "spread"])
def test_a_device_that_keeps_up_is_recognised(way: str) -> None:
    missed = [
        (ratio, runs)
        for ratio, runs in sweep()
        if ratio < 1 and runs > 2 and steady(1e-3, ratio, runs, way).answer() is not False
    ]
    assert missed == []
    assert {steady(1e-3, ratio, runs, "late").answer() for ratio, runs in sweep() if ratio < 1} == {
        None
    }


def test_the_sampler_agrees_with_the_model(cuda: Simulated, simulated: SimulatedMachine) -> None:
    for way, ratio, runs in [("late", 0.9, 8), ("late", 1.2, 8), ("early", 0.9, 30)]:

        def fn(way: str = way, ratio: float = ratio) -> None:
            cuda.advance(MS * (way == "late"))
            cuda.enqueue(0, round(ratio * MS))
            cuda.advance(MS * (way == "early"))

        batch = EventSampler(fn).take(runs)
        assert batch.work_was_waiting is steady(1e-3, ratio, runs, way).answer()


# --- special rows ---


def test_a_stall_at_the_end_leaves_it_unknown() -> None:
    host = np.full(50, 1e-3)
    host[-1] = 1.0
    assert row(host, np.full(50, 1.3e-3), "early").answer() is None


def test_a_stall_in_between_does_not_matter() -> None:
    host = np.full(50, 1e-3)
    host[30] = 8e-3
    assert row(host, np.full(50, 1.3e-3), "late").answer() is True


def test_a_host_that_slows_down_leaves_it_unknown() -> None:
    host = np.repeat([1e-3, 2e-3], 25)
    assert row(host, np.full(50, 1.3e-3), "early").answer() is None


def test_a_tiny_launch_queue_leaves_it_unknown() -> None:
    # The host is always a fifth of a run ahead, so the device is never idle.
    times, begins = np.full(50, 0.01), 0.01 * np.arange(50) - 0.002
    begins[0] = 0.0
    host_times = np.append(begins[1:], 0.498) - begins
    assert work_was_waiting(times, begins, host_times, 0.002) is None


def test_only_kept_runs_count() -> None:
    found = steady(1e-3, 1.2, 12, "early")
    assert (found.answer(), found.answer(ignored=5)) == (None, True)
    assert found.answer(ignored=12) is None


def test_the_device_may_work_between_runs() -> None:
    # A cache is cleared before each run, which takes as long as the run.
    times, begins = np.full(50, 1e-3), 10e-6 * np.arange(50)
    assert work_was_waiting(times, begins, np.full(50, 8e-6), 0.0995) is True


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        ([True, True, None], True),
        ([False, False, True], False),
        ([True, False, None], None),
        ([True, False], None),
        ([], None),
    ],
)
def test_the_majority_of_rows_decides(rows: list[bool | None], answer: bool | None) -> None:
    assert in_most(rows) is answer


def test_without_cuda_no_work_is_waiting(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.cuda_is_up = False
    monkeypatch.setattr("fasttime.measuring.machine.synchronize_stream", lambda: script.sleep(1.0))
    batch = EventSampler(lambda: script.work(0.25, 0.0)).take(4)
    assert (batch.backlog, batch.work_was_waiting) == (1.0, False)


# --- the measurement ---


def test_an_unknown_row_stays_raw_and_unclear(cuda: Simulated, simulated: SimulatedMachine) -> None:
    cuda.set_event_time(1250)
    found = fasttime.measure(simulated.work, 1000 * US, 900 * US, warmup=0, repeat=10)
    assert found.is_calibrated is False
    assert found.warnings == (
        TimingWarning(
            "raw",
            "It is unknown whether the device waited for the host, so times may include that wait "
            "and the event overhead (issuing a call takes 1.000 ms). Use hold=True to read the "
            "device's own time.",
        ),
    )
    assert found.bottleneck is not None
    assert found.bottleneck.bound == "unclear"

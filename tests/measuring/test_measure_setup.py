# SPDX-License-Identifier: BSD-3-Clause
"""`measure` with fresh or cycled arguments, several calls per run, and a minimum time."""

from __future__ import annotations

import functools
import importlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from leftovers import no_stream_is_held, pool_is_whole
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime.measuring.held import HeldSampler
from fasttime.measuring.prepared import Fresh
from fasttime.measuring.samplers import EventSampler

adaptive = importlib.import_module("fasttime.measuring.adaptive")

HOST, DEVICE = 10 * US, 20 * US
SETUP_HOST, SETUP_DEVICE = 30 * US, 70 * US

Setup = Callable[[], tuple[int]]


def kinds(found: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in found.warnings]


@pytest.fixture
def setup(simulated: SimulatedMachine) -> Setup:
    """A setup with work on host and device, which numbers the arguments."""
    numbers = itertools.count()

    def make() -> tuple[int]:
        simulated.cuda.advance(SETUP_HOST)
        simulated.cuda.enqueue(simulated.stream, SETUP_DEVICE)
        return (next(numbers),)

    return make


@pytest.fixture
def fn(simulated: SimulatedMachine) -> Callable[[int], None]:
    """A callable that logs its argument."""

    def run(number: int) -> None:
        simulated.work(HOST, DEVICE)
        simulated.log.append(f"got {number}")

    return run


def got(simulated: SimulatedMachine) -> list[int]:
    """Return the arguments of all runs in order."""
    return [int(line[4:]) for line in simulated.log if line.startswith("got")]


# --- setup ---


@pytest.mark.parametrize("hold", [True, False])
def test_the_work_of_setup_is_not_timed(
    simulated: SimulatedMachine, setup: Setup, fn: Any, hold: bool
) -> None:
    found = fasttime.measure(fn, setup=setup, hold=hold, warmup=2, repeat=12)
    assert found.times == pytest.approx([DEVICE * 1e-9] * 10, rel=1e-6)
    assert found.host_times == pytest.approx([HOST * 1e-9] * 10, rel=1e-6)
    assert found.has_setup
    assert found.wall_time is None
    assert "fresh arguments in each run" in str(found)


def test_automatic_lengths_leave_setup_out(
    simulated: SimulatedMachine, setup: Setup, fn: Any
) -> None:
    found = fasttime.measure(fn, setup=setup, budget=0.2)
    assert found.held
    assert found.median == pytest.approx(DEVICE * 1e-9, rel=1e-6)
    assert found.host_time == pytest.approx(HOST * 1e-9, rel=1e-6)
    assert found.wall_time is None
    assert all(row["host_time"] != row["host_time"] for row in found._records())


def test_the_sync_method_waits_for_setup(
    simulated: SimulatedMachine, setup: Setup, fn: Any
) -> None:
    found = fasttime.measure(fn, setup=setup, method="sync", warmup=1, repeat=5)
    assert found.times == pytest.approx([(HOST + DEVICE) * 1e-9] * 4, rel=1e-6)


@pytest.mark.parametrize("hold", [True, False])
def test_each_run_has_its_own_arguments(
    simulated: SimulatedMachine, setup: Setup, fn: Any, hold: bool
) -> None:
    fasttime.measure(fn, setup=setup, hold=hold, warmup=2, repeat=6)
    runs = got(simulated)
    assert runs == list(range(len(runs)))
    assert len(runs) == (7 if hold else 6)


def test_setup_may_wait_although_the_stream_is_held(simulated: SimulatedMachine) -> None:
    def setup() -> tuple[()]:
        simulated.cuda.enqueue(simulated.stream, SETUP_DEVICE)
        simulated.synchronize_stream()
        return ()

    found = fasttime.measure(
        lambda: simulated.work(HOST, DEVICE), setup=setup, hold=True, warmup=0, repeat=5
    )
    assert found.times == pytest.approx([DEVICE * 1e-9] * 5, rel=1e-6)
    assert found.held


def test_setup_gets_the_positional_arguments() -> None:
    x = torch.zeros(4)
    seen: list[torch.Tensor] = []

    def add(y: torch.Tensor, *, alpha: int) -> None:
        seen.append(y.add_(alpha))

    found = fasttime.measure(
        add, x, setup=lambda given: (given.clone(),), warmup=0, repeat=12, alpha=3
    )
    assert all(bool((y == 3).all()) for y in seen)
    assert not x.any()
    assert "arguments_changed" not in kinds(found)
    # The negative control.
    assert "arguments_changed" in kinds(fasttime.measure(add, x, alpha=3, warmup=0, repeat=12))


@pytest.mark.parametrize("sampler", [EventSampler, HeldSampler])
def test_old_arguments_are_freed_before_new_ones(
    cuda: Simulated, simulated: SimulatedMachine, sampler: Any
) -> None:
    alive: list[int] = []

    class Argument:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    most: list[int] = []

    def run(argument: Argument) -> None:
        simulated.work(HOST, DEVICE)
        most.append(len(alive))

    sampler(Fresh(run, lambda: (Argument(),), (), {})).take(4)
    assert most == [1] * len(most)
    assert len(most) >= 4


def test_an_error_of_setup_passes(simulated: SimulatedMachine) -> None:
    with pytest.raises(ZeroDivisionError):
        fasttime.measure(print, setup=lambda: 1 / 0)  # type: ignore[arg-type,return-value]


def test_a_decorator_may_pass_arguments_to_setup() -> None:
    def with_ones(make: Any) -> Any:
        @functools.wraps(make)
        def call() -> tuple[torch.Tensor]:
            return make(torch.ones(1))  # type: ignore[no-any-return]

        return call

    @with_ones
    def setup(x: torch.Tensor) -> tuple[torch.Tensor]:
        return (x,)

    assert fasttime.measure(torch.abs, setup=setup, warmup=0, repeat=12).has_setup


def test_setup_returns_a_tuple() -> None:
    with pytest.raises(TypeError, match=r"such as \(x.clone\(\),\), got Tensor"):
        fasttime.measure(torch.abs, setup=lambda: torch.ones(1))  # type: ignore[arg-type,return-value]


# --- inputs and calls ---


def test_inputs_are_cycled_over_all_batches(simulated: SimulatedMachine, fn: Any) -> None:
    fasttime.measure(fn, inputs=[(0,), (1,), (2,)], budget=0.05)
    runs = got(simulated)
    assert len(runs) > 100
    assert runs == [run % 3 for run in range(len(runs))]


def test_the_wall_time_is_of_cycled_inputs(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(
        lambda host: simulated.work(host, 0), inputs=[(100 * US,), (300 * US,)], budget=0.2
    )
    assert found.wall_time == pytest.approx(200e-6, rel=0.02)


def test_calls_in_a_row_are_divided(cuda: Simulated, simulated: SimulatedMachine) -> None:
    cuda.set_event_time(1000)
    found = fasttime.measure(simulated.work, HOST, DEVICE, calls=5, hold=True, warmup=1, repeat=5)
    assert simulated.runs == 6 * 5
    assert found.times == pytest.approx([DEVICE * 1e-9] * 4, rel=1e-6)
    assert found.warmup_times == pytest.approx([(DEVICE + 200) * 1e-9], rel=1e-6)
    assert found.host_times == pytest.approx([HOST * 1e-9] * 4, rel=1e-6)
    assert found.event_overhead == pytest.approx(200e-9, rel=1e-6)
    assert found.calls == 5
    assert "5 calls per run" in str(found)


def test_calls_in_a_row_take_the_next_input(simulated: SimulatedMachine, fn: Any) -> None:
    fasttime.measure(fn, inputs=[(0,), (1,)], calls=3, warmup=0, repeat=4)
    assert got(simulated) == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]


def test_the_result_of_a_row_of_calls_is_checked() -> None:
    with pytest.raises(TypeError, match="later returned a generator and ran nothing"):
        fasttime.measure(later, calls=3)


def later() -> Any:
    return (number for number in range(3))


# --- min_time ---


def test_kept_runs_add_up_to_the_minimum(simulated: SimulatedMachine) -> None:
    def run() -> None:
        simulated.work(HOST, 1 * MS)

    assert fasttime.measure(run, budget=0.1).times.sum() < 0.2
    found = fasttime.measure(run, budget=0.1, min_time=0.3)
    assert 0.3 <= found.times.sum() < 0.4
    assert "below_min_time" not in kinds(found)


def test_a_minimum_out_of_reach_is_given_up(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptive, "_MOST_OF_MIN_TIME", 2.0)
    found = fasttime.measure(simulated.work, 10 * MS, 1 * US, budget=0.05, min_time=0.2)
    assert "below_min_time" in kinds(found)
    assert found.times.sum() < 0.2


# --- what is refused ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"setup": tuple, "method": "graph"}, "graph replays with the arguments of its capture"),
        ({"setup": tuple, "method": "naive"}, "cannot tell setup's work on the device"),
        ({"setup": tuple, "calls": 2}, "leave calls out"),
        ({"setup": tuple, "inputs": [()]}, "pass one of them"),
        ({"inputs": [()], "method": "graph"}, "cannot be cycled"),
        ({"inputs": []}, "inputs is empty"),
        ({"calls": 0}, "calls must be at least 1"),
        ({"min_time": 1, "repeat": 5}, "leave min_time out"),
        ({"min_time": 0}, "min_time must be above 0"),
        ({"bytes": -1}, "bytes must be above 0"),
    ],
)
def test_options_that_cannot_be_right(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fasttime.measure(list, **options)


def test_inputs_and_arguments_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="put all arguments into inputs"):
        fasttime.measure(abs, 1, inputs=[(2,)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"setup": 3}, "setup must be a function"),
        ({"inputs": torch.ones(2)}, "list of tuples of arguments, such as .*, got Tensor"),
        ({"inputs": [torch.ones(2)]}, "got Tensor in it"),
        ({"calls": 1.5}, "calls must be an int"),
        ({"bytes": "many"}, "bytes must be a number"),
    ],
)
def test_options_of_the_wrong_type(options: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        fasttime.measure(list, **options)


def test_an_error_of_setup_keeps_no_events(simulated: SimulatedMachine) -> None:
    made = itertools.count()

    def setup() -> tuple[()]:
        if next(made) == 5:
            raise ZeroDivisionError
        return ()

    sampler = HeldSampler(Fresh(lambda: simulated.work(0, 1 * US), setup, (), {}))
    with pytest.raises(ZeroDivisionError) as caught:
        sampler.take(10)
    assert caught.traceback is not None
    assert pool_is_whole()
    assert no_stream_is_held()

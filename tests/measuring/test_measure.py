# SPDX-License-Identifier: BSD-3-Clause
"""`measure`: its loop, its arguments, and what passes through it."""

from __future__ import annotations

import doctest
import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from leftovers import pool_is_whole
from scripted_loop import ScriptedLoop, machine
from simulated_cuda import Simulated
from simulated_machine import MS, US, S, SimulatedMachine

import fasttime
from fasttime import TimingWarning

METHODS = ("naive", "sync", "event")


# --- the loop ---


@pytest.mark.parametrize("method", METHODS)
def test_the_first_runs_are_ignored(method: Any) -> None:
    calls: list[int] = []
    found = fasttime.measure(lambda: calls.append(0), method=method, warmup=3, repeat=10)
    assert len(calls) == 10
    assert (len(found), len(found.warmup_times), len(found.host_times)) == (7, 3, 7)
    assert (found.method, found.warmup, found.repeat) == (method, 3, 10)


def test_arguments_reach_the_callable() -> None:
    seen: list[object] = []

    def fn(*args: object, **kwargs: object) -> None:
        seen.append((args, kwargs))

    fasttime.measure(fn, 1, 2, warmup=0, repeat=1, fn=3)
    assert seen == [((1, 2), {"fn": 3})]


class Module:
    def __call__(self) -> None: ...


def named() -> None: ...


@pytest.mark.parametrize(
    ("fn", "label"),
    [
        (named, "named"),
        (lambda: None, "<lambda>"),
        (Module(), "Module"),
        (functools.partial(functools.partial(named)), "named"),
    ],
)
def test_the_label_is_the_callables_name_or_type(fn: Callable[[], None], label: str) -> None:
    assert fasttime.measure(fn, warmup=0, repeat=1).label == label


# --- sync, and the CPU ---


def test_sync_waits_around_each_run(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 1.0, method="sync", warmup=1, repeat=11)
    assert found.times.tolist() == [1.25] * 10
    assert found.host_times.tolist() == [0.25] * 10
    assert found.loop_time == 11 * 1.25
    assert found.warnings == ()
    assert script.log[:34] == ["wait", *(["wait", "run", "wait"] * 11)]
    assert script.log.count("run") == 11


def test_sync_waits_before_it_reads_its_first_clock(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = iter([8.0])  # other work, launched once the loop has begun

    def clock() -> float:
        script.done += next(others, 0.0)
        return script.now

    monkeypatch.setattr(machine, "clock", clock)
    found = fasttime.measure(script.work, 0.25, 1.0, method="sync", warmup=0, repeat=1)
    assert found.times.tolist() == [1.25]


def test_earlier_work_is_not_in_the_loop_time(script: ScriptedLoop) -> None:
    script.done = 8.0
    found = fasttime.measure(script.work, 0.25, 1.0, method="sync", warmup=0, repeat=1)
    assert found.loop_time == 1.25


@pytest.mark.parametrize("method", METHODS)
def test_on_the_cpu_each_method_warns_that_all_agree(script: ScriptedLoop, method: Any) -> None:
    script.cuda_is_up = False
    found = fasttime.measure(script.work, 0.25, 0.0, method=method, warmup=1, repeat=11)
    assert found.device == "cpu"
    assert found.warnings[0] == TimingWarning(
        "cpu",
        "CUDA was not in use, so all work was done when the call returned. On the CPU, naive, sync "
        "and event always agree.",
    )
    if method != "event":  # whose clock is the recorder's
        assert found.times.tolist() == [0.25] * 10
    assert (found.host_times - found.event_overhead).tolist() == found.times.tolist()


# --- what a call takes in a row ---


def cold_at_first(simulated: SimulatedMachine, host: int, device: int) -> Callable[[], None]:
    """Return a callable whose first call takes a second more on the host."""
    extra = iter([S])
    return lambda: simulated.work(host + next(extra, 0), device)


@pytest.mark.parametrize(
    ("host", "device", "method", "seconds"),
    [
        (20 * US, MS, "naive", 1e-3),
        (20 * US, MS, "sync", 1.02e-3),
        (20 * US, MS, "event", 1e-3),
        (MS, 20 * US, "naive", 1e-3),
        (MS, 20 * US, "sync", 1.02e-3),
        (MS, 20 * US, "event", 1e-3),
    ],
)
def test_wall_time_leaves_out_ignored_runs(
    simulated: SimulatedMachine, host: int, device: int, method: Any, seconds: float
) -> None:
    fn = cold_at_first(simulated, host, device)
    found = fasttime.measure(fn, method=method, warmup=5, repeat=50)
    # If the host is slower, the last run's work on the device is added.
    assert found.wall_time == pytest.approx(seconds, abs=20e-6 / 45)


@pytest.mark.parametrize("method", ["naive", "sync"])
def test_wall_time_leaves_out_ignored_runs_on_the_cpu(script: ScriptedLoop, method: Any) -> None:
    script.cuda_is_up = False
    durations = iter([64.0, 0.5, 0.5, 0.5])
    found = fasttime.measure(
        lambda: script.work(next(durations), 0.0), method=method, warmup=1, repeat=4
    )
    assert found.wall_time == 0.5


def test_a_cold_cache_has_no_wall_time(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(simulated.work, 20 * US, MS, cache="cold", warmup=2, repeat=10)
    assert found.wall_time is None


def test_a_cold_first_call_does_not_shrink_batches(
    simulated: SimulatedMachine,
) -> None:
    found = fasttime.measure(cold_at_first(simulated, 20 * US, MS), warmup=2, budget=1.0)
    assert (len(found), found.ended_by) == (5 * 20, "precision")


# --- callables that raise ---


@pytest.mark.parametrize("method", METHODS)
def test_exceptions_pass_unchanged(cuda: Simulated, script: ScriptedLoop, method: Any) -> None:
    error = OSError("in run 37")
    runs = iter(range(50))

    def fn() -> None:
        cuda.enqueue(0, 1000)
        cuda.advance(2000)
        if next(runs) == 37:
            raise error

    with pytest.raises(OSError, match=r"^in run 37$") as caught:
        fasttime.measure(fn, method=method)
    assert caught.value is error
    assert pool_is_whole()  # although the traceback keeps the frames
    assert len(fasttime.measure(lambda: None, method=method, warmup=1, repeat=3)) == 2


# --- examples ---


@pytest.mark.parametrize("module", ["measuring.measure", "comparing.methods", "text"])
def test_docstring_examples_run(module: str) -> None:
    done = doctest.testmod(importlib.import_module(f"fasttime.{module}"))
    assert done.attempted > 0
    assert done.failed == 0


def test_times_are_arrays_of_float64(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 0.0, method="sync", warmup=1, repeat=2)
    for values in (found.times, found.warmup_times, found.host_times):
        assert isinstance(values, np.ndarray)
        assert (values.dtype, values.ndim) == (np.float64, 1)

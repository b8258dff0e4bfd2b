# SPDX-License-Identifier: BSD-3-Clause
"""`measure`: its loop, its arguments, and what passes through it."""

from __future__ import annotations

import doctest
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from leftovers import pool_is_whole
from scripted_loop import ScriptedLoop, machine
from simulated_cuda import Simulated, run_under_simulation, torch_can_be_simulated

import fasttime

METHODS = ("naive", "sync", "event")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ScriptedLoop:
    made = ScriptedLoop()
    made.install(monkeypatch)
    return made


# --- the loop ---


@pytest.mark.parametrize("method", METHODS)
def test_the_first_runs_are_ignored_and_the_others_kept(method: Any) -> None:
    calls: list[int] = []
    found = fasttime.measure(lambda: calls.append(0), method=method, warmup=3, repeat=10)
    assert len(calls) == 10
    assert (len(found), len(found.warmup_times), len(found.host_times)) == (7, 3, 7)
    assert (found.method, found.warmup, found.repeat) == (method, 3, 10)


def test_the_defaults_are_fifty_event_runs_less_five() -> None:
    found = fasttime.measure(lambda: None)
    assert (found.method, len(found.warmup_times), len(found)) == ("event", 5, 45)


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
def test_the_label_is_the_name_of_the_callable_or_of_its_type(
    fn: Callable[[], None], label: str
) -> None:
    assert fasttime.measure(fn, warmup=0, repeat=1).label == label


# --- sync, and the CPU ---


def test_sync_reads_host_and_device_of_each_run_and_waits_around_it(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 1.0, method="sync", warmup=1, repeat=3)
    assert found.times.tolist() == [1.25] * 2
    assert found.host_times.tolist() == [0.25] * 2
    assert found.loop_time == 3.75
    assert found.warnings == ()
    assert script.log == ["wait", *(["wait", "run", "wait"] * 3)]


def test_sync_waits_before_it_reads_its_first_clock(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = iter([8.0])  # work of somebody else's, launched once the loop has begun

    def clock() -> float:
        script.done += next(others, 0.0)
        return script.now

    monkeypatch.setattr(machine, "clock", clock)
    found = fasttime.measure(script.work, 0.25, 1.0, method="sync", warmup=0, repeat=1)
    assert found.times.tolist() == [1.25]


def test_work_from_before_the_loop_is_not_billed_to_it(script: ScriptedLoop) -> None:
    script.done = 8.0
    found = fasttime.measure(script.work, 0.25, 1.0, method="sync", warmup=0, repeat=1)
    assert found.loop_time == 1.25


@pytest.mark.parametrize("method", METHODS)
def test_on_the_cpu_each_method_says_that_all_agree(script: ScriptedLoop, method: Any) -> None:
    script.cuda_is_up = False
    found = fasttime.measure(script.work, 0.25, 0.0, method=method, warmup=1, repeat=4)
    assert found.device == "cpu"
    assert found.warnings == (
        (
            "cpu",
            "CUDA was not in use; on the CPU the work is done when the call returns, so naive, "
            "sync and event agree by nature",
        ),
    )
    if method != "event":  # whose clock is the recorder's
        assert found.times.tolist() == [0.25] * 3
    assert found.host_times.tolist() == found.times.tolist()


# --- bad input, and callables that raise ---


@pytest.mark.parametrize("method", METHODS)
def test_what_the_callable_raises_passes_unchanged_and_nothing_is_lost(
    cuda: Simulated, script: ScriptedLoop, method: Any
) -> None:
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
    assert pool_is_whole()  # though the traceback keeps the frames
    assert len(fasttime.measure(lambda: None, method=method, warmup=1, repeat=3)) == 2


def test_something_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^measure\(\) takes a callable, got 3 of type int$"):
        fasttime.measure(3)  # type: ignore[arg-type]


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    message = "^unknown method 'events'; there are naive, sync, event$"
    with pytest.raises(ValueError, match=message):
        fasttime.measure(print, method="events")  # type: ignore[arg-type]


@pytest.mark.parametrize(("warmup", "repeat"), [(-1, 10), (5, 5), (7, 5), (0, 0)])
def test_a_number_of_runs_out_of_range_is_refused(warmup: int, repeat: int) -> None:
    message = (
        "^warmup must be at least 0 and repeat greater than warmup, "
        f"got warmup={warmup}, repeat={repeat}$"
    )
    with pytest.raises(ValueError, match=message):
        fasttime.measure(print, warmup=warmup, repeat=repeat)


@pytest.mark.parametrize(("warmup", "repeat"), [(1.0, 10), (1, "10"), (True, 10), (0, True)])
def test_a_number_of_runs_that_is_no_int_is_refused(warmup: Any, repeat: Any) -> None:
    message = f"^warmup and repeat must be ints, got warmup={warmup!r}, repeat={repeat!r}$"
    with pytest.raises(TypeError, match=message):
        fasttime.measure(print, warmup=warmup, repeat=repeat)


def test_more_runs_than_samples_can_be_kept_are_refused_before_the_first() -> None:
    calls: list[int] = []
    with pytest.raises(ValueError, match="1,000,000"):
        fasttime.measure(lambda: calls.append(0), repeat=1_000_001)
    assert calls == []


def test_measuring_inside_a_capture_is_refused(script: ScriptedLoop) -> None:
    script.is_capturing = True
    message = (
        r"^measure\(\) cannot wait for the device while a CUDA graph is being captured on the "
        r"current stream; call it outside of the capture$"
    )
    with pytest.raises(RuntimeError, match=message):
        fasttime.measure(print)
    assert script.log == []


# --- examples, and the real torch ---


@pytest.mark.parametrize("module", ["measuring.measure", "comparing.compare", "units"])
def test_the_examples_in_the_documentation_run(module: str) -> None:
    done = doctest.testmod(importlib.import_module(f"fasttime.{module}"))
    assert done.attempted > 0
    assert done.failed == 0


def test_times_are_arrays_of_float64(script: ScriptedLoop) -> None:
    found = fasttime.measure(script.work, 0.25, 0.0, method="sync", warmup=1, repeat=2)
    for values in (found.times, found.warmup_times, found.host_times):
        assert isinstance(values, np.ndarray)
        assert (values.dtype, values.ndim) == (np.float64, 1)


@pytest.mark.skipif(not torch_can_be_simulated(), reason="torch here is not built for CUDA 13")
def test_measure_stands_on_torch_s_own_cuda(simulated_library: Path) -> None:
    done = run_under_simulation(
        """
import fasttime
import torch
from simulated_cuda import Simulated

sim = Simulated.preloaded()
assert not torch.cuda.is_initialized()
assert fasttime.measure(lambda: None, warmup=0, repeat=2).warnings[0].kind == "cpu"
assert not torch.cuda.is_initialized(), "measure() started CUDA"

def fn():
    torch.ones(10, device="cuda")
    torch.cuda.synchronize()
    sim.enqueue(0, 2_000_000)

try:
    fasttime.measure(fn, warmup=0, repeat=2)
except RuntimeError as error:
    assert "run 0 has no device time, as fn itself started CUDA" in str(error), error
else:
    raise AssertionError("no error")

x = torch.ones(1000, device="cuda")
sim.set_launch_time(2_000_000)
found = fasttime.measure(torch.add, x, x, warmup=2, repeat=10)
assert found.times.round(9).tolist() == [0.002] * 8, found
assert found.device == "cuda:0 Simulated" and found.warnings == (), found
before = sim.calls("cudaDeviceSynchronize")
fasttime.measure(torch.add, x, x, method="sync", warmup=0, repeat=10)
assert sim.calls("cudaDeviceSynchronize") - before == 21
naive = fasttime.measure(torch.add, x, x, method="naive")
assert "the device took 2.000 ms" in naive.warnings[0].message, naive

graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
with torch.cuda.graph(graph, stream=stream):
    try:
        fasttime.measure(torch.add, x, x)
    except RuntimeError as error:
        assert "while a CUDA graph is being captured" in str(error), error
    else:
        raise AssertionError("no error")
    y = x + x
graph.replay()
torch.cuda.synchronize()
""",
        simulated_library,
    )
    assert done.returncode == 0, done.stderr

# SPDX-License-Identifier: BSD-3-Clause
"""What `measure` refuses, in which words; nothing is called before."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scripted_loop import ScriptedLoop
from simulated_machine import SimulatedMachine

import fasttime
from fasttime.measuring.arguments import label_of


def refused(error: type[Exception], message: str, **arguments: Any) -> None:
    calls: list[int] = []
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        fasttime.measure(lambda: calls.append(0), **arguments)
    assert calls == []


# --- what cannot be called ---


def test_something_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^measure\(\) takes a callable, got 3 of type int$"):
        fasttime.measure(3)  # type: ignore[arg-type]


class PoisonedTensor(torch.Tensor):
    def __repr__(self) -> str:  # type: ignore[override]
        raise AssertionError("to show a tensor waits for the device, and fills the screen")


@pytest.mark.parametrize(
    ("take", "who"),
    [
        (fasttime.measure, "measure() takes a callable, got "),
        (
            fasttime.compare,
            "compare() takes a callable, or a mapping of names to callables such as "
            '{"a": f, "b": g}, got ',
        ),
        (
            lambda given: fasttime.compare({"a": len, "b": given}),
            "candidate 'b' cannot be called: ",
        ),
    ],
)
def test_a_result_in_place_of_the_callable_is_told_how_it_is_given(
    take: Callable[[object], object], who: str
) -> None:
    result = torch.zeros(3).as_subclass(PoisonedTensor)
    with pytest.raises(TypeError) as caught:
        take(result)
    assert str(caught.value) == (
        f"{who}a Tensor; give what makes it and its arguments apart: (model, x), not (model(x))"
    )


async def coroutine() -> None: ...


async def stream_of_items() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("fn", [coroutine, functools.partial(functools.partial(coroutine))])
def test_a_coroutine_function_is_refused_as_calling_it_runs_nothing(fn: Any) -> None:
    message = (
        f"{label_of(fn)} is a coroutine function, and calling it runs nothing of it; give "
        "measure() a function that runs it, or put fasttime.scope around what it awaits"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        fasttime.measure(fn)


@pytest.mark.parametrize("fn", [stream_of_items, functools.partial(stream_of_items)])
def test_an_async_generator_function_is_refused_by_its_name(fn: Any) -> None:
    message = (
        "stream_of_items is an async generator function, and calling it runs nothing of it; give "
        "measure() a function that consumes it, or put fasttime.scope around what it awaits"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        fasttime.measure(fn)


def test_an_object_whose_calls_are_coroutines_is_refused_as_well() -> None:
    class Server:
        async def __call__(self) -> None: ...

    with pytest.raises(TypeError, match=r"^Server is a coroutine function"):
        fasttime.measure(Server())


def test_a_function_that_runs_a_coroutine_is_measured() -> None:
    assert len(fasttime.measure(lambda: asyncio.run(coroutine()), warmup=0, repeat=2)) == 2


def items() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize("fn", [items, functools.partial(items)])
def test_a_generator_function_is_refused_as_calling_it_runs_nothing(fn: Any) -> None:
    message = (
        "items is a generator function, and calling it runs nothing of it; give measure() a "
        "function that consumes it, such as lambda: list(items())"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        fasttime.measure(fn)


def test_a_function_that_consumes_a_generator_is_measured() -> None:
    assert len(fasttime.measure(lambda: list(items()), warmup=0, repeat=2)) == 2


class Generating(torch.nn.Module):
    def forward(self) -> Iterator[int]:
        yield 1


RUNS_NOTHING = [
    (lambda: coroutine(), "<lambda> returned a coroutine, of which nothing has run; time a"),
    (lambda: items(), "<lambda> returned a generator, of which nothing has run; time a"),
    (lambda: (i for i in range(9)), "<lambda> returned a generator, of which nothing has run;"),
    (lambda: stream_of_items(), "<lambda> returned an async generator, of which nothing has run"),
    (Generating(), "Generating returned a generator, of which nothing has run; time a function"),
]


@pytest.mark.parametrize(("fn", "message"), RUNS_NOTHING)
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"method": "naive", "warmup": 0, "repeat": 5},
        {"method": "sync", "warmup": 0, "repeat": 5},
        {"method": "event", "warmup": 0, "repeat": 5},
    ],
)
def test_a_callable_that_makes_what_would_run_later_is_refused_at_its_first_call(
    fn: Any, message: str, how: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        fasttime.measure(fn, **how)


@pytest.mark.parametrize(("fn", "message"), RUNS_NOTHING)
def test_what_would_run_later_is_not_compared_either(fn: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        fasttime.compare(fn)
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        fasttime.compare({"a": fn, "b": fn})


def test_a_held_callable_that_makes_what_would_run_later_is_refused(
    simulated: SimulatedMachine,
) -> None:
    with pytest.raises(TypeError, match=r"^<lambda> returned a generator"):
        fasttime.measure(lambda: items(), hold=True, warmup=0, repeat=5)


def test_results_after_the_first_are_dropped_without_a_look() -> None:
    results = iter([None, items(), items()])
    assert len(fasttime.measure(lambda: next(results), warmup=0, repeat=3)) == 3


class Module:
    def __call__(self) -> None: ...

    def method(self) -> None: ...


@pytest.mark.parametrize(
    ("fn", "label"),
    [
        (refused, "refused"),
        (lambda: None, "<lambda>"),
        (Module(), "Module"),
        (Module().method, "method"),
        (functools.partial(functools.partial(refused)), "refused"),
        (functools.partial(Module()), "Module"),
    ],
)
def test_a_callable_s_label_is_its_name_or_that_of_its_type(
    fn: Callable[..., None], label: str
) -> None:
    assert label_of(fn) == label


# --- choices ---


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    message = "unknown method 'events'; there are naive, sync, event, graph"
    refused(ValueError, message, method="events")


def test_an_unknown_state_of_the_cache_is_refused_with_those_there_are() -> None:
    refused(ValueError, "unknown cache 'hot'; there are warm, cold", cache="hot")


# --- how many runs ---


@pytest.mark.parametrize(
    ("warmup", "repeat"), [(5, 5), (7, 5), (0, 0), (0, -3), ("auto", 0), ("auto", -1)]
)
def test_a_number_of_runs_of_which_none_is_left_is_refused(warmup: Any, repeat: int) -> None:
    message = (
        "warmup must be at least 0 and repeat greater than warmup, "
        f"got warmup={warmup!r}, repeat={repeat}"
    )
    refused(ValueError, message, warmup=warmup, repeat=repeat)


@pytest.mark.parametrize("repeat", [10, "auto"])
def test_a_warm_up_of_less_than_nothing_is_refused(repeat: Any) -> None:
    message = f"warmup must be at least 0, got warmup=-1, repeat={repeat!r}"
    refused(ValueError, message, warmup=-1, repeat=repeat)


@pytest.mark.parametrize(
    ("warmup", "repeat"),
    [(1.0, 10), (1, "10"), (True, 10), (0, True), (None, 10), (0, None), ("Auto", 10)],
)
def test_a_number_of_runs_that_is_no_int_is_refused(warmup: Any, repeat: Any) -> None:
    message = f"warmup and repeat must be ints or 'auto', got warmup={warmup!r}, repeat={repeat!r}"
    refused(TypeError, message, warmup=warmup, repeat=repeat)


def test_numbers_may_be_numpy_s() -> None:
    found = fasttime.measure(len, "", warmup=np.int64(2), repeat=np.int32(7))
    assert (found.warmup, found.repeat, found.ended_by) == (2, 7, "count")
    found = fasttime.measure(len, "", budget=np.float32(60.0), precision=np.float64(1.0))
    assert found.ended_by == "precision"


@pytest.mark.parametrize("warmup", [0, "auto"])
def test_more_runs_than_samples_can_be_kept_are_refused(warmup: Any) -> None:
    message = f"repeat must be at most 1,000,000, got warmup={warmup!r}, repeat=1000001"
    refused(ValueError, message, warmup=warmup, repeat=1_000_001)


def test_more_held_runs_than_samples_can_be_kept_of_are_refused() -> None:
    message = "hold=True makes at most 250,000 runs, got repeat=250,001; give fewer"
    refused(ValueError, message, hold=True, warmup=0, repeat=250_001)


def test_a_longer_warm_up_than_samples_can_be_kept_of_is_refused() -> None:
    message = "warmup must be less than 1,000,000, got warmup=1000000, repeat='auto'"
    refused(ValueError, message, warmup=1_000_000)


# --- budget and precision ---


@pytest.mark.parametrize("name", ["budget", "precision"])
@pytest.mark.parametrize("value", ["1", None, True, [1.0]])
def test_a_budget_or_precision_that_is_no_number_is_refused(name: str, value: Any) -> None:
    refused(TypeError, f"{name} must be a number, got {value!r}", **{name: value})


@pytest.mark.parametrize("value", [0, -1.0, 86_400.1, float("nan"), float("inf"), 10**400])
def test_a_budget_out_of_range_is_refused(value: float) -> None:
    message = f"budget must lie above 0 and be at most 86400, got {value!r}"
    refused(ValueError, message, budget=value)


@pytest.mark.parametrize("value", [0, -0.01, 1.01, float("nan")])
def test_a_precision_out_of_range_is_refused(value: float) -> None:
    message = f"precision must lie above 0 and be at most 1, got {value!r}"
    refused(ValueError, message, precision=value)


# --- what does not go together ---


@pytest.mark.parametrize("method", ["naive", "sync"])
def test_methods_that_read_the_host_s_clock_hold_nothing(method: str) -> None:
    message = (
        "hold=True keeps the stream waiting until work is queued, and "
        f"method={method!r} reads the host's clock; use method='event'"
    )
    refused(ValueError, message, method=method, hold=True)


@pytest.mark.parametrize("method", ["naive", "sync"])
def test_methods_that_read_the_host_s_clock_clear_no_cache(
    script: ScriptedLoop, method: str
) -> None:
    message = (
        "cache='cold' clears the cache on the device between the events of two runs, and "
        f"method={method!r} reads the host's clock; use method='event'"
    )
    refused(ValueError, message, method=method, cache="cold")


def test_without_cuda_a_stream_cannot_be_held_and_the_error_says_so() -> None:
    with pytest.raises(RuntimeError, match="the stream cannot be held: torch has not started CUDA"):
        fasttime.measure(lambda: None, hold=True, warmup=0, repeat=1)


@pytest.mark.parametrize("hold", [None, False])
def test_without_cuda_nothing_is_held_unless_asked_for(hold: bool | None) -> None:
    assert fasttime.measure(lambda: None, hold=hold, warmup=0, repeat=1).held is False


def test_without_cuda_there_is_no_cache_to_clear() -> None:
    message = (
        "cache='cold' clears the L2 cache of a CUDA device, and CUDA is not in use; move the work "
        "to a device, or start CUDA with torch.cuda.init()"
    )
    refused(RuntimeError, message, cache="cold")


def test_without_cuda_there_is_no_graph_to_replay() -> None:
    message = (
        "method='graph' times the replays of a CUDA graph, and CUDA is not in use; move the work "
        "to a device, or use method='event'"
    )
    refused(RuntimeError, message, method="graph")


@pytest.mark.parametrize("method", ["naive", "sync", "event", "graph"])
def test_measuring_inside_a_capture_is_refused(script: ScriptedLoop, method: Any) -> None:
    script.is_capturing = True
    message = (
        "measure() cannot wait for the device while a CUDA graph is being captured on the current "
        "stream; call it outside of the capture"
    )
    refused(RuntimeError, message, method=method)
    assert script.log == []

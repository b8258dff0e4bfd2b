# SPDX-License-Identifier: BSD-3-Clause
"""Arguments that `measure` refuses before the first call, and the messages."""

from __future__ import annotations

import asyncio
import functools
import re
import sys
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


def test_a_value_that_is_not_callable_raises() -> None:
    with pytest.raises(TypeError, match=r"^measure\(\) takes a callable, got 3 of type int$"):
        fasttime.measure(3)  # type: ignore[arg-type]


class PoisonedTensor(torch.Tensor):
    def __repr__(self) -> str:  # type: ignore[override]
        raise AssertionError("showing a tensor waits for the device")


@pytest.mark.parametrize(
    ("take", "who"),
    [
        (fasttime.measure, "measure() takes a callable, got "),
        (
            fasttime.compare,
            "compare() takes a mapping of names to callables, such as "
            'compare({"a": f, "b": g}, x), got ',
        ),
        (
            lambda given: fasttime.compare({"a": len, "b": given}),
            "candidate 'b' is not callable, got ",
        ),
    ],
)
def test_a_tensor_instead_of_a_callable_has_a_hint(
    take: Callable[[object], object], who: str
) -> None:
    result = torch.zeros(3).as_subclass(PoisonedTensor)
    with pytest.raises(TypeError) as caught:
        take(result)
    assert str(caught.value) == (
        f"{who}a Tensor; pass the callable and its arguments apart: (model, x), not (model(x))"
    )


async def coroutine() -> None: ...


async def stream_of_items() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("fn", [coroutine, functools.partial(functools.partial(coroutine))])
def test_a_coroutine_function_raises(fn: Any) -> None:
    message = (
        f"{label_of(fn)} is a coroutine function, and a call only creates a coroutine; give "
        "measure() a function that runs it, or put fasttime.scope around what it awaits"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        fasttime.measure(fn)


@pytest.mark.parametrize("fn", [stream_of_items, functools.partial(stream_of_items)])
def test_an_async_generator_function_raises(fn: Any) -> None:
    message = (
        "stream_of_items is an async generator function, and a call only creates a generator; give "
        "measure() a function that consumes it, or put fasttime.scope around what it awaits"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        fasttime.measure(fn)


def test_an_async_call_method_raises() -> None:
    class Server:
        async def __call__(self) -> None: ...

    with pytest.raises(TypeError, match=r"^Server is a coroutine function"):
        fasttime.measure(Server())


def test_a_function_that_runs_a_coroutine_is_measured() -> None:
    assert len(fasttime.measure(lambda: asyncio.run(coroutine()), warmup=0, repeat=2)) == 2


def items() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize("fn", [items, functools.partial(items)])
def test_a_generator_function_raises(fn: Any) -> None:
    message = (
        "items is a generator function, and a call only creates a generator; give measure() a "
        "function that consumes it, such as lambda: list(items())"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        fasttime.measure(fn)


def test_a_consumer_of_a_generator_is_measured() -> None:
    assert len(fasttime.measure(lambda: list(items()), warmup=0, repeat=2)) == 2


class Generating(torch.nn.Module):
    def forward(self) -> Iterator[int]:
        yield 1


RUNS_NOTHING = [
    (lambda: coroutine(), "<lambda> returned a coroutine and ran nothing; time a"),
    (lambda: items(), "<lambda> returned a generator and ran nothing; time a"),
    (lambda: (i for i in range(9)), "<lambda> returned a generator and ran nothing;"),
    (lambda: stream_of_items(), "<lambda> returned an async generator and ran nothing"),
    (Generating(), "Generating returned a generator and ran nothing; time a function"),
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
def test_returning_a_coroutine_or_generator_raises(
    fn: Any, message: str, how: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        fasttime.measure(fn, **how)


@pytest.mark.parametrize(("fn", "message"), RUNS_NOTHING)
def test_compare_refuses_coroutines_and_generators(fn: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        fasttime.compare_methods(fn)
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        fasttime.compare({"a": fn, "b": fn})


def test_a_held_callable_must_not_return_a_generator(
    simulated: SimulatedMachine,
) -> None:
    with pytest.raises(TypeError, match=r"^<lambda> returned a generator"):
        fasttime.measure(lambda: items(), hold=True, warmup=0, repeat=5)


def test_only_the_first_result_is_checked() -> None:
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
def test_labels_are_names_or_types(fn: Callable[..., None], label: str) -> None:
    assert label_of(fn) == label


# --- choices ---


def test_an_unknown_method_raises_with_the_choices() -> None:
    message = "method must be one of naive, sync, event, graph, got 'events'; did you mean 'event'?"
    refused(ValueError, message, method="events")


def test_an_unknown_cache_raises_with_the_choices() -> None:
    refused(ValueError, "cache must be one of warm, cold, got 'hot'", cache="hot")


@pytest.mark.parametrize(
    ("wrong", "option"),
    [("repeats", "repeat"), ("warm_up", "warmup"), ("holds", "hold"), ("rep", "repeat")],
)
@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
def test_a_misspelt_option_is_named_in_a_note(wrong: str, option: str) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument") as caught:
        fasttime.measure(lambda: None, **{wrong: 5})  # type: ignore[arg-type]
    assert caught.value.__notes__ == [  # type: ignore[attr-defined]
        f"measure() passed {wrong}= on to the callable; did you mean {option}=?"
    ]


def compiled(module: torch.nn.Module) -> torch.nn.Module:
    """Return a module that passes anything on, as that of torch.compile does."""

    class Compiled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self._orig_mod = module

        def forward(self, *args: object, **kwargs: object) -> object:
            return self._orig_mod(*args, **kwargs)

    return Compiled()


def test_a_callable_of_any_name_brings_a_warning() -> None:
    class Layer(torch.nn.Module):
        def forward(self, x: torch.Tensor, **options: object) -> torch.Tensor:
            return x

    for fn in (Layer(), compiled(Layer()), lambda x, **options: x):
        found = fasttime.measure(fn, torch.ones(2), warmpu=3, warmup=0, repeat=20)
        (message,) = (one.message for one in found.warnings if one.kind == "option_passed_on")
        assert message.startswith("measure() passed warmpu= on to the callable, which takes any")
        assert "so the option warmup has its default" in message


@pytest.mark.parametrize("name", ["repeats", "input", "input_ids", "use_cache"])
def test_arguments_of_the_callable_bring_no_warning(name: str) -> None:
    def fn(repeats: int = 1, **options: object) -> None:
        return None

    found = fasttime.measure(fn, warmup=0, repeat=20, **{name: 3})  # type: ignore[arg-type]
    assert "option_passed_on" not in {one.kind for one in found.warnings}


def test_options_of_a_compiled_module_bring_no_warning() -> None:
    class Layer(torch.nn.Module):
        def forward(self, x: torch.Tensor, cached: bool = False) -> torch.Tensor:
            return x

    found = fasttime.measure(compiled(Layer()), torch.ones(2), warmup=0, repeat=20, cached=True)
    assert "option_passed_on" not in {one.kind for one in found.warnings}


@pytest.mark.parametrize(
    ("option", "function", "args", "message"),
    [
        ("setup", lambda: (1,), (1,), r"here 1, but: too many .*setup=lambda x: \.\.\."),
        (
            "setup",
            lambda y: (y,),
            (),
            r"here none, but: missing .* 'y'; write setup=lambda: \.\.\.",
        ),
        ("bytes", lambda: 3, (1, 2), r"here 2, but: too many .* write bytes=lambda x, y: \.\.\."),
        ("items", lambda a, b: 3, (1,), "here 1, but: missing .* write items=lambda x:"),
    ],
)
def test_functions_with_wrong_parameters_are_refused(
    option: str, function: Any, args: Any, message: str
) -> None:
    calls: list[object] = []
    message = f"^{option}= is called with the call's arguments, {message}"
    with pytest.raises(TypeError, match=message):
        fasttime.measure(calls.append, *args, **{option: function})
    if option == "setup":
        with pytest.raises(TypeError, match=message):
            fasttime.compare({"a": calls.append, "b": len}, *args, setup=function)
    assert calls == []


def test_keyword_arguments_reach_functions_of_work() -> None:
    with pytest.raises(TypeError, match=r"here 2, but: .* write bytes=lambda x, reverse: \.\.\."):
        fasttime.measure(sorted, [1], reverse=True, bytes=lambda x: 3)


def test_other_errors_get_no_note() -> None:
    def fn(**_: object) -> None:
        raise TypeError("mine")

    for call in (lambda: fasttime.measure(fn, repeats=5), lambda: fasttime.measure(len, 3, key=1)):
        with pytest.raises(TypeError) as caught:
            call()
        assert not hasattr(caught.value, "__notes__")


# --- how many runs ---


@pytest.mark.parametrize(
    ("warmup", "repeat"), [(5, 5), (7, 5), (0, 0), (0, -3), ("auto", 0), ("auto", -1)]
)
def test_repeat_without_a_kept_run_raises(warmup: Any, repeat: int) -> None:
    rule = (
        "repeat counts the warm-up runs too and must be greater than warmup"
        if warmup in (5, 7)
        else "repeat must be at least 1"
    )
    message = f"{rule}, got warmup={warmup!r}, repeat={repeat}"
    refused(ValueError, message, warmup=warmup, repeat=repeat)


@pytest.mark.parametrize("repeat", [10, "auto"])
def test_a_negative_warm_up_raises(repeat: Any) -> None:
    message = f"warmup must be at least 0, got warmup=-1, repeat={repeat!r}"
    refused(ValueError, message, warmup=-1, repeat=repeat)


@pytest.mark.parametrize(
    ("warmup", "repeat"),
    [(1.0, 10), (1, "10"), (True, 10), (0, True), (None, 10), (0, None), ("Auto", 10)],
)
def test_a_number_of_runs_must_be_an_int(warmup: Any, repeat: Any) -> None:
    message = f"warmup and repeat must be ints or 'auto', got warmup={warmup!r}, repeat={repeat!r}"
    refused(TypeError, message, warmup=warmup, repeat=repeat)


def test_numpy_numbers_are_accepted() -> None:
    found = fasttime.measure(len, "", warmup=np.int64(2), repeat=np.int32(7))
    assert (found.warmup, found.repeat, found.ended_by) == (2, 7, "count")
    found = fasttime.measure(len, "", budget=np.float32(60.0), precision=np.float64(1.0))
    assert found.ended_by == "precision"


@pytest.mark.parametrize("warmup", [0, "auto"])
def test_too_many_runs_raise(warmup: Any) -> None:
    message = f"repeat must be at most 1,000,000, got warmup={warmup!r}, repeat=1000001"
    refused(ValueError, message, warmup=warmup, repeat=1_000_001)


def test_too_many_held_runs_raise() -> None:
    message = (
        "hold=True allows at most 250,000 runs, got repeat=250,001; use a smaller repeat or "
        "hold=False"
    )
    refused(ValueError, message, hold=True, warmup=0, repeat=250_001)


def test_too_long_a_warm_up_raises() -> None:
    message = "warmup must be less than 1,000,000, got warmup=1000000, repeat='auto'"
    refused(ValueError, message, warmup=1_000_000)


# --- budget and precision ---


@pytest.mark.parametrize("name", ["budget", "precision"])
@pytest.mark.parametrize("value", ["1", None, True, [1.0]])
def test_budget_and_precision_must_be_numbers(name: str, value: Any) -> None:
    refused(TypeError, f"{name} must be a number, got {value!r}", **{name: value})


@pytest.mark.parametrize("value", [0, -1.0, 86_400.1, float("nan"), float("inf"), 10**400])
def test_a_budget_out_of_range_raises(value: float) -> None:
    message = f"budget must be above 0 and at most 86400, got {value!r}"
    refused(ValueError, message, budget=value)


@pytest.mark.parametrize("value", [0, -0.01, 1.01, float("nan")])
def test_a_precision_out_of_range_raises(value: float) -> None:
    message = f"precision must be above 0 and at most 1, got {value!r}"
    refused(ValueError, message, precision=value)


# --- combinations ---


@pytest.mark.parametrize("method", ["naive", "sync"])
def test_host_methods_cannot_hold(method: str) -> None:
    message = (
        f"hold=True holds the stream, and method={method!r} reads the host's clock; use "
        "method='event'"
    )
    refused(ValueError, message, method=method, hold=True)


@pytest.mark.parametrize("method", ["naive", "sync"])
def test_host_methods_cannot_clear_the_cache(script: ScriptedLoop, method: str) -> None:
    message = (
        "cache='cold' clears the cache on the device between the events of two runs, and "
        f"method={method!r} reads the host's clock; use method='event'"
    )
    refused(ValueError, message, method=method, cache="cold")


def test_without_cuda_hold_raises() -> None:
    with pytest.raises(RuntimeError, match="the stream cannot be held: torch has not started CUDA"):
        fasttime.measure(lambda: None, hold=True, warmup=0, repeat=1)


@pytest.mark.parametrize("hold", [None, False])
def test_without_cuda_the_default_is_not_to_hold(hold: bool | None) -> None:
    assert fasttime.measure(lambda: None, hold=hold, warmup=0, repeat=1).held is False


def test_without_cuda_a_cold_cache_raises() -> None:
    message = (
        "cache='cold' clears the L2 cache of a CUDA device, and CUDA is not in use; move the work "
        "to a device, or start CUDA with torch.cuda.init()"
    )
    refused(RuntimeError, message, cache="cold")


def test_without_cuda_method_graph_raises() -> None:
    message = (
        "method='graph' times the replays of a CUDA graph, and CUDA is not in use; move the work "
        "to a device, or use method='event'"
    )
    refused(RuntimeError, message, method="graph")


@pytest.mark.parametrize("method", ["naive", "sync", "event", "graph"])
def test_measuring_inside_a_capture_raises(script: ScriptedLoop, method: Any) -> None:
    script.is_capturing = True
    message = (
        "measure() has to wait for the device, and the current stream is capturing a CUDA graph; "
        "call it outside the capture"
    )
    refused(RuntimeError, message, method=method)
    assert script.log == []

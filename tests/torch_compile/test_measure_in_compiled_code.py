# SPDX-License-Identifier: BSD-3-Clause
"""`measure` and `compare` inside a function that torch.compile compiles: the graph breaks there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import fasttime
from fasttime.torch_compile.not_compiled import not_compiled

CALLS: dict[str, Callable[[torch.Tensor], object]] = {
    "measure": lambda x: fasttime.measure(torch.sin, x, warmup=1, repeat=12),
    "compare": lambda x: fasttime.compare({"a": torch.sin, "b": torch.cos}, x, rounds=1),
    "compare_methods": lambda x: fasttime.compare_methods(torch.sin, x, repeat=12, rounds=1),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_measurement_breaks_the_graph(name: str) -> None:
    call = CALLS[name]

    @torch.compile(backend="eager")
    def fn(x: torch.Tensor) -> tuple[torch.Tensor, object]:
        return x + 1, call(x)

    y, found = fn(torch.ones(3))
    assert y.tolist() == [2.0, 2.0, 2.0]
    assert type(found) is type(call(torch.ones(3)))


def test_nothing_below_a_measurement_is_compiled() -> None:
    seen: list[bool] = []

    @not_compiled
    def outer() -> None:
        inner()

    def inner() -> None:
        seen.append(torch.compiler.is_compiling())

    @torch.compile(backend="eager")
    def fn(x: torch.Tensor) -> torch.Tensor:
        outer()
        return x + 1

    fn(torch.ones(3))
    assert seen == [False]


def test_a_compiled_callable_stays_compiled() -> None:
    graphs: list[object] = []

    def backend(module: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        graphs.append(module)
        return module.forward

    inner = torch.compile(torch.sin, backend=backend)

    @torch.compile(backend="eager")
    def fn(x: torch.Tensor) -> tuple[torch.Tensor, object]:
        return x + 1, fasttime.measure(inner, x, warmup=1, repeat=12)

    fn(torch.ones(3))
    assert len(graphs) == 1

# SPDX-License-Identifier: BSD-3-Clause
"""Modules that torch.compile compiles, before or after they are instrumented."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch._dynamo
from timed_modules import counts, records
from torch import nn

import fasttime
from fasttime.torch_compile import stand_ins

# Dynamo itself warns of the `grad` of tensors inside a graph.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    monkeypatch.setattr(stand_ins, "_modules_met", 0)


class Graphs:
    """A backend that counts graphs and their nodes, and runs them as they are."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, graph: torch.fx.GraphModule, _: Any) -> Any:
        self.sizes.append(len(graph.graph.nodes))
        return graph.forward


def block() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))


class Block(nn.Module):
    """A module with a forward of its own: dynamo before 2.12 skips frames inside torch.

    There, ``module.compile()`` compiles nothing of a plain ``nn.Sequential``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = block()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_module_compiled_before_is_one_region(in_place: bool) -> None:
    inner = block()
    if in_place:
        inner.compile(backend="aot_eager", fullgraph=True)
        model = nn.Sequential(nn.Linear(4, 4), inner)
    else:
        compiled = torch.compile(inner, backend="aot_eager", fullgraph=True)
        model = nn.Sequential(nn.Linear(4, 4), compiled)
    with fasttime.instrument(model) as handle:
        for _ in range(2):
            model(torch.randn(2, 4)).sum().backward()
    found = records(handle)
    assert counts(handle, "forward") == {"": 2, "0": 2, "1": 2}
    assert counts(handle, "backward") == {"": 2, "0": 2, "1": 2}
    assert (found["1"].type, found["1"].is_compiled) == ("Sequential", True)
    assert handle.table().warnings == ()


def test_the_graph_of_a_compiled_module_stays() -> None:
    graphs = Graphs()
    model = nn.Sequential(torch.compile(block(), backend=graphs, fullgraph=True))
    model(torch.randn(2, 4))
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4))
    model(torch.randn(2, 4))
    assert len(graphs.sizes) == 1
    assert counts(handle, "forward")["0"] == 1


def test_a_compiled_model_is_timed_as_a_whole() -> None:
    model = torch.compile(block(), backend="aot_eager")
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4)).sum().backward()
    assert counts(handle, "forward") == {"": 1}
    assert counts(handle, "backward") == {"": 1}


@pytest.mark.parametrize("way", ["wrapped", "in place", "function"])
def test_a_model_compiled_after_never_breaks(way: str) -> None:
    plain, graphs = Graphs(), Graphs()
    torch.compile(Block(), backend=plain, fullgraph=True)(torch.randn(2, 4))
    model = Block()
    with fasttime.instrument(model) as handle:
        if way == "in place":
            model.compile(backend=graphs, fullgraph=True)
            model(torch.randn(2, 4))
        elif way == "wrapped":
            torch.compile(model, backend=graphs, fullgraph=True)(torch.randn(2, 4))
        else:
            torch.compile(lambda x: model(x), backend=graphs, fullgraph=True)(torch.randn(2, 4))
        warnings = handle.module_records().warnings
    assert graphs.sizes == plain.sizes
    assert [warning.kind for warning in warnings] == ["compiled_later"]


def test_other_models_are_not_warned_about() -> None:
    model, other = Block(), Block()
    with fasttime.instrument(model):
        torch.compile(model, backend=Graphs(), fullgraph=True)(torch.randn(2, 4))
    with fasttime.instrument(other) as handle:
        other(torch.randn(2, 4))
    assert handle.module_records().warnings == ()


def test_a_compiled_function_inside_a_module_is_fine() -> None:
    class Uses(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.function = torch.compile(lambda x: x.sin() * 2, backend="aot_eager")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.function(self.linear(x))

    model = Uses()
    with fasttime.instrument(model) as handle:
        for _ in range(2):
            model(torch.randn(2, 4)).sum().backward()
    assert counts(handle, "backward") == {"": 2, "linear": 2}

# SPDX-License-Identifier: BSD-3-Clause
"""The backward times of modules."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from timed_modules import adds_up, counts, host_ns, records
from torch import nn
from torch.utils.checkpoint import checkpoint

import fasttime
from fasttime.modules import module_hooks


class Noted(torch.autograd.Function):
    """An identity that notes which visits are open when the backward pass reaches it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, note: Any) -> torch.Tensor:
        ctx.note = note
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        ctx.note()
        return grad, None


class Own(nn.Module):
    """A module with operators of its own before, between and after its children."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x * 2)
        x = self.b(x + 1)
        return x.tanh()


def test_in_place_operations_are_fine() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 4))
    with fasttime.instrument(model) as handle:
        y = model(torch.randn(2, 4))
        y += 1
        y.relu_()
        y.sum().backward()
    assert counts(handle, "backward") == {"": 1, "0": 1, "1": 1, "2": 1}
    assert adds_up(handle, "backward")


def test_operators_of_a_parent_count_for_the_parent() -> None:
    model = Own()
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4, requires_grad=True)).sum().backward()
    found = records(handle)
    assert counts(handle, "backward") == {"": 1, "a": 1, "b": 1}
    own = host_ns(found[""].backward_self)
    assert own == host_ns(found[""].backward) - host_ns(found["a"].backward) - host_ns(
        found["b"].backward
    )
    assert own > 0


def test_a_container_takes_no_stretch_of_its_own() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Identity()), nn.Identity())
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4)).sum().backward()
    found = records(handle)
    assert counts(handle, "backward") == {"": 1, "0": 1, "0.0": 1}
    assert host_ns(found["0"].backward) == host_ns(found["0.0"].backward)
    assert host_ns(found[""].backward_self) == 0


@pytest.mark.parametrize("kind", ["dict", "tuple", "nested"])
def test_packed_outputs_are_found(kind: str) -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> Any:
            y = self.inner(x).exp()
            return {"dict": {"y": y}, "tuple": (None, y), "nested": [{"a": (y, 3)}]}[kind]

    model = Packed()
    with fasttime.instrument(model) as handle:
        out = model(torch.randn(2, 4))
        y = {"dict": lambda: out["y"], "tuple": lambda: out[1], "nested": lambda: out[0]["a"][0]}
        y[kind]().sum().backward()
    assert counts(handle, "backward") == {"": 1, "inner": 1}


def test_a_module_that_returns_none_is_timed() -> None:
    class Silent(nn.Module):
        def forward(self, x: torch.Tensor) -> None:
            return None

    model = Silent()
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4))
    assert counts(handle, "forward") == {"": 1}
    assert counts(handle, "backward") == {}


def test_frozen_modules_have_no_backward() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[0].requires_grad_(False)
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4)).sum().backward()
    assert counts(handle, "backward") == {"": 1, "2": 1}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_modes_without_gradients_have_no_backward(mode: Any) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    with fasttime.instrument(model) as handle, mode():
        model(torch.randn(2, 4))
    assert counts(handle, "forward") == {"": 1, "0": 1, "1": 1}
    assert counts(handle, "backward") == {}


def test_a_retained_graph_counts_each_pass() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    with fasttime.instrument(model) as handle:
        loss = model(torch.randn(2, 4)).sum()
        loss.backward(retain_graph=True)
        loss.backward()
    assert counts(handle, "backward") == {"": 2, "0": 2, "1": 2}


def test_accumulated_gradients_count_each_pass() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    with fasttime.instrument(model) as handle:
        losses = [model(torch.randn(2, 4)).sum() for _ in range(3)]
        torch.stack(losses).sum().backward()
        model(torch.randn(2, 4)).sum().backward()
    assert counts(handle, "backward") == {"": 4, "0": 4, "1": 4}
    assert adds_up(handle, "backward")


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_recomputation_has_a_column(use_reentrant: bool) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.block = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return checkpoint(self.block, self.first(x), use_reentrant=use_reentrant)

    model = Checkpointed()
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4)).sum().backward()
        open_after = handle._core.counts().open
    found = records(handle)
    assert counts(handle, "forward") == dict.fromkeys(
        ["", "first", "block", "block.0", "block.1", "block.2"], 1
    )
    assert counts(handle, "recompute") == dict.fromkeys(
        ["block", "block.0", "block.1", "block.2"], 1
    )
    assert counts(handle, "backward") == counts(handle, "forward")
    own = sum(host_ns(record.backward_self) for record in found.values())
    assert own == host_ns(found[""].backward)
    assert open_after == 1  # the part of the step


def test_an_exception_in_backward_spoils_nothing_later() -> None:
    is_broken = True

    def note() -> None:
        if is_broken:
            raise ValueError("broken")

    class Breaking(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Noted.apply(x, note)

    model = nn.Sequential(nn.Linear(4, 4), Breaking(), nn.Linear(4, 4))
    with fasttime.instrument(model) as handle:
        with pytest.raises(ValueError, match="broken"):
            model(torch.randn(2, 4)).sum().backward()
        is_broken = False
        model(torch.randn(2, 4)).sum().backward()
    found = records(handle)
    assert counts(handle, "backward") == {"": 1, "0": 1, "1": 1, "2": 2}
    assert found[""].recompute is None
    assert found[""].lost == 1


def test_a_gradient_inside_forward_is_no_recomputation() -> None:
    class Physics(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(4, 1)
            self.head = nn.Linear(4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.requires_grad_()
            (slope,) = torch.autograd.grad(self.net(x).sum(), x, create_graph=True)
            return self.head(slope)

    model = Physics()
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4)).sum().backward()
    assert counts(handle, "forward") == {"": 1, "net": 1, "head": 1}
    assert counts(handle, "recompute") == {}
    assert counts(handle, "backward")["head"] == 1


def test_backward_can_be_left_out() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    with fasttime.instrument(model, backward=False) as handle:
        model(torch.randn(2, 4)).sum().backward()
    assert counts(handle, "backward") == {}
    assert records(handle)[""].backward is None


def test_older_torch_sees_operators_that_a_child_takes(monkeypatch: Any) -> None:
    """Without the creation hook, nodes are found behind arguments and results."""
    from fasttime import _native
    from fasttime.modules import module_hooks

    module_hooks.prepare_autograd.cache_clear()
    hooks = module_hooks.torch._C._autograd
    monkeypatch.delattr(hooks, "_push_node_creation_hook", raising=False)
    try:
        test_operators_of_a_parent_count_for_the_parent()
        test_packed_outputs_are_found("nested")
        test_a_container_takes_no_stretch_of_its_own()
        test_recomputation_has_a_column(True)
        test_recomputation_has_a_column(False)
        test_a_retained_graph_counts_each_pass()
    finally:
        monkeypatch.undo()
        module_hooks.prepare_autograd.cache_clear()
        module_hooks.prepare_autograd()
    assert _native.host_now_ns() > 0


def test_hooks_on_nodes_make_no_removable_handles() -> None:
    """They would be most of what a hook on a node costs."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    with fasttime.instrument(model):
        before = torch.utils.hooks.RemovableHandle.next_id
        model(torch.randn(2, 4)).sum().backward()
        assert torch.utils.hooks.RemovableHandle.next_id == before


def test_no_dropped_graph_keeps_hooks_alive() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    handle = fasttime.instrument(model)
    hooks = weakref.ref(handle._hooks)
    model(torch.randn(2, 4))
    handle.remove()
    del handle, model
    gc.collect()
    assert hooks() is None


def test_a_removed_handle_times_no_later_backward() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    with fasttime.instrument(model) as handle:
        loss = model(torch.randn(2, 4)).sum()
    loss.backward()
    assert counts(handle, "backward") == {}
    assert handle._core.counts().open == 0
    assert handle.step_records().count == 0


def test_a_handle_can_be_removed_inside_backward() -> None:
    class Removing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Noted.apply(x, lambda: handle.remove())

    model = nn.Sequential(nn.Linear(4, 4), Removing(), nn.Tanh())
    handle = fasttime.instrument(model)
    model(torch.randn(2, 4)).sum().backward()
    assert counts(handle, "backward") == {"2": 1}
    assert handle._core.counts().open == 0
    assert handle.step_records().count == 0


def test_a_torch_without_hook_dicts_works(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(module_hooks, "_hook_carrier", lambda: None)
        module_hooks.prepare_autograd.__wrapped__()
    try:
        model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        with fasttime.instrument(model) as handle:
            model(torch.randn(2, 4)).sum().backward()
    finally:
        module_hooks.prepare_autograd.__wrapped__()
    assert counts(handle, "backward") == {"": 1, "0": 1, "1": 1}


def test_a_pass_that_ends_at_a_module_reaches_it() -> None:
    """Its stretch is nearly empty: the backward pass does not run the module's nodes."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Tanh())
    with fasttime.instrument(model) as handle:
        first = model[0](torch.randn(2, 4))
        torch.autograd.grad(model[2](model[1](first)).sum(), [first])
    assert counts(handle, "backward") == {"0": 1, "1": 1, "2": 1}

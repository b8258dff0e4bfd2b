# SPDX-License-Identifier: BSD-3-Clause
"""The forward times of modules."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from timed_modules import adds_up, counts, host_ns, records
from torch import nn

import fasttime
from fasttime.modules.records import PARTS
from fasttime.reports.counts import counts_in


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.act = nn.ReLU(inplace=True)
        self.b = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.b(self.act(self.a(x)))
        y += x
        return y


def test_each_module_counts_each_call() -> None:
    model = nn.Sequential(Residual(), nn.Identity(), Residual())
    with fasttime.instrument(model) as handle:
        for _ in range(3):
            model(torch.randn(2, 4))
    assert counts(handle, "forward") == dict.fromkeys(
        ["", "0", "0.a", "0.act", "0.b", "1", "2", "2.a", "2.act", "2.b"], 3
    )


def test_self_times_add_up_to_the_model() -> None:
    model = nn.Sequential(Residual(), nn.Sequential(Residual(), nn.Identity()))
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4))
        with torch.inference_mode():
            model(torch.randn(2, 4))
    assert adds_up(handle, "forward")


def test_a_shared_module_counts_every_call() -> None:
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4)).sum().backward()
    assert counts(handle, "forward") == {"": 1, "0": 2, "1": 1}
    assert counts(handle, "backward") == {"": 1, "0": 2, "1": 1}


def test_a_module_may_call_itself() -> None:
    class Tree(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.leaf = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor, depth: int) -> torch.Tensor:
            return self.leaf(x) if depth == 0 else self(x, depth - 1) + self(x, depth - 1)

    model = Tree()
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4), 2).sum().backward()
    assert counts(handle, "forward") == {"": 7, "leaf": 4}
    assert counts(handle, "backward") == {"": 7, "leaf": 4}


class Raising(nn.Module):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.error: type[BaseException] | None = error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.error is not None:
            raise self.error
        return x


def test_an_exception_closes_open_calls() -> None:
    raising = Raising(ArithmeticError)
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(raising))
    with fasttime.instrument(model) as handle:
        with pytest.raises(ArithmeticError):
            model(torch.randn(2, 4))
        raising.error = None
        model(torch.randn(2, 4))
        assert handle._core.counts().open == 1  # the part of the step
    assert counts(handle, "forward") == {"": 2, "0": 2, "1": 2, "1.0": 2}


def call_from_far(call: Callable[[], Any], depth: int) -> Any:
    return call_from_far(call, depth - 1) if depth else call()


@pytest.mark.parametrize("depth", [0, 3, 5])
def test_an_interrupt_gives_up_open_calls(depth: int) -> None:
    """torch runs no hook after KeyboardInterrupt. The next call may come from anywhere."""
    raising = Raising(KeyboardInterrupt)
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(raising, nn.Linear(4, 4)))
    with fasttime.instrument(model) as handle:
        with pytest.raises(KeyboardInterrupt):
            call_from_far(lambda: model(torch.randn(2, 4)), 3)
        raising.error = None
        for _ in range(2):
            call_from_far(lambda: model(torch.randn(2, 4)), depth).sum().backward()
        assert handle._core.counts().open == 1  # the part of the step
    assert counts(handle, "forward") == {"": 2, "0": 3, "1": 2, "1.0": 2, "1.1": 2}
    found = records(handle)
    own = (
        host_ns(found["1"].forward) - host_ns(found["1.0"].forward) - host_ns(found["1.1"].forward)
    )
    assert host_ns(found["1"].forward_self) == own
    assert adds_up(handle, "backward")


def test_an_interrupt_of_the_model_alone_is_seen() -> None:
    model = Raising(KeyboardInterrupt)
    with fasttime.instrument(model) as handle:
        with pytest.raises(KeyboardInterrupt):
            model(torch.randn(2, 4))
        model.error = None
        model(torch.randn(2, 4))
        assert handle._core.counts().open == 1  # the part of the step
    assert counts(handle, "forward") == {"": 1}


def test_an_interrupted_step_begins_anew() -> None:
    raising = Raising(KeyboardInterrupt)
    model = nn.Sequential(nn.Linear(4, 4), raising)
    with fasttime.instrument(model) as handle:
        with pytest.raises(KeyboardInterrupt):
            model(torch.randn(2, 4))
        interrupted = handle._core.counts().open
        raising.error = None
        model(torch.randn(2, 4)).sum().backward()
    assert interrupted == 2 + 1  # calls, and the part of the step
    assert handle.step_records().count == 1
    forward = handle._hooks.step_sites()[PARTS.index("forward")]
    entries = {entry.id: entry for entry in handle._core.site_entries(False)}
    assert counts_in(entries[forward], 0.0).counts["dropped"] == 1


def test_a_model_called_again_inside_is_no_interrupt() -> None:
    """A module outside of the last one makes the handle ask which calls still run."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = nn.Linear(4, 4)
            self.right = Inner()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.right(x, self.left)

    class Inner(nn.Module):
        def forward(self, x: torch.Tensor, other: nn.Module) -> torch.Tensor:
            return other(x)

    model = Twice()
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4))
    assert counts(handle, "forward") == {"": 1, "left": 1, "right": 1}
    assert adds_up(handle, "forward")


@pytest.mark.skipif(
    not hasattr(torch.autograd.graph, "node_creation_hook"), reason="torch has no creation hooks"
)
@pytest.mark.parametrize("how", ["interrupted", "running"])
def test_remove_takes_off_the_creation_hook(how: str) -> None:
    raising = Raising(KeyboardInterrupt)
    model = nn.Sequential(nn.Linear(4, 4), raising)

    def interrupt() -> weakref.ref[Any]:
        handle = fasttime.instrument(model)
        if how == "running":
            raising.register_forward_pre_hook(lambda *_: handle.remove())
        with pytest.raises(KeyboardInterrupt):
            model(torch.randn(2, 4))
        handle.remove()
        return weakref.ref(handle._hooks)

    hooks = interrupt()
    raising._forward_pre_hooks.clear()
    gc.collect()
    assert hooks() is None  # torch holds a hook that is on


def test_calls_of_threads_do_not_mix() -> None:
    model = nn.Sequential(Residual(), nn.Linear(4, 4))
    both = threading.Barrier(4)

    def serve() -> None:
        both.wait()
        for _ in range(20):
            with torch.inference_mode():
                model(torch.randn(2, 4))
            model(torch.randn(2, 4)).sum().backward()

    with fasttime.instrument(model) as handle:
        threads = [threading.Thread(target=serve) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(counts(handle, "forward").values()) == {160}
    assert set(counts(handle, "backward").values()) == {80}
    assert adds_up(handle, "forward")
    assert adds_up(handle, "backward")


def test_a_scope_inside_a_module_stays_in_the_report() -> None:
    class Scoped(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with fasttime.scope("inside"):
                return x + 1

    fasttime.reset()
    model = nn.Sequential(Scoped())
    with fasttime.instrument(model), fasttime.scope("around"):
        model(torch.randn(2, 4))
    report = fasttime.report()
    assert report["around/inside"].count == 1
    assert [site.path for site in report.sites if site.count] == ["around"]


def test_a_deep_model_is_timed_as_far_as_it_fits() -> None:
    model: nn.Module = nn.Linear(4, 4)
    for _ in range(120):
        model = nn.Sequential(model)
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4)).sum().backward()
    table = handle.table()
    assert len(counts(handle, "forward")) == 90
    assert [warning.kind for warning in table.warnings] == ["calls_left_out"]
    assert adds_up(handle, "forward")
    assert adds_up(handle, "backward")


def test_outputs_and_gradients_stay_the_same() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Residual(), Residual())
    x = torch.randn(2, 4)
    plain = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    with fasttime.instrument(model):
        timed = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(plain, timed, strict=True))

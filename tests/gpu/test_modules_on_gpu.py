# SPDX-License-Identifier: BSD-3-Clause
"""Modules on a real device. Bounds are one-sided, and each bound has a negative control."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from latch import Latch, host_must_not_wait_for, long_work
from torch import nn
from torch.utils.checkpoint import checkpoint

import fasttime
from fasttime.modules.records import ModuleRecord

pytestmark = pytest.mark.gpu

LONG = 1e-3  # seconds; long_work() takes longer


class Work(torch.autograd.Function):
    """An identity whose forward or backward takes long on the device."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, where: str) -> torch.Tensor:
        ctx.where = where
        if "forward" in where:
            long_work()
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        if "backward" in ctx.where:
            long_work()
        return grad, None


class Slow(nn.Module):
    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Work.apply(x, self.where)


def model_of(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers).cuda()


def records(handle: fasttime.Handle) -> dict[str, ModuleRecord]:
    return {record.path: record for record in handle.module_records(wait=True).modules}


def device_total(record: ModuleRecord, column: str) -> float:
    times = getattr(record, column)
    assert times is not None, (record.path, column)
    assert times.device is not None, (record.path, column)
    assert times.device.count == times.host.count
    return times.device.total


def test_device_time_lies_where_the_work_is() -> None:
    model = model_of(nn.Linear(8, 8), Slow("forward"), nn.Linear(8, 8), Slow("backward"))
    x = torch.randn(2, 8, device="cuda")
    model(x).sum().backward()
    with fasttime.instrument(model) as handle:
        for _ in range(3):
            torch.cuda.synchronize()
            model(x).sum().backward()
    found = records(handle)
    assert device_total(found["1"], "forward") > 3 * LONG
    assert device_total(found["3"], "backward") > 3 * LONG
    for path, column in (("2", "forward"), ("0", "backward"), ("2", "backward")):
        assert found[path].forward is not None
        assert getattr(found[path], column).device.min < LONG


def test_self_times_add_up_on_the_device() -> None:
    block = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), Slow("forward backward"))
    model = model_of(block, nn.Identity(), nn.Linear(8, 8))
    with fasttime.instrument(model) as handle:
        for _ in range(3):
            model(torch.randn(2, 8, device="cuda")).sum().backward()
    found = records(handle)
    for column in ("forward", "backward"):
        own = sum(
            times.device.total
            for record in found.values()
            if (times := getattr(record, f"{column}_self")) is not None and times.device
        )
        assert own == pytest.approx(device_total(found[""], column), rel=1e-6, abs=1e-6)


def test_backward_covers_the_whole_pass() -> None:
    model = model_of(*(Slow("backward") for _ in range(3)), nn.Linear(8, 8))
    x = torch.randn(2, 8, device="cuda", requires_grad=True)
    model(x).sum().backward()
    torch.cuda.synchronize()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with fasttime.instrument(model) as handle:
        loss = model(x).sum()
        begin.record()
        loss.backward()
        end.record()
    torch.cuda.synchronize()
    whole = begin.elapsed_time(end) * 1e-3
    stretches = device_total(records(handle)[""], "backward")
    assert 3 * LONG < stretches <= whole


def test_hooks_never_wait(latch: Latch) -> None:
    model = model_of(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(2, 8, device="cuda")

    def step() -> None:
        model(x).sum().backward()
        optimizer.step()

    step()
    with fasttime.instrument(model, optimizer=optimizer) as handle:
        step()
        torch.cuda.synchronize()
        with host_must_not_wait_for(latch):
            latch.hold(torch.cuda.current_stream())
            step()
            handle.table()
            handle.steps()
            latch.release()
    assert records(handle)[""].calls == 2


def test_work_on_another_stream_is_timed_there() -> None:
    class OnStream(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Slow("forward backward")
            self.stream = torch.cuda.Stream()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                y = self.inner(x)
            torch.cuda.current_stream().wait_stream(self.stream)
            return y * 2

    model = model_of(nn.Linear(8, 8), OnStream())
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 8, device="cuda")).sum().backward()
    found = records(handle)
    assert device_total(found["1.inner"], "forward") > LONG
    assert device_total(found["1.inner"], "backward") > LONG


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_recomputation_is_apart_from_backward(use_reentrant: bool) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(8, 8)
            self.block = nn.Sequential(Slow("forward"), nn.Linear(8, 8), nn.Tanh())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return checkpoint(self.block, self.first(x), use_reentrant=use_reentrant)

    model = model_of(Checkpointed())
    x = torch.randn(2, 8, device="cuda")
    model(x).sum().backward()
    with fasttime.instrument(model) as handle:
        model(x).sum().backward()
    found = records(handle)
    assert device_total(found["0.block.0"], "recompute") > LONG
    assert device_total(found[""], "backward") < LONG


def test_steps_add_up_and_show_the_idle_device() -> None:
    model = model_of(nn.Linear(8, 8), Slow("backward"))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with fasttime.instrument(model, optimizer=optimizer) as handle:
        for _ in fasttime.iterate(range(4)):
            torch.cuda.synchronize()
            optimizer.zero_grad()
            model(torch.randn(2, 8, device="cuda")).sum().backward()
            optimizer.step()
    found = handle.step_records(wait=True)
    assert found.count == 4
    assert found.device is not None
    assert found.device.count == 4
    parts = {part.name: part for part in found.parts}
    total = sum(part.device.total for part in found.parts if part.device is not None)
    assert total == pytest.approx(found.device.total, rel=1e-6)
    backward = parts["backward"].device
    assert backward is not None
    assert backward.total > 4 * LONG


def test_a_captured_graph_survives_hooks() -> None:
    model = model_of(nn.Linear(8, 8), nn.ReLU())
    x = torch.randn(2, 8, device="cuda")
    with torch.no_grad():
        model(x)
        torch.cuda.synchronize()
        with fasttime.instrument(model) as handle:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                y = model(x)
            graph.replay()
            model(x)
    torch.cuda.synchronize()
    assert torch.equal(y, model(x))
    found = records(handle)
    assert (found["0"].calls, found["0"].captured, found["0"].lost) == (2, 1, 0)


# Dynamo itself reads the `grad` of the region's input.
@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_a_compiled_module_has_device_times() -> None:
    inner = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    model = model_of(nn.Linear(8, 8), torch.compile(inner, backend="aot_eager"))
    x = torch.randn(2, 8, device="cuda")
    model(x).sum().backward()
    with fasttime.instrument(model) as handle:
        model(x).sum().backward()
    found = records(handle)
    assert device_total(found["1"], "forward") > 0
    assert device_total(found["1"], "backward") > 0

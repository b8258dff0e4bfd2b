# SPDX-License-Identifier: BSD-3-Clause
"""Training steps of vision models, and the ways to time their modules."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

import fasttime


@dataclass(frozen=True)
class Case:
    """A model and a batch. `limit` is the most that timing every leaf may cost."""

    name: str
    make: Callable[[], nn.Module]
    batch: int
    limit: float
    image: int = 224


def _torchvision(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import torchvision

        made: nn.Module = getattr(torchvision.models, name)(num_classes=1000)
        return made

    return make


def _tiny() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Flatten(), nn.LazyLinear(4)
    )


CASES = (
    Case("mobilenet_v3_large, batch 256", _torchvision("mobilenet_v3_large"), 256, 0.010),
    Case("vit_b_16, batch 32", _torchvision("vit_b_16"), 32, 0.005),
    Case("resnet50, batch 64", _torchvision("resnet50"), 64, 0.05),
    Case("mobilenet_v3_large, batch 32", _torchvision("mobilenet_v3_large"), 32, 0.22),
)
TINY = (Case("tiny", _tiny, 4, 10.0, image=16),)


class Training:
    """One model with its optimizer and its data, ready to step."""

    def __init__(self, case: Case, device: torch.device) -> None:
        torch.manual_seed(0)
        self.device = device
        self.images = torch.randn(case.batch, 3, case.image, case.image, device=device)
        self.labels = torch.zeros(case.batch, dtype=torch.long, device=device)
        self.model = case.make().to(device).train()
        self.model(self.images[:2])  # lazy modules get their shapes
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4, momentum=0.9)

    def loss(self) -> torch.Tensor:
        return nn.functional.cross_entropy(self.model(self.images), self.labels)

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, steps: int) -> float:
        """Return the time of one step in a row of `steps`, after two more."""
        self.step()
        self.step()
        self.wait()
        begin = time.perf_counter()
        for _ in range(steps):
            self.step()
        self.wait()
        return (time.perf_counter() - begin) / steps

    def leaves(self) -> list[str]:
        return [path for path, module in self.model.named_modules() if not any(module.children())]


@dataclass
class Variant:
    """A way to time the modules of a model of its own.

    Attributes:
        seconds: seconds per step, one entry per round.
        is_slow: whether each run takes far longer than its steps, so that few rounds must do.
        error: why the way does not work for this model; empty if it does.
    """

    name: str
    training: Training
    around: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    handle: fasttime.Handle | None = None
    is_slow: bool = False
    error: str = ""
    seconds: list[float] = field(default_factory=list)

    def run(self, steps: int) -> None:
        if self.error:
            return
        try:
            with self.around():
                self.seconds.append(self.training.seconds(steps))
        except RuntimeError as error:
            self.error = f"{type(error).__name__}: {error}"[:200]


def _nothing(*_: Any) -> None:
    return None


@contextlib.contextmanager
def _profiled() -> Iterator[None]:
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities):
        yield


def variants(case: Case, device: torch.device) -> list[Variant]:
    """Return the model untouched, and every way to time it."""

    def training() -> Training:
        return Training(case, device)

    untouched = Variant("untouched", training())
    leaves = Variant("fasttime, every leaf", training())
    leaves.handle = fasttime.instrument(
        leaves.training.model, optimizer=leaves.training.optimizer, match=leaves.training.leaves()
    )
    forward = Variant("fasttime, every leaf, forward only", training())
    forward.handle = fasttime.instrument(
        forward.training.model,
        optimizer=forward.training.optimizer,
        match=forward.training.leaves(),
        backward=False,
    )
    everything = Variant("fasttime, every module", training())
    everything.handle = fasttime.instrument(
        everything.training.model, optimizer=everything.training.optimizer
    )
    sampled = Variant("fasttime, overhead_budget=0.01", training())
    sampled.handle = fasttime.instrument(
        sampled.training.model,
        optimizer=sampled.training.optimizer,
        match=sampled.training.leaves(),
        overhead_budget=0.01,
    )
    empty = Variant("empty Python hooks", training())
    for module in empty.training.model.modules():
        if not any(module.children()):
            module.register_forward_pre_hook(_nothing)
            module.register_forward_hook(_nothing)
    full = Variant("empty full backward hooks", training())
    for module in full.training.model.modules():
        if not any(module.children()):
            module.register_full_backward_pre_hook(_nothing)
            module.register_full_backward_hook(_nothing)
    profiler = Variant("torch.profiler", training(), around=_profiled, is_slow=True)
    return [untouched, leaves, forward, everything, sampled, empty, full, profiler]

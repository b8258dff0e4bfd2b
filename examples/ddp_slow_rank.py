# SPDX-License-Identifier: BSD-3-Clause
"""Which rank is slow? A DDP job in which the last rank does extra work in one part of the step.

All ranks take equally long per step, because they wait for each other. Only the parts of the step
show which rank is slow.

    torchrun --nproc-per-node 2 examples/ddp_slow_rank.py --slow backward
    torchrun --nproc-per-node 2 examples/ddp_slow_rank.py --slow data --device cuda
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

import fasttime


class ExtraWork(torch.autograd.Function):
    """Does extra work in forward or in backward, and passes everything on."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, forward_ms: float, backward_ms: float) -> torch.Tensor:
        ctx.backward_ms = backward_ms
        work(x.device, forward_ms)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        work(gradients[0].device, ctx.backward_ms)
        return gradients[0], None, None


def work(device: torch.device, ms: float) -> None:
    """Keep the device busy for about this long."""
    if device.type == "cuda":
        torch.cuda._sleep(int(ms * 1.5e6))  # cycles, at about 1.5 GHz
    elif ms:
        time.sleep(ms / 1000)


class Block(nn.Module):
    def __init__(self, width: int, forward_ms: float, backward_ms: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.forward_ms, self.backward_ms = forward_ms, backward_ms

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.linear(x))
        return ExtraWork.apply(y, self.forward_ms, self.backward_ms)  # type: ignore[no-any-return]


def batches(steps: int, width: int, ms: float) -> Iterator[torch.Tensor]:
    for _ in range(steps):
        time.sleep(ms / 1000)
        yield torch.randn(64, width)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", choices=("data", "forward", "backward"), default="backward")
    parser.add_argument("--ms", type=float, default=20, help="the extra work per step")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--width", type=int, default=128)
    options = parser.parse_args(arguments)

    on_gpu = options.device == "cuda"
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    ms = dict.fromkeys(("data", "forward", "backward"), 0.0)
    if dist.get_rank() == dist.get_world_size() - 1:
        ms[options.slow] = options.ms

    model = nn.Sequential(
        nn.Linear(options.width, options.width),
        Block(options.width, ms["forward"], ms["backward"]),
        nn.Linear(options.width, 10),
    ).to(device)
    model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    with fasttime.instrument(model, optimizer=optimizer) as handle:
        loader = fasttime.iterate(batches(options.steps, options.width, ms["data"]), "data")
        for step, batch in enumerate(loader):
            if step == 1:
                handle.reset()  # the first step sets up DDP and its communication
            model(batch.to(device)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    steps = fasttime.gather(handle.steps(wait=True))
    modules = fasttime.gather(handle.table(wait=True))
    if steps is not None and modules is not None:  # on rank 0
        print(steps)
        print()
        print(modules)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

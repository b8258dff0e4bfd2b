# SPDX-License-Identifier: BSD-3-Clause
"""One process of two that train a small model over gloo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

import fasttime


class Middle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).tanh()


def main(how: str, rank: int, folder: str) -> None:
    """Train with ``ddp`` or ``fsdp``, and save what the handle counted as RANK.json."""
    # After a fork, torch makes its thread pool anew at the first use, and threads of autograd that
    # use it first at the same time abort the process.
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    torch.manual_seed(0)
    model: Any = nn.Sequential(nn.Linear(8, 8), Middle(), nn.Linear(8, 8))
    if how == "ddp":
        model = nn.parallel.DistributedDataParallel(model)
    else:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh("cpu", (2,))
        for layer in model:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with fasttime.instrument(model, optimizer=optimizer) as handle:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(4, 8)).sum().backward()
            optimizer.step()
    modules = handle.module_records().modules
    steps = handle.step_records()
    found = {
        "types": {record.path: record.type for record in modules},
        "calls": {record.path: record.calls for record in modules},
        "backward": {
            record.path: record.backward.host.count for record in modules if record.backward
        },
        "steps": steps.count,
        "parts": {part.name: part.host.total for part in steps.parts},
    }
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()

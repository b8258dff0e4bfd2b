# SPDX-License-Identifier: BSD-3-Clause
"""Check on two ranks that the slow rank is named, and measure what instrumenting both ranks costs.

* stragglers: DDP, with 20 ms of extra work on rank 1 in backward, in data loading and in forward
* cost: the time of a step with and without `instrument` on both ranks, in random turns
* fsdp: FSDP2 on a small transformer, and where the wait for the all-gather lies

    python benchmarks/two_gpus.py --json two_gpus.json             # two GPUs of one host, NCCL
    torchrun --nproc-per-node 2 benchmarks/two_gpus.py             # the same
    python benchmarks/two_gpus.py --device cpu --quick             # gloo, small sizes
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from _common import make_parser
from torch import nn

import fasttime
from fasttime import RankTable
from fasttime.environment import describe as environment
from fasttime.experiments import output

RANKS, SLOW_RANK, EXTRA_MS = 2, 1, 20.0
# Where the extra work is, and the part of the step that must be named for it.
PARTS = {"backward": "backward", "data": "data wait", "forward": "forward"}


@dataclass(frozen=True)
class Sizes:
    """How much work there is."""

    width: int
    layers: int
    batch: int
    steps: int  # of a scenario, and of one turn of the cost
    rounds: int
    tokens: int


SIZES = {
    "full": Sizes(width=2048, layers=12, batch=512, steps=20, rounds=15, tokens=256),
    "quick": Sizes(width=64, layers=3, batch=8, steps=5, rounds=3, tokens=8),
}


@dataclass(frozen=True)
class Place:
    """Where a rank runs."""

    device: torch.device
    cycles_per_ms: float  # of torch.cuda._sleep; 0 on the CPU

    def work(self, ms: float) -> None:
        """Keep the device busy for this long. On the CPU, that is the host."""
        if not ms:
            return
        if self.device.type == "cuda":
            torch.cuda._sleep(int(ms * self.cycles_per_ms))
        else:
            time.sleep(ms / 1000)

    def finish(self) -> None:
        """Wait for the device and for the other rank."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        dist.barrier()


class ExtraWork(torch.autograd.Function):
    """Passes everything on, and takes longer in forward or backward."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, place: Place, extra: dict[str, float]) -> torch.Tensor:
        ctx.place, ctx.extra = place, extra
        place.work(extra.get("forward", 0.0))
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        ctx.place.work(ctx.extra.get("backward", 0.0))
        return gradients[0], None, None


class Block(nn.Module):
    """A linear layer with extra work. `extra` may change while the model runs."""

    def __init__(self, width: int, place: Place, extra: dict[str, float]) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.place, self.extra = place, extra

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = ExtraWork.apply(torch.relu(self.linear(x)), self.place, self.extra)
        return y


def batches(count: int, sizes: Sizes, place: Place, extra_ms: float) -> Iterator[torch.Tensor]:
    for _ in range(count):
        time.sleep(extra_ms / 1000)
        yield torch.ones(sizes.batch, sizes.width, device=place.device)


def ddp_model(
    sizes: Sizes, place: Place, extra: dict[str, float]
) -> tuple[nn.Module, torch.optim.Optimizer]:
    layers: list[nn.Module] = [nn.Linear(sizes.width, sizes.width) for _ in range(sizes.layers)]
    layers[sizes.layers // 2] = Block(sizes.width, place, extra)
    model = nn.Sequential(*layers).to(place.device)
    ids = [place.device.index] if place.device.type == "cuda" else None
    wrapped = nn.parallel.DistributedDataParallel(model, device_ids=ids)
    return wrapped, torch.optim.SGD(wrapped.parameters(), lr=1e-6)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, data: Iterator[torch.Tensor]) -> None:
    for batch in fasttime.iterate(data, "data"):
        model(batch).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def stragglers(sizes: Sizes, place: Place) -> dict[str, Any]:
    """Return what `gather` says for each place of the extra work; rank 0 has the content."""
    found = {}
    for where, part in PARTS.items():
        extra: dict[str, float] = {}
        model, optimizer = ddp_model(sizes, place, extra)
        train(model, optimizer, batches(2, sizes, place, 0))  # warm up
        place.finish()
        data_ms = 0.0
        if dist.get_rank() == SLOW_RANK:
            extra[where] = EXTRA_MS
            data_ms = EXTRA_MS if where == "data" else 0.0
        with fasttime.instrument(model, optimizer=optimizer) as handle:
            train(model, optimizer, batches(sizes.steps, sizes, place, data_ms))
        steps = fasttime.gather(handle.steps(wait=True), 60)
        modules = fasttime.gather(handle.table(wait=True), 60)
        if steps is not None and modules is not None:
            found[where] = {
                "named": is_named(steps, part),
                "steps": steps.to_dict(),
                "steps_text": str(steps),
                "modules_conclusion": modules.conclusion,
                "modules": modules.to_dict(),
            }
        place.finish()
    return found


def is_named(steps: RankTable, part: str) -> bool:
    """Return whether the table names the slow rank and the part with the extra work."""
    site = steps[f"step/{part}"]
    return (
        site.slowest == SLOW_RANK
        and steps.conclusion.startswith(f"Rank {SLOW_RANK} is slowest: ")
        and f" in step/{part}." in steps.conclusion
    )


def cost(sizes: Sizes, place: Place, seed: int) -> dict[str, Any]:
    """Return seconds per step, by way and round. All ranks take their turns in the same order."""
    model, optimizer = ddp_model(sizes, place, {})
    ways: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
        "untouched": contextlib.nullcontext,
        "instrumented": lambda: fasttime.instrument(model, optimizer=optimizer),
        "instrumented, budget 1 %": lambda: fasttime.instrument(
            model, optimizer=optimizer, overhead_budget=0.01
        ),
    }
    order = random.Random(seed)
    times: dict[str, list[float]] = {name: [] for name in ways}
    data = torch.ones(sizes.batch, sizes.width, device=place.device)
    for turn in range(sizes.rounds + 1):  # the first round warms up
        names = list(ways)
        order.shuffle(names)
        for name in names:
            with ways[name]():
                place.finish()
                begin = time.perf_counter()
                for _ in range(sizes.steps):
                    model(data).sum().backward()
                    optimizer.step()
                    optimizer.zero_grad()
                place.finish()
                if turn:
                    times[name].append((time.perf_counter() - begin) / sizes.steps)
    untouched = times["untouched"]
    return {
        "seconds_per_step": times,
        "median_change": {
            name: statistics.median(a / b for a, b in zip(values, untouched, strict=True)) - 1
            for name, values in times.items()
        },
    }


class Encoder(nn.Module):
    """A small transformer. Each layer is sharded on its own."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        heads = 8 if sizes.width % 8 == 0 else 1
        make = functools.partial(
            nn.TransformerEncoderLayer,
            sizes.width,
            heads,
            dim_feedforward=4 * sizes.width,
            dropout=0.0,
            batch_first=True,
        )
        self.layers = nn.ModuleList(make() for _ in range(min(sizes.layers, 6)))
        self.head = nn.Linear(sizes.width, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        y: torch.Tensor = self.head(x)
        return y.clone()  # FSDP2 warns of views


def fsdp(sizes: Sizes, place: Place) -> dict[str, Any]:
    """Return the table of an FSDP2 model, and how its forward time divides; rank 0 has it."""
    from torch.distributed.fsdp import fully_shard

    model = Encoder(sizes).to(place.device)
    for layer in model.layers:
        fully_shard(layer)
    fully_shard(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    data = torch.ones(max(sizes.batch // 64, 2), sizes.tokens, sizes.width, device=place.device)
    with fasttime.instrument(model, optimizer=optimizer, depth=2) as handle:
        for step in range(sizes.steps):
            if step == 2:
                handle.table(wait=True)
                handle.reset()
            model(data).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    table, steps = handle.table(wait=True), handle.steps(wait=True)
    gathered = fasttime.gather(table, 60)
    place.finish()
    if gathered is None:
        return {}
    whole = table[""]
    layers = [row for row in table if row.path.startswith("layers.")]
    # Modules begin after their parameters have been gathered. So the wait is the model's own time.
    return {
        "forward_s_per_step": whole.per_call("forward"),
        "model_itself_s_per_step": whole.per_call("forward_self"),
        "layers_s_per_step": sum(row.per_call("forward") or 0.0 for row in layers),
        "types": sorted({row.type for row in table}),
        "table_text": str(table),
        "steps_text": str(steps),
        "table": table.to_dict(),
        "ranks": gathered.to_dict(),
    }


def calibrated(device: torch.device) -> Place:
    """Return the place, after measuring how long `torch.cuda._sleep` takes."""
    if device.type != "cuda":
        return Place(device, 0.0)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    cycles = 50_000_000
    for _ in range(2):  # the first one warms up
        begin.record()
        torch.cuda._sleep(cycles)
        end.record()
        end.synchronize()
    return Place(device, cycles / begin.elapsed_time(end))


def work(rank: int, options: argparse.Namespace, port: int | None) -> None:
    """Run everything on one rank. Rank 0 prints the results and saves them.

    Args:
        port: of the store; None under torchrun, which sets the variables itself.
    """
    on_gpu = options.device == "cuda"
    device = torch.device("cuda", rank) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)
    if port is not None:
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(RANKS),
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
        )
    if on_gpu:
        dist.init_process_group("nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    sizes = SIZES["quick" if options.quick else "full"]
    torch.manual_seed(options.seed)
    begin = time.perf_counter()
    place = calibrated(device)
    found: dict[str, Any] = {"stragglers": stragglers(sizes, place)}
    found["cost"] = cost(sizes, place, options.seed)
    found["fsdp"] = fsdp(sizes, place)
    found["seconds"] = time.perf_counter() - begin
    if rank == 0:
        sentence = summary(found)
        show(found, sentence)
        if options.json:
            here = environment.describe(str(device))
            document = {"experiment": "two_gpus", "summary": sentence, **found}
            output.save({**document, "environment": dataclasses.asdict(here)}, options.json)
    dist.destroy_process_group()


def summary(found: dict[str, Any]) -> str:
    """Return the outcome in one sentence."""
    named = [where for where, one in found["stragglers"].items() if one["named"]]
    change = found["cost"]["median_change"]["instrumented"]
    return (
        f"gather named the slow rank and its part in {len(named)} of {len(PARTS)} cases "
        f"({', '.join(named) or 'none'}); instrumenting both ranks changed the step by "
        f"{100 * change:+.1f} %."
    )


def show(found: dict[str, Any], sentence: str) -> None:
    for where, one in found["stragglers"].items():
        print(f"\n{EXTRA_MS:g} ms extra on rank {SLOW_RANK} in {where}:\n{one['steps_text']}")
        print(f"By module: {one['modules_conclusion']}")
    print("\nCost, change of the step (median of paired rounds):")
    for name, change in found["cost"]["median_change"].items():
        print(f"  {name}: {100 * change:+.2f} %")
    print(f"\nFSDP2:\n{found['fsdp']['table_text']}\n{found['fsdp']['steps_text']}")
    print(f"\n{sentence} It took {found['seconds']:.0f} s.")


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> int:
    parser = make_parser(__doc__ or "")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the script")
    options = parser.parse_args()
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if options.device not in ("cuda", "cpu"):
        parser.error(f"--device is cuda or cpu, got {options.device}")
    if options.device == "cuda" and torch.cuda.device_count() < RANKS:
        parser.error(f"needs {RANKS} GPUs, found {torch.cuda.device_count()}; use --device cpu")
    if "RANK" in os.environ:
        work(int(os.environ["RANK"]), options, None)
    else:
        mp.spawn(work, args=(options, free_port()), nprocs=RANKS)
    return 0


if __name__ == "__main__":
    sys.exit(main())

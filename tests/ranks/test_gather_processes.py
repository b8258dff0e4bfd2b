# SPDX-License-Identifier: BSD-3-Clause
"""Four gloo processes, of which one is slow: in data, in forward and in backward.

The processes run on the simulated runtime, whose clock moves only where the code below moves it. So
the times are exact, however busy the machine is.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from forked import Forking

HELPERS = [path for path in sys.path if "/tests/" in path]

CODE = '''
import json, os, sys
sys.path[:0] = json.loads(sys.argv[2])

RANKS, SLOW, MS = 4, 2, 1_000_000
import torch._dynamo  # once, because DDP imports it in every process

readers = [os.pipe() for _ in range(RANKS)]
children = []
for rank in range(RANKS):
    child = os.fork()
    if child == 0:
        break
    children.append(child)
else:
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(map(abs, codes)))

import torch
import torch.distributed as dist
import fasttime
from binding import bind_library
from simulated_cuda import Simulated

torch.set_num_threads(1)
if rank == 0:
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for _, writer in readers[1:]:
        os.write(writer, str(store.port).encode())
else:
    store = dist.TCPStore("127.0.0.1", int(os.read(readers[rank][0], 100)), is_master=False)
dist.init_process_group("gloo", store=store, rank=rank, world_size=RANKS)

simulated = Simulated(sys.argv[1])
bind_library(sys.argv[1])
torch.manual_seed(0)


def work(kind):
    """Take 1 ms. The slow rank takes 50 ms where it is slow."""
    is_slow = rank == SLOW and kind == where
    simulated.advance((50 if is_slow else 1) * MS)


class Work(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        work("forward")
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        work("backward")
        return gradient


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, x):
        return Work.apply(self.linear(x))


def batches():
    for _ in range(3):
        work("data")
        yield torch.ones(2, 8)


found = {}
for where in ("data", "forward", "backward"):
    fasttime.reset()
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), Block(), torch.nn.Linear(8, 8))
    model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with fasttime.instrument(model, optimizer=optimizer) as handle:
        for batch in fasttime.iterate(batches(), "data"):
            with fasttime.scope("train"):
                model(batch).sum().backward()
                optimizer.step()
            optimizer.zero_grad()
    results = {"steps": handle.steps(), "modules": handle.table(), "report": fasttime.report()}
    tables = {kind: fasttime.gather(result, 60) for kind, result in results.items()}
    if rank == 0:
        found[where] = {kind: table.to_dict() for kind, table in tables.items()}

# Rank 3 sends nothing.
where = "late"
if rank == 3:
    late = None
else:
    late = fasttime.gather(fasttime.report(), 60 if rank else 0.5)
if rank == 0:
    found["late"] = {"report": late.to_dict()}
    with open("found.json", "w") as file:
        json.dump(found, file)
# Rank 0 owns the store, so it ends last.
store.add("done", 1)
while rank == 0 and store.add("done", 0) < RANKS:
    os.sched_yield()
sys.stdout.flush()
os._exit(0)
'''


@pytest.fixture(scope="module")
def found(
    forking: Forking, simulated_library: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What rank 0 gathered, by the place where rank 2 is slow."""
    if not dist.is_gloo_available():
        pytest.skip("this torch has no gloo")
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("ranks"))
    try:
        done = forking.run(CODE, str(simulated_library), json.dumps(HELPERS))
        assert done.returncode == 0, done.stderr
        content: dict[str, Any] = json.loads(Path("found.json").read_text())
        return content
    finally:
        os.chdir(before)


def site(table: dict[str, Any], path: str) -> dict[str, Any]:
    (one,) = [site for site in table["sites"] if site["path"] == path]
    return dict(one)


@pytest.mark.parametrize(
    ("where", "part"),
    [("data", "data wait"), ("forward", "forward"), ("backward", "backward")],
)
def test_the_steps_name_the_slow_rank(found: dict[str, Any], where: str, part: str) -> None:
    table = found[where]["steps"]
    assert table["conclusion"].startswith(f"Rank 2 is slowest: 50.00 ms per call in step/{part}. ")
    assert site(table, f"step/{part}")["times_s"] == pytest.approx([1e-3, 1e-3, 50e-3, 1e-3])
    assert site(table, f"step/{part}")["slowest"] == 2
    assert site(table, "step")["times_s"] == pytest.approx([3e-3, 3e-3, 52e-3, 3e-3])
    assert (table["ranks"], table["missing"]) == ([0, 1, 2, 3], [])


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_the_modules_name_rank_and_module(found: dict[str, Any], where: str) -> None:
    table = found[where]["modules"]
    assert table["conclusion"].startswith("Rank 2 is slowest: 50.00 ms per call in ")
    assert f"{where}/module.1" in table["conclusion"]


def test_the_report_names_the_slow_rank(found: dict[str, Any]) -> None:
    assert "Rank 2 is slowest: 50.00 ms per call in data." in found["data"]["report"]["conclusion"]
    assert (
        "Rank 2 is slowest: 51.00 ms per call in train."
        in (found["forward"]["report"]["conclusion"])
    )


def test_every_rank_sends_device_and_host_times(found: dict[str, Any]) -> None:
    assert site(found["backward"]["steps"], "step/backward")["clock"] == "device"
    assert site(found["data"]["steps"], "step/data wait")["clock"] == "host"


def test_a_silent_rank_is_missing(found: dict[str, Any]) -> None:
    table = found["late"]["report"]
    assert table["missing"] == [3]
    assert table["ranks"] == [0, 1, 2]
    assert (
        "The table lacks rank 3, because no figures came within 0.5 s"
        in (table["warnings"][0]["message"])
    )

# SPDX-License-Identifier: BSD-3-Clause
"""What timing the stages of a CUDA graph costs: stamps against event-record nodes.

One graph of small kernels is captured without boundaries, with stamps (fasttime.graph_timing), and
with external event records. The graphs are replayed in turns, so that each reading has a reading of
the graph without boundaries beside it. The extra time per replay, on the device and on the host, is
divided by the number of boundaries.

On the host, most of the extra time is the same for any number of boundaries: fasttime asks CUDA to
say when the graph is gone (a user object), and each replay then takes longer. A graph with such an
object and without boundaries shows this part.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from time import perf_counter_ns

import torch
from _common import json_path
from rich.console import Console
from rich.table import Table

from fasttime import Recorder
from fasttime.environment import describe as environment

KERNELS = 80
BOUNDARIES = (11, 21, 41)  # of 10, 20 and 40 stages
REPLAYS = 20  # per reading; all of them fit into the launch queue
DEVICE_TARGET_US = 1.6  # per boundary
HOST_TARGET_US = 0.1  # per boundary and replay, with 20 stages


@dataclass
class Row:
    """The readings of one graph. Times are in microseconds per replay.

    Attributes:
        how: ``none``, ``object`` (no boundaries, but a user object), ``stamps`` or ``events``.
        size: each kernel adds a number to a square matrix of this size.
        boundaries: boundaries in the graph.
        nodes: nodes in the graph.
        device, host: the readings, by round.
        device_extra: the median extra device time per boundary.
        host_extra: the median extra host time per replay.
    """

    how: str
    size: int
    boundaries: int
    nodes: int
    device: list[float] = field(default_factory=list)
    host: list[float] = field(default_factory=list)
    device_extra: float = 0.0
    host_extra: float = 0.0


class Subject:
    """A captured graph and its readings."""

    def __init__(
        self, how: str, a: torch.Tensor, boundaries: int, stream: torch.cuda.Stream
    ) -> None:
        self.recorder = Recorder()
        self.events = [
            torch.cuda.Event(enable_timing=True, external=True)
            for _ in range(boundaries if how == "events" else 0)
        ]
        self.graph = torch.cuda.CUDAGraph(keep_graph=True)
        every = KERNELS // (boundaries - 1) if boundaries > 1 else KERNELS
        torch.add(a, 1, out=a)
        torch.cuda.synchronize()

        def work(mark: Callable[[int], object]) -> None:
            for i in range(KERNELS):
                if i % every == 0 and i // every < boundaries - 1:
                    mark(i // every)
                torch.add(a, 1, out=a)

        if how == "stamps":
            timing = self.recorder.graph_timing(max_scopes=2 * boundaries, depth=4096)
            capture = torch.cuda.graph(self.graph, stream=stream)
            with timing, capture, self.recorder.phases("step") as phase:
                work(lambda i: phase(f"stage {i}"))
        else:
            with torch.cuda.graph(self.graph, stream=stream):
                if how == "events":
                    work(lambda i: self.events[i].record(stream))
                    self.events[-1].record(stream)
                else:
                    work(lambda i: None)
        if how == "object":
            keep_object(self.graph)
        self.graph.instantiate()
        self.row = Row(how, a.shape[0], boundaries, count_nodes(self.graph))
        self.kept = a

    def read(self, stream: torch.cuda.Stream) -> None:
        """Take one reading of device and host."""
        replay = self.graph.replay
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        replay()
        begin.record(stream)
        start = perf_counter_ns()
        for _ in range(REPLAYS):
            replay()
        self.row.host.append((perf_counter_ns() - start) / REPLAYS / 1e3)
        end.record(stream)
        end.synchronize()
        self.row.device.append(begin.elapsed_time(end) * 1e3 / REPLAYS)
        self.recorder.report()  # reads the stamps, outside the timed part


def keep_object(graph: torch.cuda.CUDAGraph) -> None:
    """Let the graph keep a user object. CUDA calls `free(NULL)` at the end, which does nothing."""
    driver, made = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p()
    free = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)
    created = driver.cuUserObjectCreate(ctypes.byref(made), None, free, 1, 1)
    kept = driver.cuGraphRetainUserObject(ctypes.c_void_p(graph.raw_cuda_graph()), made, 1, 1)
    assert (created, kept) == (0, 0), (created, kept)


def count_nodes(graph: torch.cuda.CUDAGraph) -> int:
    """Return the number of nodes of a captured graph."""
    count = ctypes.c_size_t()
    status = ctypes.CDLL(None).cudaGraphGetNodes(
        ctypes.c_void_p(graph.raw_cuda_graph()), None, ctypes.byref(count)
    )
    assert status == 0, f"cudaGraphGetNodes returned {status}"
    return count.value


def measure(sizes: list[int], rounds: int) -> list[Row]:
    """Return one row per graph."""
    stream = torch.cuda.Stream()
    rows: list[Row] = []
    with torch.cuda.stream(stream):
        for size in sizes:
            # All graphs use the same memory, because its place changes the time by 1 %.
            a = torch.zeros(size, size, device="cuda", dtype=torch.bfloat16)
            subjects = [Subject(how, a, 0, stream) for how in ("none", "object")]
            for boundaries in BOUNDARIES:
                subjects += [Subject(how, a, boundaries, stream) for how in ("stamps", "events")]
            for turn in range(rounds + 2):
                order = subjects if turn % 2 else subjects[::-1]
                for subject in order:
                    subject.read(stream)
                if turn < 2:  # warm-up
                    for subject in subjects:
                        subject.row.device.clear()
                        subject.row.host.clear()
            none = subjects[0].row
            for subject in subjects[1:]:
                row = subject.row
                row.device_extra = paired(row.device, none.device) / max(row.boundaries, 1)
                row.host_extra = paired(row.host, none.host)
            rows += [subject.row for subject in subjects]
            check_counts(subjects, rounds)
    return rows


def paired(values: list[float], yardsticks: list[float]) -> float:
    """Return the median difference of neighbours."""
    return statistics.median(a - b for a, b in zip(values, yardsticks, strict=True))


def check_counts(subjects: list[Subject], rounds: int) -> None:
    """Fail if a replay is missing: the cost would then belong to something else."""
    for subject in subjects:
        if subject.row.how == "stamps":
            report = subject.recorder.report(wait=True)
            wanted = (rounds + 2) * (REPLAYS + 1)
            for site in report.walk():
                assert (site.counts["ok"], site.lost) == (wanted, 0), (site, wanted)
        added = subject.row.nodes - subjects[0].row.nodes
        assert added == subject.row.boundaries, (subject.row.how, added)


def table_of(rows: list[Row]) -> Table:
    """Return a table for the terminal."""
    table = Table(title=f"A graph of {KERNELS} kernels")
    for heading in ("matrix", "boundaries", "by", "device", "per boundary", "host", "per boundary"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            str(row.size),
            str(row.boundaries),
            row.how,
            f"{statistics.median(row.device):.1f} us",
            f"{row.device_extra:+.2f} us" if row.boundaries else "",
            f"{statistics.median(row.host):.2f} us",
            f"{row.host_extra / row.boundaries:+.3f} us" if row.boundaries else "",
        )
    return table


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40, help="readings per graph; default: 40")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 4096], help="matrix sizes")
    parser.add_argument("--json", type=json_path, metavar="PATH", help="save the raw data here")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"{parser.prog}: error: this benchmark needs a GPU", file=sys.stderr)
        return 2
    torch.zeros(1, device="cuda")
    rows = measure(options.sizes, options.rounds)
    Console().print(table_of(rows))
    stamps = [row for row in rows if row.how == "stamps"]
    device = max(row.device_extra for row in stamps)
    twenty = [row for row in stamps if row.boundaries == BOUNDARIES[1]]
    host = max(row.host_extra / row.boundaries for row in twenty)
    whole = max(row.host_extra for row in stamps)
    kept = max(row.host_extra for row in rows if row.how == "object")
    print(f"stamps: at most {device:.2f} us of device time per boundary (goal {DEVICE_TARGET_US})")
    print(f"stamps: at most {host:.3f} us of host time per boundary, 20 stages ({HOST_TARGET_US})")
    print(f"host: at most {whole:.2f} us per replay, {kept:.2f} us by a user object alone")
    if options.json is not None:
        document = {
            "benchmark": "graph_scopes",
            "environment": asdict(environment.describe("cuda:0")),
            "kernels": KERNELS,
            "replays_per_reading": REPLAYS,
            "goals_us": {
                "device_per_boundary": DEVICE_TARGET_US,
                "host_per_boundary": HOST_TARGET_US,
            },
            "device_per_boundary_us": device,
            "host_per_boundary_us": host,
            "host_per_replay_us": whole,
            "host_of_user_object_us": kept,
            "rows": [asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

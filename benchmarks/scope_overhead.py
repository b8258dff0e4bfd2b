# SPDX-License-Identifier: BSD-3-Clause
"""Measure what an empty scope costs the host, compared with other ways to time a block.

Each way times many empty blocks in a row. Then the device is synchronised, outside the measured
time. The ways take turns, in a new order each round. A round's figure is the median of its rows.
The first table shows the median over the rounds.

The yardstick is a C loop with two event records per block, which looks up torch's current stream
before each record. The loop exists twice: with the runtime's cudaEventRecord and with the driver's
cuEventRecord. The driver's loop is the minimum cost of timing a block on a stream.

With a yardstick there is a second table, in which each row has a row of its yardstick beside it:
- recording alone: a latch holds the stream, so there is nothing to read. Just before the row, the
  library reads one scope. This is the normal case.
- device far behind: the same, but the library has read nothing for a while. Each of its records
  releases the GIL.
- sustained: nothing is held, and scopes read earlier scopes.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter, perf_counter_ns

import torch
from _common import make_parser
from _overhead_pairs import (
    BEGIN_END,
    DISABLED,
    KNOWN_IDLE_NS,
    NULLCONTEXT,
    RAW,
    RAW_DRIVER,
    RAW_WITH,
    SCOPE,
    TWO_RECORDS,
    Pairs,
    Way,
)
from _paired import COLUMNS, Paired, table_row, targets_sentence
from _raw_pair import compile_raw_pair
from rich.console import Console
from rich.table import Table

from fasttime import Recorder
from fasttime.environment import describe as environment
from fasttime.experiments import output
from fasttime.experiments.settings import resolve_device

TORCH_EVENTS = "2 torch events, record()"
ROWS = 20
# A launch queue holds about 1,000 entries. In a full queue, every record waits for the device.
MOST_BLOCKS = 199


@dataclass(frozen=True)
class Result:
    """The cost of each way.

    Attributes:
        blocks: empty blocks per row.
        warmup: rows per round and way that are not counted.
        nanoseconds: ns per block, by way, round and row.
        paired: rows measured beside a row of their yardstick.
        shared: the share of scopes that could share an event and did.
        late_rows: the share of primed rows that took longer than records keep the GIL.
    """

    blocks: int
    warmup: int
    rounds: int
    seed: int
    nanoseconds: dict[str, list[list[float]]]
    paired: list[Paired] = field(default_factory=list)
    shared: float | None = None
    late_rows: float | None = None

    def summary(self) -> dict[str, object]:
        """Return the costs and the paired figures."""
        return {**self.costs(), "paired": [paired.summary() for paired in self.paired]}

    def costs(self) -> dict[str, dict[str, float]]:
        """Return the median over the rounds, the lowest and the highest round, in nanoseconds."""
        made = {}
        for way, rounds in self.nanoseconds.items():
            medians = [statistics.median(rows) for rows in rounds]
            made[way] = {
                "median_ns": statistics.median(medians),
                "min_ns": min(medians),
                "max_ns": max(medians),
            }
        return made


def host_ways() -> dict[str, Way]:
    """Return the ways that need no GPU."""
    disabled = Recorder()
    disabled.disable()

    def empty_loop(blocks: int) -> None:
        for _ in range(blocks):
            pass

    def disabled_scope(blocks: int) -> None:
        scope = disabled.scope
        for _ in range(blocks):
            with scope("name"):
                pass

    def nullcontext(blocks: int) -> None:
        context = contextlib.nullcontext
        for _ in range(blocks):
            with context():
                pass

    def clock(blocks: int) -> None:
        for _ in range(blocks):
            begin = perf_counter()
            _ = perf_counter() - begin

    def record_function(blocks: int) -> None:
        record = torch.profiler.record_function
        for _ in range(blocks):
            with record("name"):
                pass

    return {
        "empty loop": empty_loop,
        DISABLED: disabled_scope,
        NULLCONTEXT: nullcontext,
        "perf_counter, x 2": clock,
        "torch.profiler.record_function": record_function,
    }


def scope_ways(sharing: Recorder, plain: Recorder, tokens: Recorder) -> dict[str, Way]:
    """Return fasttime's ways. `plain` and `tokens` share no boundaries."""

    def shared(blocks: int) -> None:
        scope = sharing.scope
        for _ in range(blocks):
            with scope("name"):
                pass

    def two_records(blocks: int) -> None:
        scope = plain.scope
        for _ in range(blocks):
            with scope("name"):
                pass

    def begin_end(blocks: int) -> None:
        begin, end = tokens.begin, tokens.end
        for _ in range(blocks):
            end(begin("name"))

    return {
        TWO_RECORDS: two_records,
        SCOPE: shared,
        BEGIN_END: begin_end,
    }


def cuda_ways(device: str) -> dict[str, Way]:
    """Return the ways that people write with torch's events and `synchronize`."""
    event = torch.cuda.Event
    first, last = event(enable_timing=True), event(enable_timing=True)
    stream = torch.cuda.current_stream()

    def reused(blocks: int) -> None:
        for _ in range(blocks):
            first.record()
            last.record()

    def reused_on_stream(blocks: int) -> None:
        for _ in range(blocks):
            first.record(stream)
            last.record(stream)

    def new_events(blocks: int) -> None:
        for _ in range(blocks):
            begin, end = event(enable_timing=True), event(enable_timing=True)
            begin.record()
            end.record()

    def synchronised_clock(blocks: int) -> None:
        synchronize = torch.cuda.synchronize
        for _ in range(blocks):
            synchronize(device)
            begin = perf_counter()
            synchronize(device)
            _ = perf_counter() - begin

    return {
        "2 torch events, record(stream)": reused_on_stream,
        TORCH_EVENTS: reused,
        "2 new torch events, record()": new_events,
        "synchronize, perf_counter, x 2": synchronised_clock,
    }


def raw_ways(blocks: int) -> dict[str, Way]:
    """Return both yardsticks, and a `with` that makes the runtime's two records.

    Raises the errors of `compile_raw_pair`.
    """
    raw = compile_raw_pair(2 * blocks)
    pair = raw.pair

    def bare(blocks: int) -> None:
        for _ in range(blocks):
            with pair:
                pass

    return {RAW: raw.loop, RAW_DRIVER: raw.driver_loop, RAW_WITH: bare}


def measure(
    ways: dict[str, Way],
    synchronize: Callable[[], object],
    *,
    blocks: int,
    warmup: int,
    rounds: int,
    seed: int,
) -> Result:
    """Let all ways take turns and return the cost of each."""
    order = random.Random(seed)
    plan = [way for _ in range(rounds) for way in order.sample(sorted(ways), len(ways))]
    seen: dict[str, list[list[float]]] = {way: [] for way in ways}
    for name in output.track(plan, "empty scopes"):
        way, rows = ways[name], []
        for row in range(warmup + ROWS):
            synchronize()
            begin = perf_counter_ns()
            way(blocks)
            end = perf_counter_ns()
            if row >= warmup:
                rows.append((end - begin) / blocks)
        seen[name].append(rows)
    synchronize()
    return Result(blocks, warmup, rounds, seed, seen)


def with_pairs(result: Result, pairs: Pairs) -> Result:
    """Return the result with the paired figures, measured for as many rounds."""
    warmup, rounds = result.warmup, result.rounds
    counts = {"warmup": warmup, "rows": ROWS, "rounds": rounds}
    paired = pairs.measure(blocks=result.blocks, seed=result.seed, **counts)
    paired += pairs.reading(**counts)
    paired += pairs.threads(blocks=min(result.blocks, 60), **counts)
    return replace(result, paired=paired, shared=pairs.shared(), late_rows=pairs.late_rows())


def table(result: Result) -> Table:
    """Return a table with the cost of each way, the cheapest first."""
    summary = result.costs()
    yardsticks = [summary[name]["median_ns"] for name in (RAW, RAW_DRIVER) if name in summary]
    rows = [
        (
            way,
            f"{row['median_ns']:,.0f}",
            f"{row['min_ns']:,.0f}",
            f"{row['max_ns']:,.0f}",
            *(f"{row['median_ns'] / yardstick:.2f}" for yardstick in yardsticks),
        )
        for way, row in sorted(summary.items(), key=lambda item: item[1]["median_ns"])
    ]
    columns = ["empty block timed by", "median ns", "lowest", "highest"]
    columns += ["ratio to raw pair", "to driver's"][: len(yardsticks)]
    return output.table(f"Cost on the host, {result.rounds} rounds", columns, rows)


def sentence(result: Result, on_gpu: bool) -> str:
    """Return the result in one sentence."""
    summary = {way: row["median_ns"] for way, row in result.costs().items()}
    disabled = (
        f"a disabled scope takes {summary[DISABLED]:,.0f} ns, "
        f"and contextlib.nullcontext {summary[NULLCONTEXT]:,.0f} ns"
    )
    if not on_gpu:
        return (
            "Without a GPU there are only the host's figures: an empty scope takes "
            f"{summary[SCOPE]:,.0f} ns on the host backend, {disabled}."
        )
    scope, events = summary[TWO_RECORDS], summary[TORCH_EVENTS]
    against_raw = (
        f"{scope / summary[RAW]:.2f} times the raw pair, "
        f"{scope / summary[RAW_DRIVER]:.2f} times the driver's raw pair and "
        if RAW in summary
        else ""
    )
    return (
        f"An empty scope with two records takes {scope:,.0f} ns, {against_raw}"
        f"{scope / events:.2f} times two records of reused torch events ({events:,.0f} ns); "
        f"{disabled}."
    )


def paired_sentence(result: Result) -> str:
    """Return the result of the paired rows in sentences."""
    return (
        f"{targets_sentence(result.paired)} {result.shared:.0%} of further scopes shared an event. "
        f"{result.late_rows:.1%} of primed rows took longer than the {KNOWN_IDLE_NS / 1e3:.0f} us "
        "in which records keep the GIL."
    )


def main() -> int:
    parser = make_parser(__doc__ or "")
    parser.add_argument("--repeat", type=int, default=190, help="blocks per row; default: 190")
    parser.add_argument("--warmup", type=int, default=2, help="rows not counted; default: 2")
    parser.add_argument("--rounds", type=int, default=15, help="default: 15")
    options = parser.parse_args()
    if not 1 <= options.repeat <= MOST_BLOCKS:
        parser.error(f"--repeat must lie between 1 and {MOST_BLOCKS}, got {options.repeat}")
    if options.warmup < 0 or options.rounds < 1:
        parser.error("--warmup must be at least 0 and --rounds at least 1")
    try:
        device = resolve_device(options.device)
    except ValueError as error:
        parser.error(str(error))
    console = Console(width=150)
    recorders = Recorder(), Recorder(share_boundaries=False), Recorder(share_boundaries=False)
    with contextlib.ExitStack() as stack:
        ways = host_ways()
        if device == "cpu":
            ways |= scope_ways(*recorders)
        else:
            stack.enter_context(torch.cuda.device(device))
            torch.cuda.synchronize()  # starts CUDA; before, scopes have host time only
            ways |= scope_ways(*recorders) | cuda_ways(device)
            try:
                ways |= raw_ways(options.repeat)
            except (ImportError, OSError, RuntimeError) as error:
                console.print(f"No raw pair. Install ninja and a C++ compiler: {error}")
        result = measure(
            ways,
            torch.cuda.synchronize if device != "cpu" else lambda: None,
            blocks=options.repeat,
            warmup=options.warmup,
            rounds=options.rounds,
            seed=options.seed,
        )
        if RAW in ways:
            result = with_pairs(result, Pairs(ways, recorders))
    console.print(table(result))
    spoken = sentence(result, device != "cpu")
    if result.paired:
        rows = [table_row(paired) for paired in result.paired]
        console.print(output.table("Each row beside a row of its yardstick", COLUMNS, rows))
        spoken += f" {paired_sentence(result)}"
    if options.json:
        here = environment.describe(device)
        output.save(output.document("scope_overhead", here, [result], spoken), options.json)
    console.print(spoken, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""What an empty scope costs the host, beside other ways to time a section.

Each way times so many empty sections in a row; then the device is synchronised, outside of the
measured time. The ways take turns, in a new order each round. Shown is the median over the rounds,
where a round's figure is the median of its rows of sections.

The yardstick is a pair of cudaEventRecord in a C loop, torch's current stream looked up before
each: nobody can time a section on a stream with less. Where there is one, a second table has what
targets are set for, each row with one of its yardstick right beside it: recording alone, while a
latch holds the stream so that there is nothing to read, and sustained, with reading.
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
from _overhead_pairs import NULLCONTEXT, RAW, RAW_WITH, Pairs, Way
from _paired import COLUMNS, Paired, said, table_row
from _raw_pair import compile_raw_pair
from rich.console import Console
from rich.table import Table

from fasttime import Recorder
from fasttime.environment import describe as environment
from fasttime.experiments import output
from fasttime.experiments.settings import resolve_device

SCOPE = "fasttime scope"
ROWS = 20
# A launch queue holds about 1,000 entries, and once it is full a record waits for the device.
MOST_SECTIONS = 199


@dataclass(frozen=True)
class Result:
    """What each way cost: nanoseconds a section, by round and row; and what has a target.

    `shared` is the part of the scopes that could share an event with a neighbour and did.
    """

    sections: int
    warmup: int
    rounds: int
    seed: int
    nanoseconds: dict[str, list[list[float]]]
    paired: list[Paired] = field(default_factory=list)
    shared: float | None = None

    def summary(self) -> dict[str, object]:
        """Return the costs, and the figures that have a target."""
        return {**self.costs(), "paired": [paired.summary() for paired in self.paired]}

    def costs(self) -> dict[str, dict[str, float]]:
        """Return the median over the rounds, and the least and greatest round, in nanoseconds."""
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
    """Return the ways that need no device."""
    disabled = Recorder()
    disabled.disable()

    def empty_loop(sections: int) -> None:
        for _ in range(sections):
            pass

    def disabled_scope(sections: int) -> None:
        scope = disabled.scope
        for _ in range(sections):
            with scope("name"):
                pass

    def nullcontext(sections: int) -> None:
        context = contextlib.nullcontext
        for _ in range(sections):
            with context():
                pass

    def clock(sections: int) -> None:
        for _ in range(sections):
            begin = perf_counter()
            _ = perf_counter() - begin

    def record_function(sections: int) -> None:
        record = torch.profiler.record_function
        for _ in range(sections):
            with record("name"):
                pass

    return {
        "empty loop": empty_loop,
        "fasttime scope, disabled": disabled_scope,
        NULLCONTEXT: nullcontext,
        "perf_counter, x 2": clock,
        "torch.profiler.record_function": record_function,
    }


def scope_ways(sharing: Recorder, plain: Recorder, tokens: Recorder) -> dict[str, Way]:
    """Return the ways of fasttime, on whatever backend there is; `plain` shares no boundaries."""

    def shared(sections: int) -> None:
        scope = sharing.scope
        for _ in range(sections):
            with scope("name"):
                pass

    def two_records(sections: int) -> None:
        scope = plain.scope
        for _ in range(sections):
            with scope("name"):
                pass

    def begin_end(sections: int) -> None:
        begin, end = tokens.begin, tokens.end
        for _ in range(sections):
            end(begin("name"))

    return {
        f"{SCOPE}, two records": two_records,
        SCOPE: shared,
        "fasttime begin, end": begin_end,
    }


def cuda_ways(device: str) -> dict[str, Way]:
    """Return the ways that people write with torch's events and synchronise."""
    event = torch.cuda.Event
    first, last = event(enable_timing=True), event(enable_timing=True)
    stream = torch.cuda.current_stream()

    def reused(sections: int) -> None:
        for _ in range(sections):
            first.record()
            last.record()

    def reused_on_stream(sections: int) -> None:
        for _ in range(sections):
            first.record(stream)
            last.record(stream)

    def new_events(sections: int) -> None:
        for _ in range(sections):
            begin, end = event(enable_timing=True), event(enable_timing=True)
            begin.record()
            end.record()

    def synchronised_clock(sections: int) -> None:
        synchronize = torch.cuda.synchronize
        for _ in range(sections):
            synchronize(device)
            begin = perf_counter()
            synchronize(device)
            _ = perf_counter() - begin

    return {
        "2 torch events, record(stream)": reused_on_stream,
        "2 torch events, record()": reused,
        "2 new torch events, record()": new_events,
        "synchronize, perf_counter, x 2": synchronised_clock,
    }


def raw_ways(sections: int) -> dict[str, Way]:
    """Return the yardstick, and the same records behind a `with` that does nothing else.

    Raises what `compile_raw_pair` raises.
    """
    raw = compile_raw_pair(2 * sections)
    pair = raw.pair

    def bare(sections: int) -> None:
        for _ in range(sections):
            with pair:
                pass

    return {RAW: raw.loop, RAW_WITH: bare}


def measure(
    ways: dict[str, Way],
    synchronize: Callable[[], object],
    *,
    sections: int,
    warmup: int,
    rounds: int,
    seed: int,
) -> Result:
    """Let all ways take turns and return what each cost."""
    order = random.Random(seed)
    plan = [way for _ in range(rounds) for way in order.sample(sorted(ways), len(ways))]
    seen: dict[str, list[list[float]]] = {way: [] for way in ways}
    for name in output.track(plan, "empty scopes"):
        way, rows = ways[name], []
        for row in range(warmup + ROWS):
            synchronize()
            begin = perf_counter_ns()
            way(sections)
            end = perf_counter_ns()
            if row >= warmup:
                rows.append((end - begin) / sections)
        seen[name].append(rows)
    synchronize()
    return Result(sections, warmup, rounds, seed, seen)


def with_pairs(result: Result, pairs: Pairs) -> Result:
    """Return the result with what has a target, measured for as many rounds."""
    warmup, rounds = result.warmup, result.rounds
    counts = {"warmup": warmup, "rows": ROWS, "rounds": rounds}
    paired = pairs.measure(sections=result.sections, seed=result.seed, **counts)
    paired += pairs.reading(**counts)
    paired += pairs.threads(sections=min(result.sections, 60), **counts)
    return replace(result, paired=paired, shared=pairs.shared())


def table(result: Result) -> Table:
    """Return what each way cost, the cheapest first."""
    summary = result.costs()
    yardstick = summary.get(RAW, {}).get("median_ns")
    rows = [
        (
            way,
            f"{row['median_ns']:,.0f}",
            f"{row['min_ns']:,.0f}",
            f"{row['max_ns']:,.0f}",
            f"{row['median_ns'] / yardstick:.2f}" if yardstick else "",
        )
        for way, row in sorted(summary.items(), key=lambda item: item[1]["median_ns"])
    ]
    columns = ["empty section timed by", "median ns", "lowest", "highest", "to raw pair"]
    return output.table(f"Cost on the host; {result.rounds} rounds", columns, rows)


def sentence(result: Result, on_gpu: bool) -> str:
    """Say in one sentence what was shown."""
    summary = {way: row["median_ns"] for way, row in result.costs().items()}
    off, nothing = summary["fasttime scope, disabled"], summary[NULLCONTEXT]
    disabled = f"disabled {off:,.0f} ns, where contextlib.nullcontext takes {nothing:,.0f} ns"
    if not on_gpu:
        return (
            "Without a GPU there are only the host's figures: an empty scope takes "
            f"{summary[SCOPE]:,.0f} ns on the host backend, and {disabled}."
        )
    scope, torchs = summary[f"{SCOPE}, two records"], summary["2 torch events, record()"]
    raw = summary.get(RAW)
    against_raw = f", {scope / raw:.2f} times the raw pair" if raw else ""
    return (
        f"An empty scope with two records takes {scope:,.0f} ns{against_raw} and "
        f"{scope / torchs:.2f} times two records of reused torch events ({torchs:,.0f} ns); "
        f"{disabled}."
    )


def main() -> int:
    parser = make_parser(__doc__ or "")
    parser.add_argument("--repeat", type=int, default=190, help="sections in a row; default: 190")
    parser.add_argument("--warmup", type=int, default=2, help="rows not counted; default: 2")
    parser.add_argument("--rounds", type=int, default=15, help="default: 15")
    options = parser.parse_args()
    if not 1 <= options.repeat <= MOST_SECTIONS:
        parser.error(f"--repeat must lie between 1 and {MOST_SECTIONS}, got {options.repeat}")
    if options.warmup < 0 or options.rounds < 1:
        parser.error("--warmup must be at least 0 and --rounds at least 1")
    try:
        device = resolve_device(options.device)
    except ValueError as error:
        parser.error(str(error))
    console = Console(width=130)
    recorders = Recorder(), Recorder(share_boundaries=False), Recorder(share_boundaries=False)
    with contextlib.ExitStack() as stack:
        ways = host_ways()
        if device == "cpu":
            ways |= scope_ways(*recorders)
        else:
            stack.enter_context(torch.cuda.device(device))
            torch.cuda.synchronize()  # starts CUDA, without which scopes have host time only
            ways |= scope_ways(*recorders) | cuda_ways(device)
            try:
                ways |= raw_ways(options.repeat)
            except (ImportError, OSError, RuntimeError) as error:
                console.print(f"No raw pair (is ninja installed, a C++ compiler?): {error}")
        result = measure(
            ways,
            torch.cuda.synchronize if device != "cpu" else lambda: None,
            sections=options.repeat,
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
        console.print(output.table("Beside a yardstick, row by row", COLUMNS, rows))
        spoken += f" {said(result.paired)} {result.shared:.0%} of further scopes shared an event."
    if options.json:
        here = environment.describe(device)
        output.save(output.document("scope_overhead", here, [result], spoken), options.json)
    console.print(spoken, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

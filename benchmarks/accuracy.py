# SPDX-License-Identifier: BSD-3-Clause
"""Compare what fasttime and other tools read for the same callables.

Some callables are kernels of known length. Their true time is the time that a kernel adds to a busy
stream, found from long trains of kernels. The others are work that people time: small and large
elementwise operations, matrix products, a softmax, a model, and a chain of small operations.

Each tool answers ten times. The tools take turns, and all have the same time per answer, except
`fasttime.measure(fn)` with default arguments, which takes the time that it needs. The script needs
a GPU and nvcc. It includes triton and cupy if they are installed.
"""

from __future__ import annotations

import functools
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from _common import make_parser
from rich.console import Console

import fasttime
from fasttime.environment import describe as environment
from fasttime.experiments import models, output
from fasttime.experiments.settings import Settings, resolve_device
from fasttime.text import format_seconds

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "gpu"))

Call = Callable[[], object]
Tool = Callable[[Call, float], float]

DEFAULTS = "fasttime, default arguments"
LENGTHS_NS = (2_000, 5_000, 20_000, 100_000, 1_000_000)
MATRICES = (128, 256, 512, 1024, 2048, 4096, 8192)


@dataclass
class Case:
    """One callable.

    Attributes:
        name: a short description.
        truth: the time that it adds to a busy stream, in seconds. None if it is unknown.
        readings: one per answer, by tool, in seconds.
        answer_times: how long each answer took, by tool, in seconds.
    """

    name: str
    truth: float | None
    readings: dict[str, list[float]] = field(default_factory=dict)
    answer_times: dict[str, list[float]] = field(default_factory=dict)

    def spread(self, tool: str) -> float:
        """Return the interquartile range of a tool's answers, divided by their median."""
        low, middle, high = statistics.quantiles(self.readings[tool], n=4)
        return (high - low) / middle


@dataclass
class Result:
    """All answers, with `budget` seconds per answer and `repetitions` answers per tool."""

    budget: float
    repetitions: int
    seed: int
    cases: list[Case]

    def summary(self) -> list[dict[str, float | str | None]]:
        """Return the reading, error, spread and answer time of each callable and tool."""
        return [
            {
                "case": case.name,
                "tool": tool,
                "median": statistics.median(readings),
                "error": None if case.truth is None else statistics.median(readings) - case.truth,
                "spread": case.spread(tool),
                "answer_time": statistics.median(case.answer_times[tool]),
            }
            for case in self.cases
            for tool, readings in case.readings.items()
        ]


def tools() -> dict[str, Tool]:
    """Return the tools. A tool takes a callable and a budget, and returns a time, in seconds."""

    def by_fasttime(call: Call, budget: float, **options: object) -> float:
        # Warm-up takes up to a quarter of `budget` in addition, and is part of the answer's time.
        return fasttime.measure(call, budget=0.8 * budget, precision=1e-4, **options).median  # type: ignore[arg-type]

    def torch_benchmark(call: Call, budget: float) -> float:
        from torch.utils.benchmark import Timer

        timer = Timer("call()", globals={"call": call})
        return float(timer.blocked_autorange(min_run_time=budget).median)

    found: dict[str, Tool] = {
        DEFAULTS: lambda call, budget: fasttime.measure(call).median,
        "fasttime": by_fasttime,
        "fasttime, not held": functools.partial(by_fasttime, hold=False),
        "fasttime, graph": functools.partial(by_fasttime, method="graph", hold=True),
        "torch Timer": torch_benchmark,
    }
    try:
        from triton import testing
    except ImportError:
        pass
    else:

        def do_bench(call: Call, budget: float) -> float:
            milliseconds = 1e3 * budget
            read = testing.do_bench(
                call, warmup=0.2 * milliseconds, rep=0.8 * milliseconds, return_mode="median"
            )
            return float(read) * 1e-3

        def do_bench_cudagraph(call: Call, budget: float) -> float:
            with torch.cuda.stream(torch.cuda.Stream()):
                read = testing.do_bench_cudagraph(call, rep=1e3 * budget, return_mode="median")
            return float(read) * 1e-3

        found["triton do_bench"] = do_bench
        found["triton do_bench_cudagraph"] = do_bench_cudagraph
    try:
        from cupyx.profiler import benchmark
    except ImportError:
        pass
    else:

        def cupy_benchmark(call: Call, budget: float) -> float:
            read = benchmark(
                lambda: call(), (), n_repeat=1_000_000, n_warmup=10, max_duration=budget
            )
            return float(statistics.median(read.gpu_times[0]))

        found["cupyx benchmark"] = cupy_benchmark
    return found


def cases(seed: int) -> list[tuple[str, Call, bool]]:
    """Return the name, the callable, and whether its true time is known, for each case."""
    from known_kernels import kernel

    made: list[tuple[str, Call, bool]] = [
        (f"kernel of {format_seconds(ns * 1e-9)}", kernel(ns), True) for ns in LENGTHS_NS
    ]
    few, many = torch.zeros(16, device="cuda"), torch.zeros(1 << 26, device="cuda")
    made.append(("add_ to 16 floats", lambda: few.add_(1), False))
    made.append(("add_ to 2^26 floats", lambda: many.add_(1), False))
    for size in MATRICES:
        a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
        made.append((f"matmul {size}", functools.partial(torch.matmul, a, a), False))
    rows = torch.randn(4096, 4096, device="cuda")
    made.append(("softmax 4096 x 4096", functools.partial(torch.softmax, rows, -1), False))
    for batch in (1, 64):
        settings = Settings.with_defaults("cuda", batch, seed=seed)
        model = models.mobilenet_v3("small", settings)
        x = models.random_images(settings)
        made.append((f"MobileNetV3-Small, batch {batch}", functools.partial(model, x), False))

    def chain() -> None:
        y = few
        for _ in range(100):
            y = y + 1

    made.append(("100 small operations", chain, False))
    return made


def run(budget: float, repetitions: int, seed: int, json: Path | None) -> Result:
    """Let the tools take turns for each callable. Save the results after each callable."""
    from known_kernels import stream_time

    shuffle = random.Random(seed).shuffle
    result = Result(budget, repetitions, seed, [])
    chosen = tools()
    for name, call, is_known in output.track(cases(seed), "comparing tools"):
        case = Case(name, stream_time(call) if is_known else None)  # type: ignore[arg-type]
        for _ in range(20):
            call()
        torch.cuda.synchronize()
        order = list(chosen)
        for _ in range(repetitions):
            shuffle(order)
            for tool in order:
                start = time.perf_counter()
                try:
                    read = chosen[tool](call, budget)
                except Exception as error:  # a failure of one tool must not end the run
                    print(f"{tool} cannot time {name}: {error}", file=sys.stderr)
                    continue
                case.readings.setdefault(tool, []).append(read)
                case.answer_times.setdefault(tool, []).append(time.perf_counter() - start)
        # A spread needs two answers.
        case.readings = {tool: read for tool, read in case.readings.items() if len(read) > 1}
        result.cases.append(case)
        save(result, json)
    return result


def save(result: Result, path: Path | None) -> None:
    """Save the results so far."""
    if path is not None:
        here = environment.describe("cuda")
        output.save(output.document("accuracy", here, [result], sentence(result)), path)


def table(result: Result) -> object:
    """Return a table with one row per callable and tool."""
    rows: list[Sequence[str]] = []
    for row in result.summary():
        error = row["error"]
        rows.append(
            (
                str(row["case"]),
                str(row["tool"]),
                format_seconds(float(row["median"] or 0)),
                "" if error is None else f"{1e6 * float(error):+.2f} µs",
                f"{100 * float(row['spread'] or 0):.2f} %",
                format_seconds(float(row["answer_time"] or 0)),
            )
        )
    columns = ("callable", "tool", "reading", "error", "spread", "time per answer")
    return output.table(
        f"Readings; medians of {result.repetitions} answers of {result.budget:g} s",
        columns,
        rows,
    )


def sentence(result: Result) -> str:
    """Return the result in one sentence."""
    known = [case for case in result.cases if case.truth is not None]
    names = [tool for tool in known[0].readings if all(tool in case.readings for case in known)]
    worst = {
        tool: max(
            abs(statistics.median(case.readings[tool]) - (case.truth or 0.0)) for case in known
        )
        for tool in names
    }
    spreads = {
        tool: statistics.median(case.spread(tool) for case in result.cases if tool in case.readings)
        for tool in names
    }
    figures = "; ".join(
        f"{tool} {format_seconds(worst[tool])} and {100 * spreads[tool]:.2f} %"
        for tool in sorted(names, key=lambda tool: worst[tool])
    )
    return (
        "Largest error on kernels of known length, and median spread of answers on all callables: "
        f"{figures}."
    )


def main() -> int:
    """Read the options, run, print and save the results."""
    parser = make_parser(__doc__ or "")
    parser.add_argument(
        "--budget", type=float, default=0.05, help="seconds per answer; default: 0.05"
    )
    parser.add_argument(
        "--repetitions", type=int, default=10, help="answers per tool and callable; default: 10"
    )
    options = parser.parse_args()
    if options.repetitions < 2 or options.budget <= 0:
        parser.error("--repetitions must be at least 2, and --budget more than 0")
    if resolve_device(options.device) == "cpu":
        print("accuracy.py: needs a CUDA device", file=sys.stderr)
        return 1
    with torch.inference_mode():
        result = run(options.budget, options.repetitions, options.seed, options.json)
    console = Console(width=120)
    console.print(table(result))
    console.print(sentence(result), markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

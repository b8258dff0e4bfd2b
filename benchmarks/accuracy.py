# SPDX-License-Identifier: BSD-3-Clause
"""What fasttime and other tools read for the same callables, how far apart, and in what time.

Kernels of known length, for which there is a truth: what they add to a busy stream, found from long
trains of them. And work that people time: small and large elementwise operations, matrix products,
a softmax, a model, a chain of small operations. Each tool answers ten times, in turns, each time
with the same time to spend. Needs a GPU, nvcc, and what there is of triton and cupy.
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

LENGTHS_NS = (2_000, 5_000, 20_000, 100_000, 1_000_000)
MATRICES = (128, 256, 512, 1024, 2048, 4096, 8192)


@dataclass
class Case:
    """One callable.

    Attributes:
        name: what it does.
        truth: what it adds to a busy stream, in seconds; None where nobody knows.
        readings: by tool, one an answer, in seconds.
        answer_times: by tool, how long each answer took, in seconds.
    """

    name: str
    truth: float | None
    readings: dict[str, list[float]] = field(default_factory=dict)
    answer_times: dict[str, list[float]] = field(default_factory=dict)

    def spread(self, tool: str) -> float:
        """Return the interquartile range of a tool's answers, as a part of their median."""
        low, middle, high = statistics.quantiles(self.readings[tool], n=4)
        return (high - low) / middle


@dataclass
class Result:
    """All answers."""

    budget: float
    repetitions: int
    seed: int
    cases: list[Case]

    def summary(self) -> list[dict[str, float | str | None]]:
        """Return, for each callable and tool, what it read, how far off and how far apart."""
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
    """Return what is to be compared: from a callable and seconds to spend to a reading."""

    def by_fasttime(call: Call, budget: float, **how: object) -> float:
        # Warming up has a quarter of the budget beside it, and is part of the answer's time.
        return fasttime.measure(call, budget=0.8 * budget, precision=1e-4, **how).median  # type: ignore[arg-type]

    def torch_benchmark(call: Call, budget: float) -> float:
        from torch.utils.benchmark import Timer

        timer = Timer("call()", globals={"call": call})
        return float(timer.blocked_autorange(min_run_time=budget).median)

    found: dict[str, Tool] = {
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
    """Return the callables: name, callable, and whether there is a truth for it."""
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
    """Let every tool answer for every callable, in turns; write what there is after each."""
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
                except RuntimeError as error:
                    print(f"{tool} cannot time {name}: {error}", file=sys.stderr)
                    continue
                case.readings.setdefault(tool, []).append(read)
                case.answer_times.setdefault(tool, []).append(time.perf_counter() - start)
        result.cases.append(case)
        save(result, json)
    return result


def save(result: Result, path: Path | None) -> None:
    """Write all that is known so far."""
    if path is not None:
        here = environment.describe("cuda")
        output.save(output.document("accuracy", here, [result], sentence(result)), path)


def table(result: Result) -> object:
    """Return a row for each callable and tool."""
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
    columns = ("callable", "tool", "reads", "error", "spread", "answers in")
    return output.table(
        f"What tools read; medians of {result.repetitions} answers, {result.budget:g} s each",
        columns,
        rows,
    )


def sentence(result: Result) -> str:
    """Return what came of it, in words."""
    known = [case for case in result.cases if case.truth is not None]
    names = [tool for tool in tools() if all(tool in case.readings for case in known)]
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
    told = "; ".join(
        f"{tool} {format_seconds(worst[tool])} and {100 * spreads[tool]:.2f} %"
        for tool in sorted(names, key=lambda tool: worst[tool])
    )
    return (
        "Largest error on kernels of known length, and median spread of answers on all callables: "
        f"{told}."
    )


def main() -> int:
    """Read the options, run, print and write what came of it."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--budget", type=float, default=0.05, help="seconds an answer")
    parser.add_argument("--repetitions", type=int, default=10, help="answers a tool and callable")
    options = parser.parse_args()
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

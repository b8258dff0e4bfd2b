# SPDX-License-Identifier: BSD-3-Clause
"""Sweep copy, softmax, layer norm and matmul from 2^10 to 2^26 elements.

Each point is timed by fasttime.sweep, by triton's do_bench and by torch.utils.benchmark, in random
turns and with the same time per answer. Copies from 64 MiB on are compared with a plain loop of
cudaMemcpyAsync in C: a loop of calls (calls=20), as in C, and a single call. Between two copies of
a loop, the device pauses for about a microsecond, which a single copy does not contain. Kernels of
known length check the times themselves. Needs a GPU and nvcc; includes triton if it is installed.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from _common import make_parser
from rich.console import Console

import fasttime
from fasttime.environment import describe as environment
from fasttime.experiments import output
from fasttime.rates.measured_peaks import measure_peaks
from fasttime.rates.rate import format_rate

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "gpu"))

SIZES = [2**k for k in range(10, 27, 2)]
OPERATIONS = ("copy", "softmax", "layer norm", "matmul")
LENGTHS_NS = (2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 300_000, 1_000_000)
BUDGET = 0.05  # seconds per answer
LARGE = 64 << 20  # bytes per tensor, from which a copy should reach the loop's bandwidth


@dataclass
class Case:
    """One operation at one size. Times are in seconds per call, by tool."""

    operation: str
    elements: int
    amount: float
    readings: dict[str, float] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)


@dataclass
class Result:
    """All readings; `copies` and `lengths` hold fasttime's reading and the truth."""

    cases: list[Case]
    copies: list[dict[str, float]]
    lengths: list[dict[str, float]]
    peaks: dict[str, float]
    sweep: dict[str, object]

    def summary(self) -> list[dict[str, float | str]]:
        """Return one row per operation, size and tool."""
        return [
            {
                "operation": case.operation,
                "elements": case.elements,
                "tool": tool,
                "seconds": reading,
                "per_second": case.amount / reading,
                "spent": case.spent[tool],
            }
            for case in self.cases
            for tool, reading in case.readings.items()
        ]


def arguments(operation: str, elements: int) -> tuple[Callable[..., object], tuple[object, ...]]:
    """Return the function that an operation calls, and its arguments."""
    if operation == "matmul":
        side = int(elements**0.5)
        a = torch.randn(side, side, device="cuda", dtype=torch.bfloat16)
        return torch.mm, (a, a)
    x = torch.randn(elements // 256, 256, device="cuda")
    if operation == "copy":
        return torch.empty_like(x).copy_, (x,)
    if operation == "softmax":
        return torch.softmax, (x, -1)
    weight = torch.ones(256, device="cuda")
    return torch.nn.functional.layer_norm, (x, (256,), weight, weight)


def amount(operation: str, elements: int) -> float:
    """Return the bytes of a call, and for matmul its floating-point operations."""
    return 2 * elements**1.5 if operation == "matmul" else 8.0 * elements


def by_fasttime(fn: Callable[..., object], args: tuple[object, ...]) -> float:
    return fasttime.measure(fn, *args, budget=BUDGET).median


def by_triton(fn: Callable[..., object], args: tuple[object, ...]) -> float:
    from triton.testing import do_bench

    milliseconds: float = do_bench(
        lambda: fn(*args), warmup=BUDGET * 250, rep=BUDGET * 1000, return_mode="median"
    )
    return milliseconds * 1e-3


def by_torch(fn: Callable[..., object], args: tuple[object, ...]) -> float:
    from torch.utils.benchmark import Timer

    timer = Timer("fn(*args)", globals={"fn": fn, "args": args})
    return float(timer.blocked_autorange(min_run_time=BUDGET).median)


def time_cases(rng: random.Random, track: Callable[[str], None]) -> list[Case]:
    """Time every operation at every size by every tool, in random order."""
    tools = {"fasttime": by_fasttime, "torch.utils.benchmark": by_torch}
    try:
        import triton  # noqa: F401
    except ImportError:
        print("triton is not installed, so do_bench is left out", file=sys.stderr)
    else:
        tools["triton do_bench"] = by_triton
    cases = [Case(op, size, amount(op, size)) for op in OPERATIONS for size in SIZES]
    turns = [(case, tool) for case in cases for tool in tools]
    rng.shuffle(turns)
    for case, tool in turns:
        fn, args = arguments(case.operation, case.elements)
        fn(*args)
        torch.cuda.synchronize()
        begin = time.perf_counter()
        case.readings[tool] = tools[tool](fn, args)
        case.spent[tool] = time.perf_counter() - begin
        track(f"{case.operation}, {case.elements:,} elements, {tool}")
    return cases


def time_copies() -> list[dict[str, float]]:
    """Return fasttime's time of large copies and the C loop's, in turns."""
    from torch.utils import cpp_extension

    loop = cpp_extension.load(
        name="fasttime_copy_loop",
        sources=[str(Path(__file__).with_name("copy_loop.cpp"))],
        extra_cflags=["-O2"],
        with_cuda=True,
    )
    found = []
    for size in (LARGE, 2 * LARGE, 4 * LARGE, 16 * LARGE):
        source = torch.empty(size, dtype=torch.uint8, device="cuda")
        target = torch.empty_like(source)
        single, looped, theirs = [], [], []
        for _ in range(9):
            single.append(fasttime.measure(target.copy_, source, budget=BUDGET).median)
            looped.append(fasttime.measure(target.copy_, source, budget=BUDGET, calls=20).median)
            runs = max(10, int(BUDGET / single[0]))
            theirs.append(loop.copy_seconds(target.data_ptr(), source.data_ptr(), size, runs))
        found.append(
            {
                "bytes": size,
                "fasttime": statistics.median(looped),
                "fasttime_single": statistics.median(single),
                "loop": statistics.median(theirs),
                "ratio": paired_ratio(looped, theirs),
                "ratio_single": paired_ratio(single, theirs),
            }
        )
    return found


def paired_ratio(times: list[float], yardsticks: list[float]) -> float:
    """Return the median ratio of the readings of one turn."""
    return statistics.median(a / b for a, b in zip(times, yardsticks, strict=True))


def time_known_lengths() -> list[dict[str, float]]:
    """Return fasttime's time of kernels of known length, and the truth."""
    import known_kernels

    found = []
    for wanted in LENGTHS_NS:
        kernel = known_kernels.kernel(wanted)
        truth = known_kernels.stream_time(kernel)
        readings = [fasttime.measure(kernel, budget=BUDGET).median for _ in range(5)]
        found.append(
            {"wanted": wanted * 1e-9, "truth": truth, "fasttime": statistics.median(readings)}
        )
    return found


def sweep_softmax() -> dict[str, object]:
    """Return a sweep by fasttime.sweep, for the figure in the docs."""

    def by_hand(x: torch.Tensor, dim: int) -> torch.Tensor:
        e = (x - x.amax(dim, keepdim=True)).exp()
        return e / e.sum(dim, keepdim=True)

    made = fasttime.sweep(
        {"torch.softmax": torch.softmax, "by hand": by_hand},
        axes={"elements": SIZES, "dtype": [torch.float16, torch.float32]},
        make=lambda elements, dtype: (
            torch.randn(elements // 256, 256, device="cuda", dtype=dtype),
            -1,
        ),
        bytes=lambda elements, dtype: 2 * elements * dtype.itemsize,
        budget=2 * BUDGET,
    )
    print(made.table("bytes"))
    return made.to_dict()


def main() -> int:
    """Run everything, print the result and save it."""
    options = make_parser(__doc__ or "").parse_args()
    if not torch.cuda.is_available():
        print("sweep.py needs a GPU", file=sys.stderr)
        return 1
    rng = random.Random(options.seed)
    torch.manual_seed(options.seed)
    console = Console()
    peaks = measure_peaks()
    console.print(peaks)
    steps = len(OPERATIONS) * len(SIZES) * 3
    done = iter(range(steps))

    def track(what: str) -> None:
        if next(done) % 50 == 0:
            print(what, flush=True)

    result = Result(
        time_cases(rng, track),
        time_copies(),
        time_known_lengths(),
        dict(peaks.rates),
        sweep_softmax(),
    )
    for case in result.cases:
        kind = "flops" if case.operation == "matmul" else "bytes"
        rates = {tool: format_rate(case.amount / t, kind) for tool, t in case.readings.items()}
        print(f"{case.operation:10} {case.elements:>12,} {rates}")
    for copy in result.copies:
        print(
            f"copy of {copy['bytes'] / 2**20:,.0f} MiB: {copy['ratio']:.4f} of the C loop's time, "
            f"a single copy {copy['ratio_single']:.4f}"
        )
    for length in result.lengths:
        error = 1e6 * (length["fasttime"] - length["truth"])
        print(f"kernel of {1e6 * length['truth']:.2f} µs: error {error:+.3f} µs")
    worst = max(abs(copy["ratio"] - 1) for copy in result.copies)
    error = max(abs(length["fasttime"] - length["truth"]) for length in result.lengths)
    sentence = (
        f"Copies from 64 MiB on are within {worst:.1%} of a C loop of cudaMemcpyAsync, and "
        f"kernels of known length within {1e6 * error:.2f} µs."
    )
    if options.json:
        here = environment.describe("cuda")
        output.save(output.document("sweep", here, [result], sentence), options.json)
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

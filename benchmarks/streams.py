# SPDX-License-Identifier: BSD-3-Clause
"""What scopes over several streams and stream checks cost the host, on a GPU.

Each row repeats a block and divides by the number of its scopes or operators. Rounds of all rows
alternate; the table has medians and quartiles in microseconds. The baselines are a scope on one
stream and an operator without a check. Also checks that a busy stream that is ignored, and idle
streams beside it, raise no warning.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from time import perf_counter
from typing import Any

import torch
from _common import make_parser
from rich.console import Console

import fasttime
from fasttime.environment import describe as environment
from fasttime.experiments import output

ROUNDS, SCOPES, OPERATORS = 15, 20, 200


def rows_of(recorder: fasttime.Recorder) -> dict[str, Callable[[], float]]:
    """Return each row: it runs a round and returns seconds per scope or operator."""
    streams = [torch.cuda.Stream() for _ in range(16)]
    x = torch.ones(64, device="cuda")

    def scopes(arguments: dict[str, Any], checked: bool = False) -> float:
        with recorder.check_streams() if checked else nullcontext():
            begin = perf_counter()
            for _ in range(SCOPES):
                with recorder.scope("a", **arguments):
                    pass
            return (perf_counter() - begin) / SCOPES

    def operators(checked: bool) -> float:
        with recorder.check_streams() if checked else nullcontext():
            begin = perf_counter()
            for _ in range(OPERATORS):
                x.add_(1)
            return (perf_counter() - begin) / OPERATORS

    return {
        "scope, one stream": lambda: scopes({}),
        "scope, 2 streams": lambda: scopes({"streams": streams[:2]}),
        "scope, 4 streams": lambda: scopes({"streams": streams[:4]}),
        "scope, 16 streams": lambda: scopes({"streams": streams}),
        "scope, checked": lambda: scopes({}, checked=True),
        "operator": lambda: operators(False),
        "operator, checked": lambda: operators(True),
    }


def false_alarms(recorder: fasttime.Recorder) -> int:
    """Return how many warnings a busy stream that is ignored leads to. There should be none."""
    busy = torch.cuda.Stream()
    with recorder.check_streams(ignore=[busy]) as check:
        for _ in range(200):
            with torch.cuda.stream(busy):
                torch.cuda._sleep(1_000_000)
            with recorder.scope("b"):
                torch.cuda._sleep(20_000)
            if len(check.warnings) > 100:
                break
        torch.cuda.synchronize()
        return len(check.warnings)


def main() -> int:
    options = make_parser(__doc__ or "").parse_args()
    if not torch.cuda.is_available():
        print("benchmarks/streams.py needs a GPU", file=sys.stderr)
        return 1
    torch.ones(1, device="cuda")
    warnings.simplefilter("ignore", fasttime.TimingWarning)
    recorder = fasttime.Recorder(share_boundaries=False)
    rows = rows_of(recorder)
    times: dict[str, list[float]] = {name: [] for name in rows}
    for number in range(ROUNDS + 2):  # two to warm up
        for name, row in rows.items():
            took = row()
            torch.cuda.synchronize()
            if number >= 2:
                times[name].append(took)
    alarms = false_alarms(recorder)
    cells = []
    for name, taken in times.items():
        low, middle, high = (1e6 * q for q in statistics.quantiles(taken, n=4))
        cells.append((name, f"{middle:.2f}", f"{low:.2f} to {high:.2f}"))
    console = Console()
    console.print(output.table("", ["per scope or operator", "µs", "quartiles"], cells))
    console.print(f"False alarms beside a busy stream that is ignored: {alarms}.")
    if options.json:
        here = dataclasses.asdict(environment.describe("cuda"))
        raw = {"environment": here, "times": times, "false_alarms": alarms}
        options.json.write_text(json.dumps(raw, indent=1, default=str))
    return 0 if alarms == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""What scopes over several streams and stream checks cost the host, on a GPU.

The rows take turns in each round; the table has medians and quartiles in microseconds. Rows "in a
row" time a block of 20 scopes, or of 200 operators, and divide. The other rows time one scope after
a pause, with so many streams held: a held stream has work that does not end meanwhile. From these
rows the script derives what a check costs per scope, per idle stream and per busy stream.

It also checks that 64 idle streams beside a busy stream raise no warning if the busy stream is
ignored, and that the busy stream raises one warning if it is not.
"""

from __future__ import annotations

import ctypes
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
from _paired import Latch
from rich.console import Console

import fasttime
from fasttime.environment import describe as environment
from fasttime.experiments import output

ROUNDS, SCOPES, OPERATORS = 15, 20, 200
BUSY = (0, 1, 4, 16)  # held streams
MORE_IDLE = 64  # streams beside the 65 that every check asks: torch's pools and the default stream
TURNS = 10  # of 20 scopes beside a busy stream

Row = Callable[[], float]  # runs a round and returns seconds per scope or operator


def other_streams(count: int) -> list[torch.cuda.Stream]:
    """Return non-blocking streams that are not in torch's pools. They live until the exit."""
    streams = []
    for _ in range(count):
        handle = ctypes.c_void_p()
        status = ctypes.CDLL(None).cudaStreamCreateWithFlags(ctypes.byref(handle), ctypes.c_uint(1))
        assert status == 0, f"cudaStreamCreateWithFlags returned {status}"
        streams.append(torch.cuda.ExternalStream(handle.value))
    return streams


def rows_of(recorder: fasttime.Recorder) -> dict[str, Row]:
    """Return all rows by name."""
    streams = [torch.cuda.Stream() for _ in range(16)]
    more_idle = other_streams(MORE_IDLE)
    x = torch.ones(64, device="cuda")
    latch = Latch()

    def check(is_on: bool = True) -> Any:
        return recorder.check_streams() if is_on else nullcontext()

    def scopes(arguments: dict[str, Any], held: int = 0, checked: bool = False) -> float:
        with check(checked):
            latch.hold(*(stream.cuda_stream for stream in streams[:held]))
            try:
                begin = perf_counter()
                for _ in range(SCOPES):
                    with recorder.scope("a", **arguments):
                        pass
                return (perf_counter() - begin) / SCOPES
            finally:
                latch.release()
                torch.cuda.synchronize()

    def operators(checked: bool) -> float:
        with check(checked):
            begin = perf_counter()
            for _ in range(OPERATORS):
                x.add_(1)
            return (perf_counter() - begin) / OPERATORS

    def one_scope(checked: bool, idle: list[torch.cuda.Stream], busy: int) -> float:
        times = []
        for _ in range(SCOPES):
            # A new check each time, because a check stops asking a stream that it has warned about.
            with check(checked):
                for stream in idle:  # an operator makes the stream known to the check
                    with torch.cuda.stream(stream):
                        x.add_(1)
                torch.cuda.synchronize()
                latch.hold(*(stream.cuda_stream for stream in streams[:busy]))
                try:
                    begin = perf_counter()
                    with recorder.scope("a"):
                        pass
                    times.append(perf_counter() - begin)
                finally:
                    latch.release()
                torch.cuda.synchronize()
        return statistics.median(times)

    rows: dict[str, Row] = {
        "in a row: scope, one stream": lambda: scopes({}),
        "in a row: scope, 2 streams": lambda: scopes({"streams": streams[:2]}),
        "in a row: scope, 4 streams": lambda: scopes({"streams": streams[:4]}),
        "in a row: scope, 16 streams": lambda: scopes({"streams": streams}),
        "in a row: checked scope, none busy": lambda: scopes({}, 0, True),
        "in a row: checked scope, 1 busy": lambda: scopes({}, 1, True),
        "in a row: operator": lambda: operators(False),
        "in a row: checked operator": lambda: operators(True),
        "scope": lambda: one_scope(False, [], 0),
        f"checked scope, {65 + MORE_IDLE} known, none busy": lambda: one_scope(True, more_idle, 0),
    }
    for busy in BUSY:
        rows[f"checked scope, 65 known, {busy} busy"] = lambda busy=busy: one_scope(True, [], busy)
    return rows


def costs(times: dict[str, list[float]]) -> dict[str, float]:
    """Return what a check costs, in microseconds, from the medians of the rows."""
    us = {name: 1e6 * statistics.median(taken) for name, taken in times.items()}
    none_busy = us["checked scope, 65 known, 0 busy"]
    most_known = us[f"checked scope, {65 + MORE_IDLE} known, none busy"]
    return {
        "scope, 65 idle streams": none_busy - us["scope"],
        "each idle stream": (most_known - none_busy) / MORE_IDLE,
        "each busy stream": (us[f"checked scope, 65 known, {BUSY[-1]} busy"] - none_busy)
        / BUSY[-1],
        "operator": us["in a row: checked operator"] - us["in a row: operator"],
    }


def beside_a_busy_stream(recorder: fasttime.Recorder, ignored: bool) -> list[str]:
    """Return the warnings of a check while one stream works all the time, and 64 are idle."""
    busy = torch.cuda.Stream()
    with recorder.check_streams(ignore=[busy] if ignored else []) as check:
        for _ in range(TURNS):
            for _ in range(20):
                with torch.cuda.stream(busy):
                    torch.cuda._sleep(1_000_000)
                with recorder.scope("b"):
                    torch.cuda._sleep(20_000)
            torch.cuda.synchronize()
        found = [warning.message for warning in check.warnings]
        assert (check.checked, check.skipped) == (20 * TURNS, 0), str(check)
    # What is left has nothing to do with the busy stream, or says too much about it.
    name = f"tream {busy.cuda_stream:#x} of cuda:{busy.device_index} ran while the scope b was open"
    assert ignored or sum(name in message for message in found) == 1, found
    return [message for message in found if ignored or name not in message]


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
    alarms = beside_a_busy_stream(recorder, True) + beside_a_busy_stream(recorder, False)
    cells = []
    for name, taken in times.items():
        low, middle, high = (1e6 * q for q in statistics.quantiles(taken, n=4))
        cells.append((name, f"{middle:.2f}", f"{low:.2f} to {high:.2f}"))
    console = Console()
    console.print(output.table("", ["per scope or operator", "µs", "quartiles"], cells))
    derived = costs(times)
    console.print(
        output.table(
            "",
            ["a check costs per", "µs"],
            [(name, f"{cost:.2f}") for name, cost in derived.items()],
        )
    )
    console.print(f"Warnings about idle streams, or about a stream that is ignored: {len(alarms)}.")
    for message in alarms:
        console.print(message, markup=False, highlight=False)
    if options.json:
        here = dataclasses.asdict(environment.describe("cuda"))
        raw = {"environment": here, "times": times, "costs_us": derived, "false_alarms": alarms}
        options.json.write_text(json.dumps(raw, indent=1, default=str))
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())

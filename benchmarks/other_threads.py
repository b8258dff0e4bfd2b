# SPDX-License-Identifier: BSD-3-Clause
"""Measure how well another Python thread runs beside scopes around pure Python.

A thread that waits for the GIL starts its wait anew at each release of the GIL. So scopes that
release the GIL at each boundary could starve that thread. The main thread runs pure Python in
scopes of several lengths. The script prints how much of the time the other thread had, and its
longest wait, relative to the same loop without scopes. A share near 1 is fair. Takes about ten
seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from _common import json_path
from rich.console import Console
from rich.table import Table

import fasttime

LENGTHS_US = (20, 100, 200, 1_000, 3_000)
SECONDS = 0.8

clock = time.perf_counter


def main() -> int:
    """Print the table, and save it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=json_path, metavar="PATH", help="save the figures here")
    options = parser.parse_args()
    if torch.cuda.is_available():
        torch.zeros(1, device="cuda").add_(1)
        torch.cuda.synchronize()
    recorder = fasttime.Recorder()
    with recorder.scope("first"):
        pass
    rows = []
    for length_us in LENGTHS_US:
        plain, _ = shares(nullcontext, length_us * 1e-6)
        scoped, longest = shares(lambda: recorder.scope("pure Python"), length_us * 1e-6)
        rows.append(
            {
                "length_us": length_us,
                "without_scopes": plain,
                "with_scopes": scoped,
                "longest_wait_ms": 1e3 * longest,
            }
        )
    table = Table("scope", "without scopes", "with scopes", "relative", "longest wait", box=None)
    for row in rows:
        share, base = row["with_scopes"], row["without_scopes"]
        table.add_row(
            f"{row['length_us']:,} us",
            f"{base:.2f}",
            f"{share:.2f}",
            f"{share / base:.2f}" if base else "-",
            f"{row['longest_wait_ms']:.1f} ms",
        )
    Console().print(table)
    backend = recorder.report(wait=True).backend
    print(f"The other thread's part of the time; backend {backend}.")
    if options.json:
        text = json.dumps({"backend": backend, "seconds": SECONDS, "rows": rows}, indent=1)
        Path(options.json).write_text(text)
    return 0


def shares(
    scope: Callable[[], AbstractContextManager[object]], length: float
) -> tuple[float, float]:
    """Return which part of the time the other thread ran, and its longest wait in seconds."""
    stop = threading.Event()
    found: list[float] = []

    def other() -> None:
        ran, longest, last = 0.0, 0.0, clock()
        while not stop.is_set():
            now = clock()
            if now - last < 1e-4:  # no switch in between
                ran += now - last
            longest, last = max(longest, now - last), now
        found.extend((ran, max(longest, clock() - last)))

    thread = threading.Thread(target=other)
    thread.start()
    begin = clock()
    while clock() - begin < SECONDS:
        with scope():
            end = clock() + length
            while clock() < end:
                pass
    took = clock() - begin
    stop.set()
    thread.join()
    return found[0] / took, found[1]


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""Run ten million scopes, and check that memory stays flat and the counts are exact.

The scopes are nested and side by side, in blocks, on two streams in turn. After each block, the
script reads the resident set of the process. The first tenth of the blocks is warm-up. Exits with 1
if a target is missed.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from _common import make_parser
from rich.console import Console

from fasttime import Recorder
from fasttime.environment import describe as environment
from fasttime.experiments import output
from fasttime.experiments.settings import resolve_device

BLOCK = 20_000
SCOPES_PER_TURN = 4
MOST_GROWTH_BYTES = 1 << 20


@dataclass(frozen=True)
class Result:
    """The counts and the memory of one run.

    Attributes:
        scopes: the number of scopes.
        seconds: for all scopes.
        counts: samples of all sites, by status.
        by_site: samples of each site, by path.
        left: open and pending scopes after a report that waited.
        resident_bytes: memory of the process after each block.
    """

    scopes: int
    seconds: float
    counts: dict[str, int]
    by_site: dict[str, int]
    left: tuple[int, int]
    resident_bytes: list[int]

    def growth(self) -> int:
        """Return the greatest growth of memory after the first tenth, in bytes."""
        after = self.resident_bytes[len(self.resident_bytes) // 10 :]
        return max(after) - after[0]

    def is_exact(self, wanted: str) -> bool:
        """Tell whether every scope was counted once, at its site and with the status `wanted`."""
        each = self.scopes // SCOPES_PER_TURN
        good = self.counts[wanted] == sum(self.counts.values()) == self.scopes
        return good and set(self.by_site.values()) == {each} and self.left == (0, 0)

    def summary(self) -> dict[str, float]:
        """Return the most important figures."""
        return {
            "growth_bytes": self.growth(),
            "resident_bytes": self.resident_bytes[-1],
            "ns_per_scope": 1e9 * self.seconds / self.scopes,
        }


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run(scopes: int, streams: list[contextlib.AbstractContextManager[object]]) -> Result:
    """Run the scopes, a multiple of `BLOCK`, and count them."""
    recorder = Recorder()
    scope, seen = recorder.scope, []
    begin = perf_counter()
    for block in output.track(range(scopes // BLOCK), "blocks of scopes"):
        with streams[block % len(streams)]:
            for _ in range(BLOCK // SCOPES_PER_TURN):
                with scope("step"):
                    with scope("first"):
                        pass
                    with scope("second"):
                        pass
                with scope("beside"):
                    pass
        seen.append(resident_bytes())
    report = recorder.report(wait=True)
    seconds = perf_counter() - begin
    sites = list(report.walk())
    statuses = sites[0].counts
    return Result(
        scopes,
        seconds,
        {status: sum(site.counts[status] for site in sites) for status in statuses},
        {site.path: site.count for site in sites},
        (report.open, report.pending),
        seen,
    )


def main() -> int:
    parser = make_parser(__doc__ or "")
    parser.add_argument("--scopes", type=int, default=10_000_000, help="default: 10,000,000")
    options = parser.parse_args()
    if options.scopes < 10 * BLOCK or options.scopes % BLOCK:
        parser.error(f"--scopes must be a multiple of {BLOCK:,}, at least {10 * BLOCK:,}")
    try:
        device = resolve_device(options.device)
    except ValueError as error:
        parser.error(str(error))
    if device == "cpu":
        result = run(options.scopes, [contextlib.nullcontext()])
    else:
        with torch.cuda.device(device):
            torch.cuda.synchronize()
            result = run(
                options.scopes,
                [
                    torch.cuda.stream(torch.cuda.default_stream()),
                    torch.cuda.stream(torch.cuda.Stream()),
                ],
            )
    exact = result.is_exact("host_only" if device == "cpu" else "ok")
    flat = result.growth() <= MOST_GROWTH_BYTES
    sentence = (
        f"{result.scopes:,} scopes in {result.seconds:,.1f} s: "
        f"counts {'exact (met)' if exact else f'not exact (missed): {result.counts}'}; "
        f"memory grew by {result.growth() / 1024:,.0f} KiB after warm-up, "
        f"{MOST_GROWTH_BYTES // 1024:,} KiB are allowed ({'met' if flat else 'missed'})."
    )
    if options.json:
        here = environment.describe(device)
        output.save(output.document("soak", here, [result], sentence), options.json)
    Console().print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0 if exact and flat else 1


if __name__ == "__main__":
    sys.exit(main())

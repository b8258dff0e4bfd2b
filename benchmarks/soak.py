# SPDX-License-Identifier: BSD-3-Clause
"""Ten million scopes: whether memory stays flat after warm-up, and whether the counts are exact.

Blocks of scopes, nested and side by side, on two streams in turn. Memory is the process's resident
set, looked at after each block; warm-up is the first tenth. Exits with 1 where a target is missed.
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
SCOPES_A_TURN = 4
MOST_GROWTH_BYTES = 1 << 20


@dataclass(frozen=True)
class Result:
    """What was seen.

    Attributes:
        scopes: how many were run.
        seconds: from the first to the last.
        counts: samples by status, all sites together.
        by_site: samples of each site, by path.
        left: scopes open and pending after all was drained.
        resident_bytes: after each block.
    """

    scopes: int
    seconds: float
    counts: dict[str, int]
    by_site: dict[str, int]
    left: tuple[int, int]
    resident_bytes: list[int]

    def growth(self) -> int:
        """Return by how many bytes memory grew, at its most, after the first tenth."""
        after = self.resident_bytes[len(self.resident_bytes) // 10 :]
        return max(after) - after[0]

    def is_exact(self, wanted: str) -> bool:
        """Whether every scope is there once, with the status `wanted`, and at its site."""
        each = self.scopes // SCOPES_A_TURN
        good = self.counts[wanted] == sum(self.counts.values()) == self.scopes
        return good and set(self.by_site.values()) == {each} and self.left == (0, 0)

    def summary(self) -> dict[str, float]:
        """Return the figures in short."""
        return {
            "growth_bytes": self.growth(),
            "resident_bytes": self.resident_bytes[-1],
            "ns_a_scope": 1e9 * self.seconds / self.scopes,
        }


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run(scopes: int, streams: list[contextlib.AbstractContextManager[object]]) -> Result:
    """Run so many scopes, a multiple of the block, and count."""
    recorder = Recorder()
    scope, seen = recorder.scope, []
    begin = perf_counter()
    for block in output.track(range(scopes // BLOCK), "blocks of scopes"):
        with streams[block % len(streams)]:
            for _ in range(BLOCK // SCOPES_A_TURN):
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
        parser.error(f"--scopes must be a multiple of {BLOCK:,}, {10 * BLOCK:,} at the least")
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
        f"where {MOST_GROWTH_BYTES // 1024:,} are allowed ({'met' if flat else 'missed'})."
    )
    if options.json:
        here = environment.describe(device)
        output.save(output.document("soak", here, [result], sentence), options.json)
    Console().print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0 if exact and flat else 1


if __name__ == "__main__":
    sys.exit(main())

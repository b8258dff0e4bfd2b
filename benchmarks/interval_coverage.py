# SPDX-License-Identifier: BSD-3-Clause
"""Simulate how often the interval of the median covers the truth, and which warnings come.

The stopping rule, the interval and the warnings of the package decide, on virtual time and made-up
noise. So the script needs no GPU, and the figures are the same on every machine. A run takes
200 us and the budget is 1 s, except for the long calls in the last rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _common import json_path
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))

from noisy_host import NOISES, Independent, Measured, measure

# The least share of intervals that must cover the truth.
TARGETS = {
    "independent, 2 %": 0.94,
    "independent, 0.3 %": 0.94,
    "wandering, tau 0.1 s": 0.90,
    "wandering, tau 0.5 s": 0.80,
    "dwelling, 140 and 60 ms": 0.80,
}
LONG_CALLS = (0.042, 0.1)  # seconds per run
LONG = "independent, 4 %"
MOST_UNSTEADY = 0.05


def main() -> int:
    """Print and save the figures. Return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400, help="per row; default: 400")
    parser.add_argument("--json", type=json_path, metavar="PATH", help="save the figures here")
    options = parser.parse_args()
    console = Console()
    NOISES[LONG] = lambda rng: Independent(rng, 0.04)
    rows = [(noise, 200e-6) for noise in TARGETS] + [(LONG, length) for length in LONG_CALLS]
    found = {
        f"{noise}, {1e3 * run_time:g} ms per run": figures(
            [measure(noise, seed, run_time=run_time) for seed in range(options.count)]
        )
        for noise, run_time in track(rows, console=console, transient=True)
    }
    console.print(table(found, options.count))
    if options.json:
        content = {"count": options.count, "targets": TARGETS, "rows": found}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    too_low = [
        row
        for row, cells in found.items()
        if cells["covers"] < TARGETS.get(row.rpartition(",")[0], 0.0)
        or cells["kinds"].get("unsteady", 0) > MOST_UNSTEADY * options.count
    ]
    print(f"Targets missed: {', '.join(too_low)}" if too_low else "All targets are met.")
    return 1 if too_low else 0


def figures(found: list[Measured]) -> dict[str, Any]:
    """Return what the measurements of one row have in common."""
    missed = [one for one in found if not one.covers]
    return {
        "covers": float(np.mean([one.covers for one in found])),
        "half_width": float(np.median([one.half_width for one in found])),
        "seconds": float(np.median([one.seconds for one in found])),
        "missed": len(missed),
        "missed_with_warning": sum(bool(one.kinds) for one in missed),
        "with_warning": sum(bool(one.kinds) for one in found),
        "kinds": dict(Counter(kind for one in found for kind in one.kinds)),
    }


def table(rows: dict[str, dict[str, Any]], count: int) -> Table:
    """Return the figures as a table."""
    made = Table(title=f"{count} measurements per row", box=None, title_justify="left")
    made.add_column("noise")
    for heading in ("covers", "half width", "time", "warned", "misses warned"):
        made.add_column(heading, justify="right")
    for row, cells in rows.items():
        made.add_row(
            row,
            f"{cells['covers']:.1%}",
            f"{cells['half_width']:.2%}",
            f"{cells['seconds']:.2f} s",
            f"{cells['with_warning'] / count:.0%}",
            f"{cells['missed_with_warning']} of {cells['missed']}",
        )
    return made


if __name__ == "__main__":
    sys.exit(main())

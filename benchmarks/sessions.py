# SPDX-License-Identifier: BSD-3-Clause
"""Simulate two revisions that are measured in blocks or in turns, on a machine that changes.

The package itself draws the turns, merges the processes and decides, on made-up times. So the
script needs no GPU, and the figures are the same on every machine. Each cell shows two shares of
the comparisons: false verdicts, and right ones ("slower", or "same" without an effect).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from pathlib import Path

from _common import json_path
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))

from ab_simulation import is_false
from session_simulation import MACHINES, in_blocks, in_turns, verdict_on_sides

EFFECTS = (0.0, 0.02, 0.05)
ORDERS = {"in blocks": in_blocks, "in turns": in_turns}
PAIRS = (6, 10)

Verdicts = dict[str, int]


def main() -> int:
    """Print and save the table. Return 1 if a cell of the turns is wrong too often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="per cell; default: 1000")
    parser.add_argument("--json", type=json_path, metavar="PATH", help="save the counts here")
    options = parser.parse_args()
    console = Console()
    rows = [(order, machine, pairs) for order in ORDERS for machine in MACHINES for pairs in PAIRS]
    found = {
        row: [verdicts(*row, effect, options.count) for effect in EFFECTS]
        for row in track(rows, console=console, transient=True)
    }
    console.print(table(found, options.count))
    if options.json:
        saved = [
            {"order": order, "machine": machine, "pairs": pairs, "verdicts": cells}
            for (order, machine, pairs), cells in found.items()
        ]
        text = json.dumps({"count": options.count, "effects": EFFECTS, "rows": saved}, indent=1)
        options.json.write_text(text)
    worst = max(
        false_share(cell, effect)
        for (order, _, _), cells in found.items()
        for effect, cell in zip(EFFECTS, cells, strict=True)
        if order == "in turns"
    )
    # With dozens of cells, a cell that is wrong in 5 % of comparisons can show more by chance.
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / options.count)
    print(
        f"In turns, the worst cell is wrong in {worst:.1%} of {options.count} comparisons. "
        f"The limit is {limit:.1%}: 5.0% and what chance adds."
    )
    return 1 if worst > limit else 0


def verdicts(order: str, machine: str, pairs: int, effect: float, count: int) -> Verdicts:
    """Return how often each verdict came."""
    draw = ORDERS[order]
    return dict(
        Counter(verdict_on_sides(machine, draw, pairs, effect, seed) for seed in range(count))
    )


def false_share(found: Verdicts, effect: float) -> float:
    """Return the share of false verdicts."""
    wrong = sum(count for verdict, count in found.items() if is_false(verdict, effect))
    return wrong / sum(found.values())


def table(found: dict[tuple[str, str, int], list[Verdicts]], count: int) -> Table:
    """Return a table of the false and the right verdicts, in percent."""
    made = Table(title=f"false | right, % of {count}", box=None, title_justify="left")
    for heading in ("", "machine", "processes per side"):
        made.add_column(heading, no_wrap=True)
    for effect in EFFECTS:
        made.add_column(f"+{effect:.0%}", justify="right")
    for (order, machine, pairs), cells in found.items():
        texts = []
        for effect, cell in zip(EFFECTS, cells, strict=True):
            right = cell.get("slower" if effect else "same", 0)
            texts.append(f"{100 * false_share(cell, effect):.1f} | {100 * right / count:.0f}")
        made.add_row(order, machine, str(pairs), *texts)
    return made


if __name__ == "__main__":
    sys.exit(main())

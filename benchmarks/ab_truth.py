# SPDX-License-Identifier: BSD-3-Clause
"""Simulate how often `compare` and `compare_saved` are wrong when the truth is known.

The real code decides, on virtual time and made-up noise. So the script needs no GPU, and the
figures are the same on every machine. Each cell shows two shares of the comparisons: false
verdicts, and right ones ("slower", or "same" without an effect).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from _common import json_path
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))

from ab_simulation import (
    EFFECTS,
    LOUDNESS,
    NOISES,
    OFFSETS,
    PROCESSES,
    is_false,
    verdict_in_rounds,
    verdict_on_saved,
)

Cell = Callable[[float, int], str]


def main() -> int:
    """Print and save both tables. Return 1 if a cell is wrong too often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="per cell; default: 1000")
    parser.add_argument("--json", type=json_path, metavar="PATH", help="save the counts here")
    options = parser.parse_args()
    console = Console()
    in_rounds: dict[str, Cell] = {
        f"{noise}, x {loudness}": (
            lambda effect, seed, noise=noise, loudness=loudness: verdict_in_rounds(  # type: ignore[misc]
                noise, loudness, effect, seed
            )[0]
        )
        for loudness in LOUDNESS
        for noise in NOISES
    }
    on_saved: dict[str, Cell] = {
        f"{offset}, {_sides(*processes)}": (
            lambda effect, seed, offset=offset, processes=processes: verdict_on_saved(  # type: ignore[misc]
                offset, processes, effect, seed
            )
        )
        for offset in OFFSETS
        for processes in PROCESSES
    }
    found = {}
    for name, title, rows in (
        ("compare", "compare: noise of the machine", in_rounds),
        ("compare_saved", "compare_saved: how processes differ", on_saved),
    ):
        found[name] = simulate(rows, options.count, console)
        console.print(table(title, found[name], options.count))
    if options.json:
        options.json.write_text(json.dumps({"count": options.count, "verdicts": found}, indent=1))
    worst = max(
        false_verdicts(verdicts, effect)
        for rows in found.values()
        for cells in rows.values()
        for effect, verdicts in zip(EFFECTS, cells, strict=True)
    )
    share = worst / options.count
    # With hundreds of cells, a cell that is wrong in 5 % of comparisons can show more by chance.
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / options.count)
    print(
        f"The worst cell is wrong in {share:.1%} of {options.count} comparisons. "
        f"The limit is {limit:.1%}: 5.0% and what chance adds."
    )
    return 1 if share > limit else 0


def _sides(old: int, new: int) -> str:
    return f"{old} per side" if old == new else f"{old} against {new}"


def simulate(
    rows: dict[str, Cell], count: int, console: Console
) -> dict[str, list[dict[str, int]]]:
    """Return how often each verdict came, by row and effect."""
    return {
        row: [dict(Counter(cell(effect, seed) for seed in range(count))) for effect in EFFECTS]
        for row, cell in track(rows.items(), console=console, transient=True)
    }


def false_verdicts(verdicts: dict[str, int], effect: float) -> int:
    """Return the number of false verdicts."""
    return sum(count for verdict, count in verdicts.items() if is_false(verdict, effect))


def table(title: str, rows: dict[str, list[dict[str, int]]], count: int) -> Table:
    """Return a table of the false and the right verdicts, in percent."""
    made = Table(title=f"{title}; false | right, % of {count}", box=None, title_justify="left")
    made.add_column("", no_wrap=True)
    for effect in EFFECTS:
        made.add_column(f"+{effect:.1%}", justify="right")
    for row, cells in rows.items():
        made.add_row(row, *map(_cell(count), EFFECTS, cells))
    return made


def _cell(count: int) -> Callable[[float, dict[str, int]], str]:
    def text(effect: float, verdicts: dict[str, int]) -> str:
        true: Sequence[str] = ("same",) if effect == 0 else ("slower",)
        right = sum(verdicts.get(verdict, 0) for verdict in true)
        return f"{100 * false_verdicts(verdicts, effect) / count:.1f} | {100 * right / count:.0f}"

    return text


if __name__ == "__main__":
    sys.exit(main())

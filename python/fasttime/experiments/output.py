# SPDX-License-Identifier: BSD-3-Clause
"""How results leave: as tables and a progress bar on a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..environment.describe import Environment

if TYPE_CHECKING:
    from rich.table import Table

_T = TypeVar("_T")

# Means of the same work on an idle machine lie closer together than this.
_NOISY = 0.1


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table to print: the first column is text, the others are numbers."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,  # so that the widest of them fits into 80 columns
        pad_edge=False,
    )
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index else "left", no_wrap=index == 0)
    for row in rows:
        made.add_row(*row)
    return made


def track(plan: Sequence[_T], /, description: str) -> Iterable[_T]:
    """Pass on what is planned, with a progress bar on the standard error if that is a terminal.

    The bar is drawn between two items only: a thread that redraws it while one of them is timed
    would take the interpreter from it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        auto_refresh=False,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(description, total=len(plan))
        bar.refresh()
        for item in plan:
            yield item
            bar.advance(task)
            bar.refresh()


def within(times: Sequence[float]) -> str:
    """Return how far apart times are that should agree, as a fraction of the least, in words."""
    apart = max(times) / min(times) - 1
    warning = ", too much for a machine with nothing else to do" if apart > _NOISY else ""
    return f"within {100 * apart:.1f} % of one another{warning}"


def document(
    experiment: str, environment: Environment, results: Sequence[Any], sentence: str
) -> dict[str, Any]:
    """Return all that is known of an experiment, as JSON has it. Times are in seconds.

    `results` are data classes with a ``summary()``, which goes beside the raw data.
    """
    made = {
        "experiment": experiment,
        "environment": asdict(environment),
        "results": [{**asdict(result), "summary": result.summary()} for result in results],
        "sentence": sentence,
    }
    # Through JSON and back, so that tuples are lists here as they will be in the file.
    loaded: dict[str, Any] = json.loads(json.dumps(made))
    return loaded


def save(made: dict[str, Any], path: Path) -> None:
    """Write a document as JSON."""
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")

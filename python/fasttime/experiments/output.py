# SPDX-License-Identifier: BSD-3-Clause
"""Output of the experiments: tables, a progress bar, and JSON files."""

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

# On an idle machine, means of the same work differ by less than this.
_NOISY = 0.1


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table to print. The first column holds text, the others figures."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,  # the widest table must fit into 80 columns
        pad_edge=False,
    )
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index else "left", no_wrap=index == 0)
    for row in rows:
        made.add_row(*row)
    return made


def track(plan: Sequence[_T], /, description: str) -> Iterable[_T]:
    """Yield the items of a plan, with a progress bar on stderr if that is a terminal.

    The bar is drawn only between two items. A thread that draws it would disturb the timed code.
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
    """Say how closely times agree, in percent of the shortest."""
    apart = max(times) / min(times) - 1
    warning = " (too much for an idle machine)" if apart > _NOISY else ""
    return f"within {100 * apart:.1f} % of each other{warning}"


def document(
    experiment: str, environment: Environment, results: Sequence[Any], sentence: str
) -> dict[str, Any]:
    """Return an experiment as data for JSON. Times are in seconds.

    Args:
        experiment: its name.
        environment: the machine and the versions.
        results: data classes with a ``summary()``, which is saved beside the raw data.
        sentence: the conclusion.
    """
    made = {
        "experiment": experiment,
        "environment": asdict(environment),
        "results": [{**asdict(result), "summary": result.summary()} for result in results],
        "sentence": sentence,
    }
    # Through JSON and back: tuples become lists, as in the file.
    loaded: dict[str, Any] = json.loads(json.dumps(made))
    return loaded


def save(made: dict[str, Any], path: Path) -> None:
    """Write a document as JSON."""
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")

# SPDX-License-Identifier: BSD-3-Clause
"""A comparison of methods as a table, by rich."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table

from ..console import line
from ..text import format_count, format_ratio, format_seconds
from .tables import warning_lines

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .method_findings import MethodFinding
    from .methods import MethodComparison


def as_renderable(comparison: MethodComparison) -> RenderableType:
    """Return what rich prints: the table, a sentence for each method, and what else to doubt."""
    some = next(iter(comparison.measurements.values()))
    rounds = len(comparison.loop_times["untimed"])
    runs = f"{rounds} x {format_count(some.repeat, 'run')}, {some.warmup} ignored"
    title = f"{some.label} on {some.device}: {runs}"
    by_finding: dict[MethodFinding, list[str]] = {}
    for method, finding in comparison.findings.items():
        by_finding.setdefault(finding, []).append(method)
    said = [f"{', '.join(methods)}: {finding.reason}" for finding, methods in by_finding.items()]
    return Group(
        line(title),
        _table(comparison),
        *map(line, said),
        *warning_lines(comparison.measurements, "\n".join(said)),
    )


def _table(comparison: MethodComparison) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("method")
    for name in ("median\na run", "mean\na run", "whole\nloop", "against\nuntimed"):
        table.add_column(name, justify="right")
    table.add_column("reading")
    untimed = statistics.median(comparison.loop_times["untimed"])
    table.add_row("untimed", "-", "-", format_seconds(untimed), "-", "-")
    for method, measurement in comparison.measurements.items():
        table.add_row(
            method,
            format_seconds(measurement.median),
            format_seconds(measurement.mean),
            format_seconds(statistics.median(comparison.loop_times[method])),
            format_ratio(1 + comparison.loop_change[method]),
            comparison.findings[method].reading,
        )
    return table

# SPDX-License-Identifier: BSD-3-Clause
"""A comparison of methods as a table, by rich."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..units import format_change, format_seconds
from .speed_tables import notes, plain_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .compare import MethodComparison
    from .findings import Finding


def as_text(comparison: MethodComparison) -> str:
    """Return the table as plain text, without colours."""
    return plain_text(as_renderable(comparison))


def as_renderable(comparison: MethodComparison) -> RenderableType:
    """Return what rich prints: the table, a sentence for each method, and what else to doubt."""
    some = next(iter(comparison.measurements.values()))
    rounds = len(comparison.loop_times["untimed"])
    title = f"{some.label} on {some.device}: {rounds} x {some.repeat} runs, {some.warmup} ignored"
    by_finding: dict[Finding, list[str]] = {}
    for method, finding in comparison.findings.items():
        by_finding.setdefault(finding, []).append(method)
    said = "\n".join(
        f"{', '.join(methods)}: {finding.reason}" for finding, methods in by_finding.items()
    )
    return Group(Text(title), _table(comparison), Text(said), *notes(comparison.measurements, said))


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
            format_change(comparison.loop_change[method]),
            comparison.findings[method].reading,
        )
    return table

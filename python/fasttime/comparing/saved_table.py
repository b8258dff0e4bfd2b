# SPDX-License-Identifier: BSD-3-Clause
"""A new measurement against an old one, as a table, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from ..console import line
from ..text import format_count, format_seconds
from .tables import cells, new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..measuring.measurement import Measurement
    from .saved import SavedComparison


# What says nothing against the comparison, and what its verdict says already.
_SAID_ABOVE = ("cpu", "few_processes")


def saved_renderable(comparison: SavedComparison) -> RenderableType:
    """Return what rich prints: the table, and below it what has to be known about it."""
    old, new = comparison.old, comparison.new
    labels = old.label if old.label == new.label else f"{new.label} against {old.label}"
    table = new_table("", "against\nold")
    table.add_row("old", format_seconds(old.median), "-", "-", _extent(old))
    *figures, verdict = cells(comparison._judged)
    table.add_row("new", format_seconds(new.median), *figures, verdict + Text(f" ({_extent(new)})"))
    lines = [line(f"{comparison.verdict}: {comparison.reason}")]
    if old.environment is None or new.environment is None:
        lines.append(line("environments: not known of both, and so not compared", style="yellow"))
    if comparison.environment_differences:
        lines.append(line("environments differ, which alone may change times:", style="yellow"))
    lines += [line(f"  {difference}") for difference in comparison.environment_differences]
    lines += [
        line(f"{name}: {warning}")
        for name, measurement in (("old", old), ("new", new))
        for warning in measurement.warnings
        if warning.kind not in _SAID_ABOVE
    ]
    return Group(line(f"{labels}, method {new.method!r} on {new.device}"), table, *lines)


def _extent(measurement: Measurement) -> str:
    count = len(measurement.processes)
    processes = "1 process" if count == 1 else f"{count} processes"
    return f"{format_count(len(measurement), 'run')} in {processes}"

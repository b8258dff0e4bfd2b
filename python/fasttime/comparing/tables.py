# SPDX-License-Identifier: BSD-3-Clause
"""Which one is faster, as a table, by rich."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..console import line
from ..text import (
    format_change,
    format_count,
    format_factor,
    format_seconds,
    is_beyond_change,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..measuring.measurement import Measurement
    from .comparison import Comparison
    from .verdict import Verdict

_STYLES = {"faster": "green", "slower": "red", "same": "", "can't tell": "yellow"}


def comparison_renderable(comparison: Comparison) -> RenderableType:
    """Return what rich prints: the table, and below it what has to be known about it."""
    first = comparison.measurements[comparison.baseline]
    title = (
        f"method {first.method!r} on {first.device}: {format_count(comparison.rounds, 'round')} in "
        f"random order, {format_count(comparison.batch_runs, 'run')} a batch, "
        f"{format_seconds(comparison.duration)}"
    )
    table = new_table("candidate", "against\nbaseline")
    for name, measurement in comparison.measurements.items():
        median = format_seconds(measurement.median)
        if name == comparison.baseline:
            table.add_row(line(name), median, "-", "-", "baseline")
        else:
            table.add_row(line(name), median, *cells(comparison.verdicts[name]))
    return Group(line(title), table, *_sentences(comparison))


def _sentences(comparison: Comparison) -> list[Text]:
    level = "95 %: how sure all of it is"
    if len(comparison.verdicts) > 1:
        level += f", corrected for {len(comparison.verdicts)} candidates (Bonferroni)"
    margin = f"same: within {100 * comparison.margin:g} %"
    sentences = [line(f"{level}; {margin}", style="dim")]
    sentences += [
        line(f"{name}: {verdict.reason}")
        for name, verdict in comparison.verdicts.items()
        if verdict.verdict == "can't tell"
    ]
    return [*sentences, *warning_lines(comparison.measurements)]


def warning_lines(measurements: Mapping[Any, Measurement], said: str = "") -> list[Text]:
    """Return a sentence for each kind of doubt about measurements, by their names.

    Left out is what all methods agree on the CPU for, which speaks against none of them, and what
    has been `said`.
    """
    by_kind: dict[str, dict[str, str]] = {}
    for name, measurement in measurements.items():
        for warning in measurement.warnings:
            if warning.kind != "cpu" and warning.message not in said:
                by_kind.setdefault(warning.kind, {}).setdefault(name, warning.message)
    sentences = []
    for kind, messages in by_kind.items():
        first, *more = messages
        text = f"warning ({kind}): {messages[first]}"
        if len(messages) < len(measurements) or len(set(messages.values())) > 1:
            text = f"{first}: {text}" + (f"; so with {', '.join(more)}" if more else "")
        sentences.append(line(text))
    return sentences


def new_table(subject: str, against: str) -> Table:
    """Return a table with a column for what was timed, its median, and `cells`."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(subject)
    for name in ("median\na run", against, "95 %\ninterval"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    return table


def cells(verdict: Verdict) -> tuple[str, str, Text]:
    """Return the last three cells of a row."""
    low, high = verdict.interval
    known = [value for value in (verdict.ratio, low, high) if 0 < value < math.inf]
    if any(map(is_beyond_change, known)):  # then all of them are written as factors
        sign, unit, form = "x ", "", format_factor
    else:
        sign, unit, form = "", " %", lambda ratio: format_change(ratio - 1).removesuffix(" %")
    ratio = "-" if math.isnan(verdict.ratio) else f"{sign}{form(verdict.ratio)}{unit}"
    is_known = math.isfinite(high)
    interval = f"{sign}{form(low)} to {form(high)}{unit}" if is_known else "unknown"
    return ratio, interval, Text(verdict.verdict, style=_STYLES[verdict.verdict])

# SPDX-License-Identifier: BSD-3-Clause
"""Which one is faster, as a table, by rich."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ..reports.formats.table import terminal_width
from ..text import (
    for_stdout,
    format_change,
    format_count,
    format_factor,
    format_seconds,
    is_beyond_change,
    printable,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..measuring.measurement import Measurement
    from .comparison import Comparison
    from .verdict import Judgement

_LONGEST_LINE = 10_000

_STYLES = {"faster": "green", "slower": "red", "same": "", "can't tell": "yellow"}


def plain_text(renderable: RenderableType) -> str:
    """Return what rich would print, without colours, as stdout can write it and has room for it."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=terminal_width(),
        height=24,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
    )
    console.print(renderable)
    return for_stdout("\n".join(line.rstrip() for line in file.getvalue().splitlines()))


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
        line(f"{name}: {judgement.reason}")
        for name, judgement in comparison.verdicts.items()
        if judgement.verdict == "can't tell"
    ]
    return [*sentences, *notes(comparison.measurements)]


def notes(measurements: Mapping[Any, Measurement], said: str = "") -> list[Text]:
    """Return a sentence for each kind of doubt about measurements, by their names.

    Left out is what all methods agree on the CPU for, which speaks against none of them, and what
    has been `said`.
    """
    by_kind: dict[str, dict[str, str]] = {}
    for name, measurement in measurements.items():
        for doubt in measurement.warnings:
            if doubt.kind != "cpu" and doubt.message not in said:
                by_kind.setdefault(doubt.kind, {}).setdefault(name, doubt.message)
    sentences = []
    for kind, messages in by_kind.items():
        first, *more = messages
        text = f"note ({kind}): {messages[first]}"
        if len(messages) < len(measurements) or len(set(messages.values())) > 1:
            text = f"{first}: {text}" + (f"; so with {', '.join(more)}" if more else "")
        sentences.append(line(text))
    return sentences


def line(text: str, style: str = "") -> Text:
    """Return a text as it is, with nothing taken for markup and nothing that moves a cursor."""
    return Text(printable(text, _LONGEST_LINE), style)


def new_table(subject: str, against: str) -> Table:
    """Return a table with a column for what was timed, its median, and `cells`."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(subject)
    for name in ("median\na run", against, "95 %\ninterval"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    return table


def cells(judgement: Judgement) -> tuple[str, str, Text]:
    """Return the last three cells of a row."""
    low, high = judgement.interval
    known = [value for value in (judgement.ratio, low, high) if 0 < value < math.inf]
    if any(map(is_beyond_change, known)):  # then all of them are written as factors
        sign, unit, form = "x ", "", format_factor
    else:
        sign, unit, form = "", " %", lambda ratio: format_change(ratio - 1).removesuffix(" %")
    ratio = "-" if math.isnan(judgement.ratio) else f"{sign}{form(judgement.ratio)}{unit}"
    is_known = math.isfinite(high)
    interval = f"{sign}{form(low)} to {form(high)}{unit}" if is_known else "unknown"
    return ratio, interval, Text(judgement.verdict, style=_STYLES[judgement.verdict])

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

from ..encodable import for_stdout
from ..units import format_change, format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..measuring.measurement import Measurement
    from .comparison import Comparison
    from .judgement import Judgement

_WIDTH = 100  # of plain text, which knows no terminal

_STYLES = {"faster": "green", "slower": "red", "same": "", "can't tell": "yellow"}


def plain_text(renderable: RenderableType) -> str:
    """Return what rich would print, without colours, as stdout can write it."""
    file = io.StringIO()
    console = Console(file=file, width=_WIDTH, color_system=None, force_jupyter=False)
    console.print(renderable)
    return for_stdout("\n".join(line.rstrip() for line in file.getvalue().splitlines()))


def comparison_renderable(comparison: Comparison) -> RenderableType:
    """Return what rich prints: the table, and below it what has to be known about it."""
    first = comparison.measurements[comparison.baseline]
    title = (
        f"method {first.method!r} on {first.device}: {comparison.rounds} rounds in random order, "
        f"{comparison.batch_runs} runs a batch, {format_seconds(comparison.duration)}"
    )
    table = new_table("candidate", f"against\n{comparison.baseline}")
    for name, measurement in comparison.measurements.items():
        median = format_seconds(measurement.median)
        if name == comparison.baseline:
            table.add_row(Text(name), median, "-", "-", "baseline")
        else:
            table.add_row(Text(name), median, *cells(comparison.verdicts[name]))
    return Group(Text(title), table, *_sentences(comparison))


def _sentences(comparison: Comparison) -> list[Text]:
    level = "95 %: how sure all of it is"
    if len(comparison.verdicts) > 1:
        level += f", corrected for {len(comparison.verdicts)} candidates (Bonferroni)"
    margin = f"same: within {100 * comparison.margin:g} %"
    sentences = [Text(f"{level}; {margin}", style="dim")]
    sentences += [
        Text(f"{name}: {judgement.reason}")
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
        sentences.append(Text(text))
    return sentences


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
    ratio = "-" if math.isnan(judgement.ratio) else format_change(judgement.ratio - 1)
    low, high = judgement.interval
    interval = f"{format_change(low - 1).removesuffix(' %')} to {format_change(high - 1)}"
    if not math.isfinite(high):
        interval = "unknown"
    return ratio, interval, Text(judgement.verdict, style=_STYLES[judgement.verdict])

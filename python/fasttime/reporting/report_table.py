# SPDX-License-Identifier: BSD-3-Clause
"""A report as a table, by rich."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ..units import format_seconds
from .report import walk_with_depth

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .report import Report, SiteReport

_WIDTH = 100  # of plain text, which knows no terminal


def as_text(report: Report) -> str:
    """Return the table as plain text, without colours."""
    console = Console(file=io.StringIO(), width=_WIDTH, color_system=None)
    console.print(as_renderable(report))
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def as_renderable(report: Report) -> RenderableType:
    """Return what rich prints: the table, and below it the doubts, if there are any."""
    if not report.sites:
        parts: list[RenderableType] = [Text("fasttime: nothing has been timed yet.")]
    else:
        parts = [_table(report)]
    parts += [Text(doubt) for doubt in doubts(report)]
    return Group(*parts)


def doubts(report: Report) -> list[str]:
    """Return what a reader of the figures has to know, a line each; empty if all is well."""
    lines = []
    if report.backend == "host":
        lines.append(f"Host time only: {report.backend_reason}.")
    if report.open or report.pending:
        lines.append(
            f"Not in the table: {report.open} open, {report.pending} pending on the device."
        )
    without = [
        (report.dropped, "dropped (no room, or never ended)"),
        (report.captured, "captured (their stream was capturing a CUDA graph)"),
        (report.failed, "failed"),
    ]
    if report.backend == "cuda":
        without.append((report.host_only, "from before CUDA was up"))
    lines += [f"Without device time: {count} {why}." for count, why in without if count]
    if report.last_failure:
        lines.append(f"The last call to CUDA that failed: {report.last_failure}.")
    if report.refused_sites:
        lines.append("Scopes at more sites than can be told apart are under (more).")
    if report.scopes_were_compiled:
        lines.append(
            "Scopes inside torch.compile regions are not timed; put the scope around the compiled "
            "call."
        )
    if any(site.verdict and site.verdict.queue_was_full for site in report.walk()):
        lines.append(
            "* The launch queue was full: the host was held back, so this host time is not what it "
            "takes to issue the work."
        )
    return lines


def _table(report: Report) -> Table:
    on_device = any(site.device for site in report.walk())
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("scope", no_wrap=True)
    table.add_column("calls", justify="right")
    for name in ("mean", "median", "p95", "std"):
        table.add_column(f"{'device' if on_device else 'host'}\n{name}", justify="right")
    if on_device:
        table.add_column("host\nmean", justify="right")
    table.add_column("share", justify="right")
    if on_device:
        table.add_column("bottleneck")
    for site, depth in walk_with_depth(report.sites):
        _add_row(table, site, depth, on_device)
    return table


def _add_row(table: Table, site: SiteReport, depth: int, on_device: bool) -> None:
    # Names come from anywhere: what cannot be printed is escaped, and nothing is markup.
    name = "".join(c if c.isprintable() else repr(c)[1:-1] for c in site.name)
    cells = [Text("  " * depth + name), Text(f"{site.count:,}")]
    times = site.device if on_device else site.host
    if times is None or times.count == 0:
        cells += [Text("-")] * 4
    else:
        values = (times.mean, times.median, times.p95, times.std)
        cells += [Text(format_seconds(value)) for value in values]
    if on_device:
        cells.append(Text(_host_mean(site)))
    cells.append(Text(f"{site.share:.1%}"))
    if on_device:
        cells.append(Text(str(site.verdict or "-")))
    table.add_row(*cells)


def _host_mean(site: SiteReport) -> str:
    if site.host.count == 0:
        return "-"
    mark = " *" if site.verdict and site.verdict.queue_was_full else ""
    return format_seconds(site.host.mean) + mark

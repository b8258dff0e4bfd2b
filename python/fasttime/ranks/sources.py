# SPDX-License-Identifier: BSD-3-Clause
"""What a rank sends of each kind of result."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

from ..modules.records import DATA, GRADIENTS, IDLE, ModuleRecord, Times
from ..modules.step_report import StepReport
from ..modules.table import ModuleTable
from ..reports.report import Report
from ..reports.site import walk_with_parents
from .summary import NO_TIMES, UNKNOWN, RankedSite, RankSummary, SiteColumns, Total, this_host

if TYPE_CHECKING:
    from ..reports.durations import Durations

Gatherable: TypeAlias = Report | ModuleTable | StepReport


def summary_of(
    result: Gatherable, rank: int, host_name: str | None = None, *, caller: str = "gather()"
) -> RankSummary:
    """Return the summary of a result.

    Args:
        result: what the rank measured.
        rank: the rank's number.
        host_name: the machine; None means this machine.
        caller: the function that got the result, for the message.

    Raises TypeError for anything that has no sites.
    """
    if isinstance(result, Report):
        source, sites = "report", _of_report(result)
    elif isinstance(result, ModuleTable):
        source, sites = "modules", _of_modules(result)
    elif isinstance(result, StepReport):
        source, sites = "steps", _of_steps(result)
    else:
        raise TypeError(
            f"{caller} takes a report, a handle's table() or its steps(), got a "
            f"{type(result).__name__}; write for example fasttime.gather(fasttime.report())"
        )
    where = this_host() if host_name is None else host_name
    return RankSummary(rank, source, where, SiteColumns.of(sites), result.warnings)


def _of_report(report: Report) -> list[RankedSite]:
    return [
        RankedSite(site.name, site.path, parent, _total(site.host), _total(site.device))
        for site, parent in walk_with_parents(report.sites)
    ]


def _of_modules(table: ModuleTable) -> list[RankedSite]:
    """Return the modules of each column, such as ``backward/layer1.0.conv1``.

    ``backward`` alone is the model.
    """
    sites: list[RankedSite] = []
    for column in ("forward", "backward", "recompute"):
        first = len(sites)
        for record in table.records.modules:
            times: Times | None = getattr(record, column)
            path = f"{column}/{record.path}" if record.path else column
            sites.append(
                RankedSite(
                    path if record.parent is None else record.path,
                    path,
                    None if record.parent is None else first + record.parent,
                    NO_TIMES if times is None else _per_call(record, times.host),
                    NO_TIMES if times is None else _per_call(record, times.device),
                )
            )
    return sites


def _per_call(record: ModuleRecord, durations: Durations | None) -> Total:
    """Return the sum by forward calls: a backward pass may visit a module more than once."""
    total = _total(durations)
    return total._replace(calls=record.calls or total.calls) if total.calls else NO_TIMES


def _of_steps(steps: StepReport) -> list[RankedSite]:
    """Return the step and its parts, such as ``step/backward``.

    The wait for gradients is a wait for other ranks. So is the idle time of the device, which
    follows from what the host does. On the device the data wait is 0, so its host time is compared.
    """
    sites = [RankedSite("step", "step", None, _total(steps.host), _total(steps.device))]
    for row in steps:
        device = NO_TIMES if row.name == DATA else _total(row.device)
        host = NO_TIMES if row.name == IDLE else _total(row.host)
        is_wait = row.name in (GRADIENTS, IDLE)
        sites.append(RankedSite(row.name, f"step/{row.name}", 0, host, device, is_wait))
    return sites


def _total(durations: Durations | None) -> Total:
    """Return the number and the sum of durations; `NO_TIMES` for None."""
    if durations is None:
        return NO_TIMES
    error = durations.std * math.sqrt(durations.count)
    return Total(
        durations.count,
        round(durations.total * 1e9),
        UNKNOWN if durations.count == 1 else round(error * 1e9),
    )

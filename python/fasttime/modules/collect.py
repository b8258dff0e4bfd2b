# SPDX-License-Identifier: BSD-3-Clause
"""Turn what the core counted into records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .. import _native
from ..reports.bottleneck import BacklogChecks
from ..reports.counts import SiteCounts, counts_in, merge_counts
from ..reports.durations import Durations, merged
from .records import DATA, IDLE, PARTS, ModuleRecord, StepPart, Times
from .sampling import Estimate, Periods

if TYPE_CHECKING:
    from .._native import Core, SiteEntry
    from .selection import Selected

_NO_CHECKS = BacklogChecks()


class Sites(NamedTuple):
    """The core's sites of one module; None before the first repeated call."""

    forward: int
    backward: int
    recompute: int | None


class _Column(NamedTuple):
    """One kind of calls of one module."""

    counts: SiteCounts
    whole: Times | None
    own: Times | None


def module_records(
    core: Core, modules: Sequence[Selected], sites: Sequence[Sites], periods: Periods
) -> tuple[ModuleRecord, ...]:
    """Return one record per module, with everything counted so far."""
    entries = {entry.id: entry for entry in core.site_entries(False)}
    return tuple(
        _module_record(core, entries, module, own, periods)
        for module, own in zip(modules, sites, strict=True)
    )


def _module_record(
    core: Core, entries: dict[int, SiteEntry], module: Selected, sites: Sites, periods: Periods
) -> ModuleRecord:
    forward = _column(core, entries, sites.forward, periods)
    backward = _column(core, entries, sites.backward, periods)
    recompute = _column(core, entries, sites.recompute, periods)
    columns = [column for column in (forward, backward, recompute) if column is not None]
    counted = merge_counts([column.counts for column in columns])
    return ModuleRecord(
        path=module.path,
        type=module.type,
        parent=module.parent,
        calls=0 if forward is None else sum(forward.counts.counts.values()),
        forward=forward.whole if forward else None,
        forward_self=forward.own if forward else None,
        backward=backward.whole if backward else None,
        backward_self=backward.own if backward else None,
        recompute=recompute.whole if recompute else None,
        recompute_self=recompute.own if recompute else None,
        checks=counted.checks,
        timed=counted.device.count if counted.device else 0,
        captured=counted.counts["captured"],
        lost=counted.counts["dropped"] + counted.counts["failed"],
        is_compiled=module.is_compiled,
    )


def _column(
    core: Core, entries: dict[int, SiteEntry], site: int | None, periods: Periods
) -> _Column | None:
    if site is None:
        return None
    counts = counts_in(entries[site], 0.0)
    host_self, device_self, sums = _native.module_self(core, site)
    estimates = periods.estimates(sums)
    return _Column(
        counts,
        _times(counts.host, counts.device, estimates and estimates[:2]),
        _times(Durations(host_self), Durations(device_self), estimates and estimates[2:]),
    )


def _times(
    host: Durations, device: Durations | None, estimates: Sequence[Estimate] | None
) -> Times | None:
    """Return the times of a column; None without any. `estimates` is None if all steps count."""
    device = device if device is not None and device.count else None
    if not host.count and device is None:
        return None
    if estimates is None:
        device_total = None if device is None else device.total
        return Times(host=host, device=device, host_total=host.total, device_total=device_total)
    return Times(
        host=host,
        device=device,
        host_total=estimates[0].total,
        device_total=None if device is None else estimates[1].total,
        host_error=estimates[0].error,
        device_error=0.0 if device is None else estimates[1].error,
    )


class Steps(NamedTuple):
    """What was counted about steps: see `records.StepRecords`."""

    complete: int
    lost: int
    host: Durations
    device: Durations | None
    parts: tuple[StepPart, ...]


def step_parts(core: Core, sites: Sequence[int]) -> Steps:
    """Return the parts of all complete steps.

    Args:
        sites: the core's site of each of `PARTS`.
    """
    entries = {entry.id: entry for entry in core.site_entries(False)}
    count, lost, host, device, series = _native.step_series(core)
    whole = Durations(device) if device.count else None
    times = {
        name: (Durations(part_host), Durations(part_device))
        for name, (part_host, part_device) in zip(PARTS, series, strict=True)
    }
    # While the host waits for data, nothing is put on the stream: the device is idle. If the
    # device was behind, the two events lie close together, and nothing counts as idle.
    waited = times[DATA][1]
    nothing = _zeros(waited.count)
    parts = []
    for name, site in zip(PARTS, sites, strict=True):
        summary = counts_in(entries[site], 0.0) if site in entries else None
        part_host, part_device = times[name]
        if name == IDLE:
            part_host, part_device = _zeros(part_host.count), waited
        elif name == DATA:
            part_device = nothing
        parts.append(
            StepPart(
                name=name,
                host=part_host,
                device=None if whole is None else part_device,
                checks=_NO_CHECKS if summary is None else summary.checks,
                timed=0 if summary is None or not summary.device else summary.device.count,
            )
        )
    return Steps(count, lost, Durations(host), whole, tuple(parts))


def _zeros(count: int) -> Durations:
    """Return as many durations of 0."""
    if not count:
        return merged(())
    return Durations(_native.Series(count, 0, 0, 0, 0, [0], [count]))

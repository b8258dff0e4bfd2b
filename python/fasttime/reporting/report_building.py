# SPDX-License-Identifier: BSD-3-Clause
"""From what the recorder copies out to the tree of a report: paths, shares, self times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..sample import STATUSES
from .durations import Durations
from .site_report import SiteReport
from .verdict import judge

if TYPE_CHECKING:
    from .._native import Series, SiteEntry

# By so much children may exceed their parent through rounding: events are read in steps of 32 ns.
# By so much a scope may exceed the interval that it is in, as the two are not read at one moment.
_ROUNDING = 0.01


def build_sites(entries: list[SiteEntry], duration: float) -> tuple[SiteReport, ...]:
    """Return the tree of all sites at which, or below which, something was counted.

    Args:
        entries: a parent before its children.
        duration: of the interval in which that was counted, in seconds; 0.0 if unknown.
    """
    paths = {0: ""}
    below: dict[int, list[SiteEntry]] = {}
    for entry in entries:  # a parent's id is smaller than its children's
        paths[entry.id] = f"{paths[entry.parent]}/{entry.name}" if entry.parent else entry.name
        below.setdefault(entry.parent, []).append(entry)
    on_device = any(entry.summary.device.count for entry in entries)
    whole_ns = _whole_ns(entries, on_device)
    children: dict[int, list[SiteReport]] = {}
    for entry in reversed(entries):  # children before their parents
        sites = tuple(reversed(children.pop(entry.id, [])))
        summary = entry.summary
        counts = summary.counts
        if not sites and not any(counts.values()):
            continue
        began_earlier = 0 < duration < summary.host.max_ns * 1e-9 * (1 - _ROUNDING)
        own = None if began_earlier else _self_time(entry, below.get(entry.id, []))
        site = SiteReport(
            name=entry.name,
            path=paths[entry.id],
            counts={status: counts[status] for status in STATUSES},
            host=Durations(summary.host),
            device=Durations(summary.device) if summary.device.count else None,
            self_time=own,
            share=_share(_times_of(entry, on_device), whole_ns),
            verdict=judge(entry),
            shared_boundaries=summary.shared_boundaries,
            began_earlier=began_earlier,
            children=sites,
        )
        children.setdefault(entry.parent, []).append(site)
    return tuple(reversed(children.get(0, [])))


def _times_of(entry: SiteEntry, on_device: bool) -> Series:
    return entry.summary.device if on_device else entry.summary.host


def _share(times: Series, whole_ns: float) -> float | None:
    """Return the part of the whole; None without times of the kind that the whole is of."""
    if not times.count:
        return None
    return times.total_ns / whole_ns if whole_ns else 0.0


def _whole_ns(entries: list[SiteEntry], on_device: bool) -> float:
    """Return the time of all roots; where children took longer than a root, theirs.

    They do where they ran beside it, and where it is still open: a share stays below 1 even then.
    Host time and device time pass beside each other, so that no sum of both would say anything.
    """
    children_ns: dict[int, float] = {}
    for entry in reversed(entries):
        time_ns = max(_times_of(entry, on_device).total_ns, children_ns.pop(entry.id, 0.0))
        children_ns[entry.parent] = children_ns.get(entry.parent, 0.0) + time_ns
    return children_ns.get(0, 0.0)


def _self_time(entry: SiteEntry, children: list[SiteEntry]) -> float | None:
    """Return a site's own time less its children's in seconds; None if theirs exceeds it."""
    summary = entry.summary
    if summary.device.count:
        own_ns = summary.device.total_ns
        left_ns = own_ns - sum(child.summary.device.total_ns for child in children)
    else:
        own_ns = summary.host.total_ns
        left_ns = own_ns - sum(child.summary.host.total_ns for child in children)
    return max(left_ns, 0.0) * 1e-9 if left_ns >= -_ROUNDING * own_ns else None

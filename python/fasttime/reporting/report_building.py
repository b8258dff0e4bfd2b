# SPDX-License-Identifier: BSD-3-Clause
"""From what was counted to the tree of a report: paths, shares, self times, verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..sample import STATUSES
from .durations import Durations
from .site_report import SiteReport
from .verdict import judge

if TYPE_CHECKING:
    from .._native import Series
    from .plain_series import PlainSeries
    from .site_tally import SiteTally

# By so much children may exceed their parent through rounding: events are read in steps of 32 ns.
_ROUNDING = 0.01


def build_sites(tallies: list[SiteTally]) -> tuple[SiteReport, ...]:
    """Return the tree of all sites at which, or below which, something was counted.

    Args:
        tallies: a parent before its children.
    """
    paths = {0: ""}
    below: dict[int, list[SiteTally]] = {}
    for one in tallies:
        paths[one.number] = f"{paths[one.parent]}/{one.name}" if one.parent else one.name
        below.setdefault(one.parent, []).append(one)
    on_device = any(one.device.count for one in tallies)
    whole_ns = _whole_ns(tallies, on_device)
    children: dict[int, list[SiteReport]] = {}
    for one in reversed(tallies):  # children before their parents
        sites = tuple(reversed(children.pop(one.number, [])))
        if not sites and not any(one.counts.values()):
            continue
        site = SiteReport(
            name=one.name,
            path=paths[one.number],
            counts={status: one.counts[status] for status in STATUSES},
            host=Durations(one.host),
            device=Durations(one.device) if one.device.count else None,
            self_time=_self_time(one, below.get(one.number, [])),
            share=_share(_times_of(one, on_device), whole_ns),
            verdict=judge(one.looks, one.device.count),
            looks=one.looks,
            shared_boundaries=one.shared_boundaries,
            began_earlier=one.began_earlier,
            children=sites,
        )
        children.setdefault(one.parent, []).append(site)
    return tuple(reversed(children.get(0, [])))


def _times_of(one: SiteTally, on_device: bool) -> Series | PlainSeries:
    return one.device if on_device else one.host


def _share(times: Series | PlainSeries, whole_ns: float) -> float | None:
    """Return the part of the whole; None without times of the kind that the whole is of."""
    if not times.count:
        return None
    return times.total_ns / whole_ns if whole_ns else 0.0


def _whole_ns(tallies: list[SiteTally], on_device: bool) -> float:
    """Return the time of all roots; where children took longer than a root, theirs.

    They do where they ran beside it, and where it is still open: a share stays below 1 even then.
    Host time and device time pass beside each other, so that no sum of both would say anything.
    """
    children_ns: dict[int, float] = {}
    for one in reversed(tallies):
        time_ns = max(_times_of(one, on_device).total_ns, children_ns.pop(one.number, 0.0))
        children_ns[one.parent] = children_ns.get(one.parent, 0.0) + time_ns
    return children_ns.get(0, 0.0)


def _self_time(one: SiteTally, children: list[SiteTally]) -> float | None:
    """Return a site's own time less its parts' in seconds; None if that tells nothing.

    That is where theirs exceeds it, and where some of theirs was counted in an interval before.
    """
    if one.began_earlier:
        return None
    if one.device.count:
        own_ns = one.device.total_ns
        left_ns = own_ns - sum(part.device.total_ns for part in children)
    else:
        own_ns = one.host.total_ns
        left_ns = own_ns - sum(part.host.total_ns for part in children)
    return max(left_ns, 0.0) * 1e-9 if left_ns >= -_ROUNDING * own_ns else None

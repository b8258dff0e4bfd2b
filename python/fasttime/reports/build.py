# SPDX-License-Identifier: BSD-3-Clause
"""Build the tree of a report from counts: paths, shares, self times and bottlenecks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .bottleneck import judge
from .counts import SiteCounts, counts_in
from .durations import Durations
from .site import SiteReport

if TYPE_CHECKING:
    from .._native import SiteEntry

# The fraction by which children may exceed their parent through rounding: events have a resolution
# of 32 ns.
_ROUNDING = 0.01


class Tally(NamedTuple):
    """The counts of one site and its place in the tree.

    Attributes:
        parent: the position of the parent in the list of tallies; None for a root site.
        site: what was counted there.
    """

    parent: int | None
    site: SiteCounts


def tallies_in(entries: list[SiteEntry], duration: float) -> list[Tally]:
    """Return what the core counted in an interval of `duration` seconds.

    Args:
        entries: of all sites in order. The core numbers sites from 1; parent 0 means a root site.
    """
    return [
        Tally(entry.parent - 1 if entry.parent else None, counts_in(entry, duration))
        for entry in entries
    ]


def build_sites(tallies: list[Tally]) -> tuple[SiteReport, ...]:
    """Return the tree of all sites with a count, and of the sites above them.

    Args:
        tallies: parents before their children.
    """
    paths: list[str] = []
    below: dict[int | None, list[SiteCounts]] = {}
    for parent, site in tallies:
        paths.append(site.name if parent is None else f"{paths[parent]}/{site.name}")
        below.setdefault(parent, []).append(site)
    on_device = any(site.device for _, site in tallies)
    whole = _whole(tallies, on_device)
    children: dict[int | None, list[SiteReport]] = {}
    for position, (parent, site) in reversed(list(enumerate(tallies))):  # children first
        inside = tuple(reversed(children.pop(position, [])))
        if not inside and not any(site.counts.values()) and not site.lost:
            continue
        built = SiteReport(
            **vars(site),
            path=paths[position],
            self_time=_self_time(site, below.get(position, [])),
            share=_share(_times(site, on_device), whole),
            bottleneck=judge(site.checks, _timed_on_both(site)),
            children=inside,
        )
        children.setdefault(parent, []).append(built)
    return tuple(reversed(children.get(None, [])))


def _timed_on_both(site: SiteCounts) -> int:
    """Return how many scopes have a device time, without scopes in CUDA graphs.

    Those have no host time. At a site with both kinds, the figure is too high if other scopes have
    no device time.
    """
    return min(site.device.count, site.host.count) if site.device else 0


def _times(site: SiteCounts, on_device: bool) -> Durations | None:
    return site.device if on_device else site.host


def _total(site: SiteCounts, on_device: bool) -> float:
    times = _times(site, on_device)
    return times.total if times else 0.0


def _share(times: Durations | None, whole: float) -> float | None:
    """Return the part of the whole, or None if there are no times of this kind."""
    if times is None or not times.count:
        return None
    return times.total / whole if whole else 0.0


def _whole(tallies: list[Tally], on_device: bool) -> float:
    """Return the time of all root sites in seconds.

    A site whose children took longer counts with the time of its children. This happens if they ran
    concurrently, or if the site's own scope is still open; shares still add up to 1 at most. Host
    times and device times overlap, so only one kind is summed.
    """
    inside: dict[int | None, float] = {}
    for position, (parent, site) in reversed(list(enumerate(tallies))):  # children first
        time = max(_total(site, on_device), inside.pop(position, 0.0))
        inside[parent] = inside.get(parent, 0.0) + time
    return inside.get(None, 0.0)


def _self_time(site: SiteCounts, children: list[SiteCounts]) -> float | None:
    """Return the site's time minus its children's time in seconds, or None; see `SiteReport`."""
    if site.began_earlier:
        return None
    on_device = site.device is not None
    own = _total(site, on_device)
    left = own - sum(_total(child, on_device) for child in children)
    return max(left, 0.0) if left >= -_ROUNDING * own else None

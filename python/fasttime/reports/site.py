# SPDX-License-Identifier: BSD-3-Clause
"""One site of a report, and how to walk a tree of sites."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..bottleneck import Bottleneck
from .counts import SiteCounts
from .durations import Durations


@dataclass(frozen=True, kw_only=True)
class SiteReport(SiteCounts):
    """The statistics of one place in the code, and of the sites inside it.

    Attributes:
        name: the name of the scope.
        path: the names from the root to this site, joined by ``/``.
        counts: how many scopes ended or were dropped, by status; see `fasttime.Sample`.
        host: host times of all scopes that ended. Scopes inside CUDA graphs have none.
        device: device times of the scopes with status ``ok``; None if there are none.
        self_time: the total of `time` minus the totals of the children, in seconds. None if the
            children took longer than the site. That happens if they ran on other streams or
            threads, or if the site's own scope is still open. None if `began_earlier`, because some
            children may have been counted in the interval before. Concurrent children are
            subtracted in full.
        share: this site's part of the time of all root sites, from 0.0 to 1.0. It is a part of the
            device time if any site has device times, otherwise of the host time. None if this site
            has no time of that kind. A root that is shorter than its children counts with the time
            of its children.
        bottleneck: whether the host or the device limits this site; None without device times, and
            inside CUDA graphs.
        checks: the counted evidence for `bottleneck`.
        shared_boundaries: how many scopes share an event with a neighbour and so record one less.
        lost: how many replays of a CUDA graph have no time here, because later replays overwrote
            the time before fasttime read it, or because two replays overlapped.
        began_earlier: whether a scope counted here took longer than the report's `duration`. The
            scope then began in an earlier interval, which already counted some of its children.
        children: the sites of the scopes opened inside this site.
    """

    path: str
    self_time: float | None
    share: float | None
    bottleneck: Bottleneck | None
    children: tuple[SiteReport, ...] = field(repr=False)

    @property
    def count(self) -> int:
        """How many scopes ended here or were dropped. In CUDA graphs, each replay counts."""
        return sum(self.counts.values()) + self.lost

    @property
    def time(self) -> Durations:
        """The device times, or the host times if there are no device times."""
        return self.device or self.host

    def walk(self) -> Iterator[SiteReport]:
        """Yield this site and all sites below it, parents first."""
        return (site for site, _ in walk_with_depth((self,)))


def walk_with_depth(sites: tuple[SiteReport, ...]) -> Iterator[tuple[SiteReport, int]]:
    """Yield each site and its depth, parents first. The given sites have depth 0."""
    # A loop, because scopes may nest deeper than Python functions may recurse.
    waiting = [(site, 0) for site in reversed(sites)]
    while waiting:
        site, depth = waiting.pop()
        yield site, depth
        waiting += [(child, depth + 1) for child in reversed(site.children)]


def walk_with_parents(
    sites: tuple[SiteReport, ...],
) -> Iterator[tuple[SiteReport, int | None]]:
    """Yield each site and the position of its parent in this walk; None for the given sites."""
    above: list[int] = []
    for position, (site, depth) in enumerate(walk_with_depth(sites)):
        del above[depth:]
        yield site, above[-1] if above else None
        above.append(position)


def flattened(sites: tuple[SiteReport, ...]) -> list[tuple[SiteReport, int | None]]:
    """Return all sites without their children, each with the position of its parent.

    Pickle needs this form: it follows a tree only as deep as Python functions may recurse.
    """
    return [(replace(site, children=()), parent) for site, parent in walk_with_parents(sites)]


def nested(sites: list[tuple[SiteReport, int | None]]) -> tuple[SiteReport, ...]:
    """Return the tree that `flattened` took apart."""
    below: dict[int | None, list[SiteReport]] = {}
    for position, (site, parent) in reversed(list(enumerate(sites))):
        whole = replace(site, children=tuple(reversed(below.pop(position, []))))
        below.setdefault(parent, []).append(whole)
    return tuple(reversed(below.get(None, [])))

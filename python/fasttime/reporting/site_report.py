# SPDX-License-Identifier: BSD-3-Clause
"""What was seen at one place in the code, and at those inside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..sample import Status
from .durations import Durations
from .looks import Looks
from .verdict import Verdict


@dataclass(frozen=True)
class SiteReport:
    """One place in the code that is timed, and all that was seen there.

    Attributes:
        name: the scope's name.
        path: the names from the root to it, joined by ``/``.
        counts: how many scopes ended or were given up, by status; see `fasttime.Sample`.
        host: host times of all scopes that ended.
        device: device times of the scopes that are ``ok``; None if there are none.
        self_time: the total of `time` less that of the sites inside, in seconds. It
            takes the sites inside to have run one after the other on the site's own stream and
            thread. What ran beside it is taken off as well; where that makes more than there was,
            self time is None. So it is where `began_earlier` says that some of the sites inside may
            have been counted before.
        share: this site's part of the time of all root sites together, 0.0 to 1.0: of device time
            where any site has it, of host time otherwise; None where this site has no time of that
            kind. A root that is shorter than what ran inside, beside it or because it is still
            open, counts with the time of that.
        verdict: whether host or device was the bottleneck; None without device times.
        looks: what the verdict rests on, counted.
        shared_boundaries: how many scopes share an event with a neighbour, and record one less.
        began_earlier: a scope that is counted here took longer than the report's `duration`. So it
            began in an interval before, in which what ran inside it was counted.
        children: the sites opened inside this one.
    """

    name: str
    path: str
    counts: Mapping[Status, int]
    host: Durations
    device: Durations | None
    self_time: float | None
    share: float | None
    verdict: Verdict | None
    looks: Looks
    shared_boundaries: int
    began_earlier: bool
    children: tuple[SiteReport, ...] = field(repr=False)

    @property
    def count(self) -> int:
        """How many scopes ended here or were given up."""
        return sum(self.counts.values())

    @property
    def time(self) -> Durations:
        """Device times where there are any, host times otherwise."""
        return self.device or self.host

    def walk(self) -> Iterator[SiteReport]:
        """Yield this site and all below it, parents first."""
        return (site for site, _ in walk_with_depth((self,)))


def walk_with_depth(sites: tuple[SiteReport, ...]) -> Iterator[tuple[SiteReport, int]]:
    """Yield the sites and all below them, parents first, each with its depth below the first."""
    # Not recursive: scopes may nest deeper than Python functions may.
    waiting = [(site, 0) for site in reversed(sites)]
    while waiting:
        site, depth = waiting.pop()
        yield site, depth
        waiting += [(child, depth + 1) for child in reversed(site.children)]


def walk_with_parents(
    sites: tuple[SiteReport, ...],
) -> Iterator[tuple[SiteReport, int | None]]:
    """Yield the same, each with its parent's place in what is yielded; None for the first."""
    above: list[int] = []
    for place, (site, depth) in enumerate(walk_with_depth(sites)):
        del above[depth:]
        yield site, above[-1] if above else None
        above.append(place)


def flattened(sites: tuple[SiteReport, ...]) -> list[tuple[SiteReport, int | None]]:
    """Return the sites and all below them without their children, each with its parent's place.

    As pickle takes them: it follows a tree no deeper than Python functions may nest.
    """
    return [(replace(site, children=()), parent) for site, parent in walk_with_parents(sites)]


def nested(sites: list[tuple[SiteReport, int | None]]) -> tuple[SiteReport, ...]:
    """Return the tree that was flattened."""
    below: dict[int | None, list[SiteReport]] = {}
    for place, (site, parent) in reversed(list(enumerate(sites))):
        whole = replace(site, children=tuple(reversed(below.pop(place, []))))
        below.setdefault(parent, []).append(whole)
    return tuple(reversed(below.get(None, [])))

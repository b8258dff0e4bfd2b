# SPDX-License-Identifier: BSD-3-Clause
"""What was counted at a site: all that a report's tree is built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..sample import Status
from .looks import Looks

if TYPE_CHECKING:
    from .._native import Series, SiteEntry
    from .plain_series import PlainSeries

# By so much a scope may exceed the interval that it is in: the two are not read at one moment, and
# the longest may be known to within 1 % only.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class SiteTally:
    """One site. Everything else that a report tells of it follows from these.

    Attributes:
        number: 1 or greater, and greater than its parent's.
        parent: the number of the site that it is inside of; 0 for a root.
        name, counts, shared_boundaries, looks, began_earlier: see `SiteReport`.
        host: times of all scopes that ended.
        device: times of those that are ``ok``.
    """

    number: int
    parent: int
    name: str
    counts: Mapping[Status, int]
    shared_boundaries: int
    host: Series | PlainSeries
    device: Series | PlainSeries
    looks: Looks
    began_earlier: bool


def tally_of(entry: SiteEntry, duration: float) -> SiteTally:
    """Return what the core counted in an interval of so many seconds."""
    summary = entry.summary
    return SiteTally(
        number=entry.id,
        parent=entry.parent,
        name=entry.name,
        counts=summary.counts,
        shared_boundaries=summary.shared_boundaries,
        host=summary.host,
        device=summary.device,
        looks=Looks(
            near=summary.backlog_near,
            above=summary.backlog_above,
            between=summary.backlog_between,
            backlog_total=summary.backlog_total_ns * 1e-9,
            host_took_as_long=summary.host_took_as_long,
            device_outlasted=summary.device_outlasted,
        ),
        began_earlier=began_earlier(summary.host, duration),
    )


def began_earlier(host: Series | PlainSeries, duration: float) -> bool:
    """Return whether the longest of some scopes began before the interval that they ended in.

    Args:
        host: their host times.
        duration: of the interval, in seconds; 0.0 if unknown.
    """
    return 0 < duration < host.max_ns * 1e-9 * (1 - _TOLERANCE)

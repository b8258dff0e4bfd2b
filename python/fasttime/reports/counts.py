# SPDX-License-Identifier: BSD-3-Clause
"""What is counted at a site. All other figures of the site follow from these counts."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..sample import STATUSES, Status
from .bottleneck import BacklogChecks
from .durations import Durations, difference, merged

if TYPE_CHECKING:
    from .._native import SiteEntry

# A scope may exceed its interval by this fraction: scope and interval are not read at the same
# moment, and the longest scope may be known to 1 % only.
_TOLERANCE = 0.01


@dataclass(frozen=True, kw_only=True)
class SiteCounts:
    """The counts of one site. `SiteReport` adds what follows from them and describes every field.

    A new field needs a line in each function below, and one in `formats.document`.
    """

    name: str
    counts: Mapping[Status, int]
    host: Durations
    device: Durations | None
    checks: BacklogChecks
    shared_boundaries: int
    began_earlier: bool
    lost: int = 0


def nothing_counted(name: str) -> SiteCounts:
    """Return the counts of a site before its first scope ends."""
    return SiteCounts(
        name=name,
        counts=dict.fromkeys(STATUSES, 0),
        host=merged(()),
        device=None,
        checks=BacklogChecks(),
        shared_boundaries=0,
        began_earlier=False,
    )


def counts_in(entry: SiteEntry, duration: float) -> SiteCounts:
    """Return what the core counted at a site.

    Args:
        entry: the core's summary of the site.
        duration: the length of the interval in seconds.
    """
    summary = entry.summary
    host = Durations(summary.host)
    return SiteCounts(
        name=entry.name,
        counts={status: summary.counts[status] for status in STATUSES},
        host=host,
        device=_or_none(Durations(summary.device)),
        checks=BacklogChecks(
            near=summary.backlog_near,
            above=summary.backlog_above,
            between=summary.backlog_between,
            backlog_total=round(summary.backlog_total_ns) / 1e9,
            host_took_as_long=summary.host_took_as_long,
            device_outlasted=summary.device_outlasted,
        ),
        shared_boundaries=summary.shared_boundaries,
        began_earlier=_began_earlier(host, duration),
        lost=summary.lost,
    )


def merge_counts(parts: Sequence[SiteCounts]) -> SiteCounts:
    """Return the counts of one site over several reports, added up."""
    return SiteCounts(
        name=parts[0].name,
        counts={status: sum(part.counts[status] for part in parts) for status in STATUSES},
        host=merged(part.host for part in parts),
        device=_or_none(merged(part.device for part in parts)),
        checks=_to_whole_ns(map(sum, zip(*(part.checks for part in parts), strict=True))),
        shared_boundaries=sum(part.shared_boundaries for part in parts),
        began_earlier=any(part.began_earlier for part in parts),
        lost=sum(part.lost for part in parts),
    )


def counts_since(later: SiteCounts, earlier: SiteCounts, duration: float) -> SiteCounts:
    """Return what was counted between two states of one site.

    Args:
        later, earlier: the two states.
        duration: the seconds between them.

    Raises ValueError if `earlier` is not an earlier state of `later`.
    """
    host = difference(later.host, earlier.host)
    return SiteCounts(
        name=later.name,
        counts={status: later.counts[status] - earlier.counts[status] for status in STATUSES},
        host=host,
        device=_or_none(difference(later.device, earlier.device)),
        checks=_to_whole_ns(map(operator.sub, later.checks, earlier.checks)),
        shared_boundaries=later.shared_boundaries - earlier.shared_boundaries,
        began_earlier=_began_earlier(host, duration),
        lost=later.lost - earlier.lost,
    )


def _to_whole_ns(fields: Iterable[Any]) -> BacklogChecks:
    """Return checks with a rounded sum of backlogs, which then does not depend on the order."""
    checks = BacklogChecks(*fields)
    return checks._replace(backlog_total=round(checks.backlog_total * 1e9) / 1e9)


def _or_none(times: Durations) -> Durations | None:
    return times if times.count else None


def _began_earlier(host: Durations, duration: float) -> bool:
    """Return whether the longest scope took longer than the interval in which it ended.

    Args:
        host: the host times of the scopes.
        duration: the length of the interval in seconds; 0.0 if unknown.
    """
    return 0 < duration < host.max * (1 - _TOLERANCE)

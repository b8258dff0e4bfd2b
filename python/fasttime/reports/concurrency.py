# SPDX-License-Identifier: BSD-3-Clause
"""Whether scopes of a report ran at the same time, so that their times do not add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .durations import Durations
    from .report import Report
    from .site import SiteReport

_TOLERANCE = 0.01  # scopes and the period are not read at the same moment


def root_time(report: Report) -> float:
    """Return the summed times of all root sites in seconds: device times if there are any.

    A site whose children took longer counts with the time of its children, as for shares.
    """
    on_device = _on_device(report)
    spent = _spent(report, on_device)
    return sum(spent[id(site)] for site in report.sites)


def roots_overlap(report: Report) -> bool:
    """Return whether root sites took longer than the period: then some of them overlap.

    One stream or thread fits the period and one scope that began before. Scopes on several devices
    count together. Scopes that overlap for less time than the period has left cannot be told from
    others. Of a merged report, see `shares_overlap`: its parts may have run at the same time.
    """
    if report.parts > 1 or not report.duration:
        return False
    longest = _longest(report.sites, _on_device(report))
    return root_time(report) > report.duration * (1 + _TOLERANCE) + longest


def shares_overlap(report: Report) -> bool:
    """Return whether shares are parts of a sum of overlapping times.

    So they are if root sites overlap, or sites inside a root site overlap for longer than the root
    site. Sites that overlap further inside leave the whole as it is: their shares are parts of the
    root sites' time, and the warning ``overlap`` counts them. A merged report answers for its
    parts.
    """
    if report.parts > 1:
        return report.overlapping_parts
    return roots_overlap(report) or _roots_are_exceeded(report)


def _roots_are_exceeded(report: Report) -> bool:
    """Return whether the sites inside a root site took longer than the root site.

    Unfinished scopes have no time yet, but the scopes inside them do.
    """
    on_device = _on_device(report)
    spent = _spent(report, on_device)
    unfinished = report.open + report.pending
    for site in report.sites:
        own = _times(site, on_device)
        if own is None or not own.count:
            continue
        period = report.duration + _longest(site.children, on_device)
        room = min(period, unfinished * own.max)
        if spent[id(site)] > own.total * (1 + _TOLERANCE) + room:
            return True
    return False


def _on_device(report: Report) -> bool:
    return any(site.device for site in report.walk())


def _times(site: SiteReport, on_device: bool) -> Durations | None:
    return site.device if on_device else site.host


def _longest(sites: tuple[SiteReport, ...], on_device: bool) -> float:
    known = (_times(site, on_device) for site in sites)
    return max((times.max for times in known if times is not None and times.count), default=0.0)


def _spent(report: Report, on_device: bool) -> dict[int, float]:
    """Return each site's total or the total of its children, the longer, by the site's id."""
    spent: dict[int, float] = {}
    for site in reversed(list(report.walk())):  # children first
        times = _times(site, on_device)
        inside = sum(spent[id(child)] for child in site.children)
        spent[id(site)] = max(times.total if times else 0.0, inside)
    return spent

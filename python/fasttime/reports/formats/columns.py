# SPDX-License-Identifier: BSD-3-Clause
"""What a report says of a site, column by column, in words: the same in every format."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ...text import format_seconds

if TYPE_CHECKING:
    from ..durations import Durations
    from ..report import Report
    from ..site import SiteReport

NOTHING = "-"
MARK = "*"  # before a host time that need not be what it takes to issue the work


class Column(NamedTuple):
    """One column, beside the one that names the site.

    Attributes:
        key: its name in the code, and where it is said what a narrow table leaves out.
        title: what stands above it.
        group: whose time it is, ``device`` or ``host``; empty where it is no time of theirs.
        value: a site's number, for sorting; None where there is none.
        text: the same in words.
        meaning: what it says, in a sentence.
    """

    key: str
    title: str
    group: str
    value: Callable[[SiteReport], float | None]
    text: Callable[[SiteReport], str]
    meaning: str


def columns_of(report: Report) -> tuple[Column, ...]:
    """Return the columns of a report.

    Without any device time they tell of host times alone; where nothing is nested, of no self time.
    """
    on_device = has_device_times(report)
    kind = "device" if on_device else "host"

    def seconds(
        key: str, group: str, value: Callable[[SiteReport], float | None], meaning: str
    ) -> Column:
        return Column(key, key, group, value, lambda site: _seconds(value(site)), meaning)

    def time(key: str, of: Callable[[Durations, SiteReport], float | None], meaning: str) -> Column:
        def value(site: SiteReport) -> float | None:
            times = site.device if on_device else site.host
            return of(times, site) if times is not None and times.count else None

        return seconds(key, kind, value, meaning)

    columns = [
        Column("calls", "calls", "", _calls, lambda site: f"{site.count:,}", "Scopes that ended."),
        time("p50", lambda times, _: times.median, f"Median {kind} time, within 1 %."),
        time("mean", lambda times, _: times.mean, f"Mean {kind} time of a call."),
        time("p95", lambda times, _: times.p95, f"95 % of all {kind} times are below."),
        time("p99", lambda times, _: times.p99, f"99 % of all {kind} times are below."),
        time("total", lambda times, _: times.total, f"Sum of the {kind} times."),
    ]
    if any(site.children for site in report.sites):  # elsewhere it is the total
        own = f"Total {kind} time less that of the scopes inside."
        columns.append(time("self", lambda _, site: site.self_time, own))
    share = f"Part of the {kind} time of all root sites."
    columns.append(Column("share", "share", "", lambda site: site.share, _share, share))
    if on_device:
        ahead = "How far the host ran ahead of the device when it left the scope, on average."
        columns[-1:-1] = [
            Column("host", "mean", "host", host_mean, _host, "Mean host time of a call."),
            seconds("backlog", "", _backlog, ahead),
        ]
        columns.append(
            Column(
                "bottleneck",
                "bottleneck",
                "",
                lambda site: None,
                lambda site: NOTHING if site.bottleneck is None else site.bottleneck.bound,
                "Which of the two was waited for.",
            )
        )
    return tuple(columns)


def has_device_times(report: Report) -> bool:
    """Return whether any site has device times."""
    return any(site.device for site in report.walk())


def host_mean(site: SiteReport) -> float | None:
    """Return the mean host time of a site in seconds; None if there is none."""
    return site.host.mean if site.host.count else None


def summary(report: Report) -> str:
    """Return what a report is of and what timing itself has cost, as the estimate that it is."""
    calls = sum(site.count for site in report.walk())
    cost = report.cost
    device = f" and {rough_seconds(cost.device)} on the device" if cost.device else ""
    noun = "call" if calls == 1 else "calls"
    return (
        f"{calls:,} {noun} in {format_seconds(report.duration)}. Timing itself took about "
        f"{rough_seconds(cost.host)} on the host{device} (estimate)."
    )


def rough_seconds(seconds: float) -> str:
    """Return a duration in two digits: an estimate has no more to say."""
    number, _, unit = format_seconds(float(f"{seconds:.1e}")).partition(" ")
    whole = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{whole} {unit}"


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else format_seconds(value)


def _calls(site: SiteReport) -> float:
    return site.count


def _share(site: SiteReport) -> str:
    return NOTHING if site.share is None else f"{site.share:.1%}"


def _host(site: SiteReport) -> str:
    mark = MARK if site.bottleneck is not None and site.bottleneck.host_may_wait else ""
    return mark + _seconds(host_mean(site))


def _backlog(site: SiteReport) -> float | None:
    if site.bottleneck is None or site.bottleneck.backlog is None:
        return None
    # The clocks of host and device are compared to about 2 us: less than nothing is nothing.
    return max(0.0, site.bottleneck.backlog)

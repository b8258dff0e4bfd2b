# SPDX-License-Identifier: BSD-3-Clause
"""The columns of a report and its summary line: the same in every printed format."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ...text import format_count, format_seconds

if TYPE_CHECKING:
    from ..durations import Durations
    from ..report import Report
    from ..site import SiteReport

UNKNOWN = "-"
MARK = "*"  # before a host time that may include waiting
NO_SITES = "fasttime: no scope has ended in this interval."


class Column(NamedTuple):
    """One column to the right of the names.

    Attributes:
        key: the column's name in the code, and in the note on hidden columns.
        title: the heading.
        group: whose time the column shows, ``device`` or ``host``; empty for other columns.
        value: a site's number, for sorting; None if unknown.
        text: a site's cell.
        meaning: what the column shows, in a sentence.
    """

    key: str
    title: str
    group: str
    value: Callable[[SiteReport], float | None]
    text: Callable[[SiteReport], str]
    meaning: str


def columns_of(report: Report) -> tuple[Column, ...]:
    """Return the columns of a report.

    A report without device times shows host times. A report without nested sites has no column for
    self time, which would repeat the total.
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
        time("mean", lambda times, _: times.mean, f"Mean {kind} time per call."),
        time("first", lambda times, _: times.first, f"The {kind} time that was counted first."),
        time("max", lambda times, _: times.max, f"The longest {kind} time."),
        time("p95", lambda times, _: times.p95, f"95 % of the {kind} times are at most this long."),
        time("p99", lambda times, _: times.p99, f"99 % of the {kind} times are at most this long."),
        time("total", lambda times, _: times.total, f"Sum of the {kind} times."),
    ]
    if any(site.children for site in report.sites):
        own = f"Total {kind} time minus the total of the sites inside."
        columns.append(time("self", lambda _, site: site.self_time, own))
    if on_device:
        columns += [
            Column("host", "mean", "host", host_mean, _host, "Mean host time per call."),
            seconds(
                "backlog",
                "",
                backlog,
                "How far the device was behind when the host left the scope, on average.",
            ),
        ]
    if report.shares_overlap:
        # Under another heading, because the parts of overlapping scopes do not add up to the time.
        heading, part = (
            "of sum",
            f"Part of the summed {kind} times, which overlap.",
        )
    else:
        heading, part = "share", f"Part of the {kind} time of all root sites."
    columns.append(Column("share", heading, "", lambda site: site.share, _share, part))
    if on_device:
        limit = "Whether the host or the device limits the site."
        columns.append(
            Column("bottleneck", "bottleneck", "", lambda site: None, _bottleneck, limit)
        )
    return tuple(columns)


def has_device_times(report: Report) -> bool:
    """Return whether any site has device times."""
    return any(site.device for site in report.walk())


def host_mean(site: SiteReport) -> float | None:
    """Return the mean host time of a site in seconds; None without host times."""
    return site.host.mean if site.host.count else None


def summary(report: Report) -> str:
    """Return how much was timed and what timing itself cost."""
    calls = sum(site.count for site in report.walk())
    cost = report.cost
    device = f" and {rough_seconds(cost.device)} on the device" if cost.device else ""
    return (
        f"{format_count(calls, 'call')} in {period(report)}. Timing itself took about "
        f"{rough_seconds(cost.host)} on the host{device} (estimate)."
    )


def period(report: Report) -> str:
    """Return the time that a report covers, and how many reports were merged into it."""
    duration = format_seconds(report.duration)
    if report.parts == 1:
        return duration
    return f"{report.parts:,} merged reports (longest: {duration})"


def rough_seconds(seconds: float) -> str:
    """Return a duration with two digits, which is as precise as an estimate."""
    number, _, unit = format_seconds(float(f"{seconds:.1e}")).partition(" ")
    whole = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{whole} {unit}"


def backlog(site: SiteReport) -> float | None:
    """Return the mean backlog of a site in seconds; None without a check."""
    if site.bottleneck is None or site.bottleneck.backlog is None:
        return None
    # The clocks of host and device agree to 2 us, so a small backlog can come out negative.
    return max(0.0, site.bottleneck.backlog)


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else format_seconds(value)


def _calls(site: SiteReport) -> float:
    return site.count


def _share(site: SiteReport) -> str:
    return UNKNOWN if site.share is None else f"{site.share:.1%}"


def _bottleneck(site: SiteReport) -> str:
    return UNKNOWN if site.bottleneck is None else site.bottleneck.bound


def _host(site: SiteReport) -> str:
    mark = MARK if site.bottleneck is not None and site.bottleneck.host_may_wait else ""
    return mark + _seconds(host_mean(site))

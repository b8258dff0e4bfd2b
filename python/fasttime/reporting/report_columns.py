# SPDX-License-Identifier: BSD-3-Clause
"""What a report says of a site, column by column, in words: the same in every format."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..units import format_seconds
from .report import walk_with_depth

if TYPE_CHECKING:
    from .report import Durations, Report, SiteReport

NOTHING = "-"
MARK = " *"  # on a host time that is not what it takes to issue the work


class Column(NamedTuple):
    """One column, beside the one that names the site.

    Attributes:
        key: its name in the code, and where it is said what a narrow table leaves out.
        title: what stands above it.
        group: what stands above that, for neighbours together; empty for none.
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
    """Return the columns of a report: without any device time they tell of host times alone."""
    on_device = has_device_times(report)
    kind = "device" if on_device else "host"
    group = f"{kind} time"

    def times(site: SiteReport) -> Durations | None:
        chosen = site.device if on_device else site.host
        return chosen if chosen is not None and chosen.count else None

    def of_times(name: str) -> Callable[[SiteReport], float | None]:
        def value(site: SiteReport) -> float | None:
            chosen = times(site)
            return None if chosen is None else float(getattr(chosen, name))

        return value

    def own(site: SiteReport) -> float | None:
        return None if times(site) is None else site.self_time

    def seconds(
        key: str, value: Callable[[SiteReport], float | None], meaning: str, title: str = ""
    ) -> Column:
        return Column(key, title or key, group, value, lambda site: _seconds(value(site)), meaning)

    columns = [
        Column("calls", "calls", "", _count, _calls, "Scopes that ended."),
        seconds("total", of_times("total"), f"Sum of the {kind} times."),
        seconds("self", own, f"Total {kind} time less that of the scopes inside."),
        Column(
            "share", "share", group, _share, _percent, f"Part of the {kind} time of all root sites."
        ),
        seconds("mean", of_times("mean"), f"Mean {kind} time of a call."),
        seconds("p50", of_times("median"), f"Median {kind} time, within 1 %."),
        seconds("p95", of_times("p95"), f"95 % of all {kind} times are below."),
        seconds("p99", of_times("p99"), f"99 % of all {kind} times are below."),
    ]
    if on_device:
        columns += [
            Column("host", "mean", "host", host_mean, _host, "Mean host time of a call."),
            Column(
                "backlog",
                "backlog",
                "",
                _backlog,
                lambda site: _seconds(_backlog(site)),
                "How far the host ran ahead of the device when it left the scope, on average.",
            ),
            Column(
                "bottleneck",
                "bottleneck",
                "",
                lambda site: None,
                lambda site: str(site.verdict or NOTHING),
                "Which of the two was waited for.",
            ),
        ]
    return tuple(columns)


def has_device_times(report: Report) -> bool:
    """Return whether any site has device times."""
    return any(site.device for site in report.walk())


def host_mean(site: SiteReport) -> float | None:
    """Return the mean host time of a site in seconds; None if there is none."""
    return site.host.mean if site.host.count else None


def heading(report: Report) -> str:
    """Return what a report is of, in a line."""
    calls = sum(site.count for site, _ in walk_with_depth(report.sites))
    return f"{calls:,} calls in {format_seconds(report.duration)}"


def cost_sentence(report: Report) -> str:
    """Return what timing itself has cost, as the estimate that it is."""
    cost = report.cost
    host = f"{rough_seconds(cost.host)} on the host"
    device = f" and {rough_seconds(cost.device)} on the device" if cost.device else ""
    return f"Timing itself took about {host}{device} (estimate)."


def rough_seconds(seconds: float) -> str:
    """Return a duration in two digits: an estimate has no more to say."""
    number, _, unit = format_seconds(float(f"{seconds:.1e}")).partition(" ")
    whole = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{whole} {unit}"


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else format_seconds(value)


def _count(site: SiteReport) -> float:
    return site.count


def _calls(site: SiteReport) -> str:
    return f"{site.count:,}"


def _share(site: SiteReport) -> float:
    return site.share


def _percent(site: SiteReport) -> str:
    return f"{site.share:.1%}"


def _host(site: SiteReport) -> str:
    mark = MARK if site.verdict is not None and site.verdict.queue_was_full else ""
    return _seconds(host_mean(site)) + mark


def _backlog(site: SiteReport) -> float | None:
    if site.verdict is None or site.verdict.backlog is None:
        return None
    # The clocks of host and device are compared to about 2 us: less than nothing is nothing.
    return max(0.0, site.verdict.backlog)

# SPDX-License-Identifier: BSD-3-Clause
"""What scopes have measured: a tree of sites, as numbers and as a table. Times are in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..sample import STATUSES, Status
from .verdict import Verdict, judge

if TYPE_CHECKING:
    from .._native import Series, SiteEntry


class Durations:
    """A distribution of durations, in seconds, kept in constant memory.

    Count, total, mean, std, min and max are exact (the sums are in double precision). Quantiles
    come from a histogram and are within 1 % of a measured value.
    """

    __slots__ = ("_series",)

    def __init__(self, series: Series) -> None:
        self._series = series

    @property
    def count(self) -> int:
        """How many there are."""
        return self._series.count

    @property
    def total(self) -> float:
        """Their sum."""
        return self._series.total_ns * 1e-9

    @property
    def mean(self) -> float:
        """Their mean; 0.0 if there are none."""
        return self._series.mean_ns * 1e-9

    @property
    def std(self) -> float:
        """Their standard deviation, with n - 1 below the line; 0.0 for fewer than two."""
        return self._series.std_ns * 1e-9

    @property
    def min(self) -> float:
        """The shortest."""
        return self._series.min_ns * 1e-9

    @property
    def max(self) -> float:
        """The longest."""
        return self._series.max_ns * 1e-9

    @property
    def median(self) -> float:
        """The 0.5 quantile."""
        return self.quantile(0.5)

    @property
    def p95(self) -> float:
        """The 0.95 quantile."""
        return self.quantile(0.95)

    @property
    def p99(self) -> float:
        """The 0.99 quantile."""
        return self.quantile(0.99)

    def quantile(self, q: float) -> float:
        """Return the duration below which a fraction `q` of all lie, within 1 %."""
        if not 0 <= q <= 1:
            raise ValueError(f"q must lie between 0 and 1, got {q}")
        return self._series.quantile_ns(q) * 1e-9

    def __repr__(self) -> str:
        return f"Durations(count={self.count}, mean={self.mean:.3e}, p95={self.p95:.3e})"


@dataclass(frozen=True)
class SiteReport:
    """One place in the code that is timed, and all that was seen there.

    Attributes:
        name: the scope's name.
        path: the names from the root to it, joined by ``/``.
        counts: how many scopes ended, by status; see `fasttime.Sample`.
        host: host times of all scopes that ended.
        device: device times of the scopes that are ``ok``; None if there are none.
        share: this site's part of the time of all root sites together: device time where there is
            any, host time otherwise; 0.0 to 1.0.
        verdict: whether host or device was the bottleneck; None without device times.
        shared_boundaries: how many scopes share an event with a neighbour.
        children: the sites opened inside this one.
    """

    name: str
    path: str
    counts: Mapping[Status, int]
    host: Durations
    device: Durations | None
    share: float
    verdict: Verdict | None
    shared_boundaries: int
    children: tuple[SiteReport, ...] = field(repr=False)

    @property
    def count(self) -> int:
        """How many scopes ended here, whatever became of them."""
        return sum(self.counts.values())

    @property
    def time(self) -> Durations:
        """Device times where there are any, host times otherwise."""
        return self.device or self.host

    def walk(self) -> Iterator[SiteReport]:
        """Yield this site and all below it, parents first."""
        return (site for site, _ in walk_with_depth((self,)))


@dataclass(frozen=True)
class Report:
    """What was resolved when the report was made. Prints as a table.

    ``report["pipeline/model_large"]`` is the `SiteReport` of a path.

    Attributes:
        sites: the root sites, in the order in which they first began.
        backend: ``cuda``, or ``host`` where only host time can be had.
        backend_reason: why it is that one, in words.
        duration: seconds since these statistics began, at the last reset or ``report(reset=True)``.
        open: scopes begun and not ended.
        pending: scopes ended that the device had not finished.
        refused_sites: how often a new site was counted under ``(more)``, the bound being reached.
        last_failure: what CUDA answered to the last call of ours that failed; empty if none did.
        scopes_were_compiled: whether torch.compile met scopes in this process: they are not timed.
    """

    sites: tuple[SiteReport, ...]
    backend: str
    backend_reason: str
    duration: float
    open: int
    pending: int
    refused_sites: int
    last_failure: str
    scopes_were_compiled: bool = False

    def __getitem__(self, path: str) -> SiteReport:
        for site in self.walk():
            if site.path == path:
                return site
        known = ", ".join(repr(site.path) for site in self.walk()) or "none"
        raise KeyError(f"no scope was timed at {path!r}; there are: {known}")

    def walk(self) -> Iterator[SiteReport]:
        """Yield every site, parents before their children."""
        return (site for site, _ in walk_with_depth(self.sites))

    def count(self, status: Status) -> int:
        """Return how many scopes of this status there are at all sites."""
        return sum(site.counts[status] for site in self.walk())

    @property
    def host_only(self) -> int:
        """Scopes without device time, as CUDA was not up when they began."""
        return self.count("host_only")

    @property
    def dropped(self) -> int:
        """Scopes given up for want of room, or never ended."""
        return self.count("dropped")

    @property
    def captured(self) -> int:
        """Scopes without device time, as their stream was capturing a CUDA graph."""
        return self.count("captured")

    @property
    def failed(self) -> int:
        """Scopes without device time, as CUDA answered an error."""
        return self.count("failed")

    def __str__(self) -> str:
        from .report_table import as_text

        return as_text(self)

    def __rich__(self) -> Any:
        from .report_table import as_renderable

        return as_renderable(self)


def walk_with_depth(sites: tuple[SiteReport, ...]) -> Iterator[tuple[SiteReport, int]]:
    """Yield the sites and all below them, parents first, each with its depth below the first."""
    # Not recursive: scopes may nest deeper than Python functions may.
    waiting = [(site, 0) for site in reversed(sites)]
    while waiting:
        site, depth = waiting.pop()
        yield site, depth
        waiting += [(child, depth + 1) for child in reversed(site.children)]


def build_sites(entries: list[SiteEntry]) -> tuple[SiteReport, ...]:
    """Return the tree of all sites at which, or below which, something was counted."""
    paths = {0: ""}
    for entry in entries:  # a parent's id is smaller than its children's
        above = paths[entry.parent]
        paths[entry.id] = f"{above}/{entry.name}" if above else entry.name
    whole_ns = sum(_time_of(entry).total_ns for entry in entries if entry.parent == 0)
    children: dict[int, list[SiteReport]] = {}
    for entry in reversed(entries):  # children before their parents
        below = tuple(reversed(children.pop(entry.id, [])))
        counts = entry.summary.counts
        if below or any(counts.values()):
            site = _site_report(entry, paths[entry.id], below, whole_ns)
            children.setdefault(entry.parent, []).append(site)
    return tuple(reversed(children.get(0, [])))


def _site_report(
    entry: SiteEntry, path: str, children: tuple[SiteReport, ...], whole_ns: float
) -> SiteReport:
    summary = entry.summary
    counts = summary.counts
    return SiteReport(
        name=entry.name,
        path=path,
        counts={status: counts[status] for status in STATUSES},
        host=Durations(summary.host),
        device=Durations(summary.device) if summary.device.count else None,
        share=_time_of(entry).total_ns / whole_ns if whole_ns else 0.0,
        verdict=judge(entry),
        shared_boundaries=summary.shared_boundaries,
        children=children,
    )


def _time_of(entry: SiteEntry) -> Series:
    return entry.summary.device if entry.summary.device.count else entry.summary.host

# SPDX-License-Identifier: BSD-3-Clause
"""New reports against old ones, site by site: `fasttime.compare_reports`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..environment.differences import differences_of_sides
from ..reports.report import Report
from ..stats.processes import FEWEST_PROCESSES
from ..stats.student import difference_interval
from .site_changes import UNKNOWN, ReportComparison, SiteChange
from .verdict import Verdict, check_margin, decide

if TYPE_CHECKING:
    from ..reports.durations import Durations
    from ..reports.site import SiteReport

# Live services differ by a few percent from hour to hour, and quantiles are within 1 %.
MARGIN = 0.05
_ALPHA = 0.05
_QUANTILE_STEP = math.log(1.01)  # what the histograms of both sides may be off together


def compare_reports(
    old: Report | Sequence[Report],
    new: Report | Sequence[Report],
    *,
    margin: float = MARGIN,
) -> ReportComparison:
    """Say site by site whether new reports are faster or slower than old ones, or the same.

        monday, tuesday = [fasttime.load(p) for p in m], [fasttime.load(p) for p in t]
        print(fasttime.compare_reports(monday, tuesday))

    A change is proven if it exceeds the spread between the reports of each side, by Welch's test
    of the logarithms of their medians. So pass at least three reports per side, of separate
    intervals or, better, of separate processes. With fewer, every verdict is ``can't tell``. At
    most 5 % of comparisons contain a false verdict, however many sites there are.

    Args:
        old, new: a report, or several that share no scopes; see `Report.merge`.
        margin: a site that changes by less is the ``same``, between 0 and 1.

    Never waits. Raises TypeError for anything but reports, and ValueError if a side is empty, if
    two reports of a side share scopes, or if the margin is out of range.
    """
    check_margin(margin)
    before, after = _side("old", old), _side("new", new)
    merged_old, merged_new = Report.merge(*before), Report.merge(*after)
    alpha = _ALPHA / max(1, len(_paths(merged_old).keys() & _paths(merged_new).keys()))
    changes = []
    parts_old, parts_new = [_paths(one) for one in before], [_paths(one) for one in after]
    both = (_paths(merged_old), _paths(merged_new))
    for names in _in_tree_order([*both[1], *both[0]]):
        was, now = both[0].get(names), both[1].get(names)
        site = now or was
        assert site is not None  # one of the two has it
        kind = "host" if any(one and not one.device for one in (was, now)) else "device"
        medians = [
            [_times(part.get(names), kind).median for part in parts if _has(part.get(names), kind)]
            for parts in (parts_old, parts_new)
        ]
        changes.append(_change(site.path, len(names) - 1, kind, was, now, medians, margin, alpha))
    environments = ([_environment_of(one) for one in side] for side in (before, after))
    return ReportComparison(
        changes=tuple(changes),
        old_reports=len(before),
        new_reports=len(after),
        margin=margin,
        environment_differences=differences_of_sides(*environments),
        one_process=tuple(_from_one_process({"old": before, "new": after})),
    )


def _side(which: str, given: object) -> list[Report]:
    reports = [given] if isinstance(given, Report) else given
    if not isinstance(reports, Sequence) or not all(isinstance(one, Report) for one in reports):
        raise TypeError(
            f"compare_reports() takes reports, but {which} is {type(given).__name__}; pass a "
            "report or a list of reports, for a file fasttime.load(path)"
        )
    if not reports:
        raise ValueError(f"compare_reports() needs at least one {which} report, got none")
    return list(reports)


def _paths(report: Report) -> dict[tuple[str, ...], SiteReport]:
    """Return the sites by their names from the root on."""
    found: dict[tuple[str, ...], SiteReport] = {}
    above: list[str] = []
    waiting = [(site, 0) for site in reversed(report.sites)]
    while waiting:
        site, depth = waiting.pop()
        del above[depth:]
        above.append(site.name)
        found[tuple(above)] = site
        waiting += [(child, depth + 1) for child in reversed(site.children)]
    return found


def _in_tree_order(known: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return each site once, below its parent. Siblings keep their order."""
    below: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for names in dict.fromkeys(known):
        below.setdefault(names[:-1], []).append(names)
    found = []
    waiting = below.pop((), [])[::-1]
    while waiting:
        names = waiting.pop()
        found.append(names)
        waiting += reversed(below.get(names, []))
    return found


def _times(site: SiteReport | None, kind: str) -> Durations:
    times = None if site is None else site.device if kind == "device" else site.host
    assert times is not None
    return times


def _has(site: SiteReport | None, kind: str) -> bool:
    if site is None or (kind == "device" and site.device is None):
        return False
    return _times(site, kind).median > 0


def _change(
    path: str,
    depth: int,
    kind: str,
    was: SiteReport | None,
    now: SiteReport | None,
    medians: list[list[float]],
    margin: float,
    alpha: float,
) -> SiteChange:
    figures = []
    for site in (was, now):
        times = _times(site, kind) if _has(site, kind) else None
        figures.append((times.median, times.p95) if times else (math.nan, math.nan))
    (old_p50, old_p95), (new_p50, new_p95) = figures
    return SiteChange(
        path,
        depth,
        kind,
        0 if was is None else was.count,
        0 if now is None else now.count,
        old_p50,
        new_p50,
        old_p95,
        new_p95,
        _judge(new_p50 / old_p50, medians, margin, alpha),
    )


def _judge(ratio: float, medians: list[list[float]], margin: float, alpha: float) -> Verdict:
    if math.isnan(ratio):
        return Verdict("can't tell", ratio, UNKNOWN, "Only one side has times at a site.")
    if min(map(len, medians)) < FEWEST_PROCESSES:
        return Verdict(
            "can't tell",
            ratio,
            UNKNOWN,
            f"The spread is unknown with fewer than {FEWEST_PROCESSES} reports per side. Pass "
            "reports of several intervals or processes.",
        )
    old, new = ([math.log(median) for median in side] for side in medians)
    change, low, high = difference_interval(old, new, alpha)
    interval = (math.exp(low - _QUANTILE_STEP), math.exp(high + _QUANTILE_STEP))
    verdict = decide(interval, margin)
    counts = f"{len(old)} old and {len(new)} new reports"
    reason = f"Based on the spread of {counts}."
    if verdict == "can't tell":
        reason = f"{counts} vary too much to decide. More reports per side would help."
    return Verdict(verdict, math.exp(change), interval, reason)


def _environment_of(report: Report) -> Mapping[str, Any]:
    """Return the fields of the report's environment; ``several`` where merged parts differ."""
    return {**vars(report.environment), **dict.fromkeys(report.differs, "several")}


def _from_one_process(sides: Mapping[str, list[Report]]) -> Iterator[str]:
    """Return the sides whose spread is the spread of one process."""
    for name, reports in sides.items():
        processes = {(one.environment.host_name, one.environment.process_id) for one in reports}
        known = all(process is not None for _, process in processes)
        if len(reports) >= FEWEST_PROCESSES and len(processes) == 1 and known:
            yield name

# SPDX-License-Identifier: BSD-3-Clause
"""New reports against old ones, site by site: `fasttime.compare_reports` and its result."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ..documents import REPORT_COMPARISON, Fields, plain
from ..environment.differences import environment_differences
from ..reports.report import Report
from ..stats.processes import FEWEST_PROCESSES
from ..stats.student import difference_interval
from ..tabular import TabularResult
from ..text import format_seconds, printable
from ..timing_warning import TimingWarning
from .verdict import Verdict, check_margin, decide, interval_bars

if TYPE_CHECKING:
    from rich.text import Text

    from ..reports.durations import Durations
    from ..reports.site import SiteReport

# Live services differ by a few percent from hour to hour, and quantiles are within 1 %.
MARGIN = 0.05
_ALPHA = 0.05
_QUANTILE_STEP = math.log(1.01)  # what the histograms of both sides may be off together
_UNKNOWN = (0.0, math.inf)


class SiteChange(NamedTuple):
    """How one site changed. Times are in seconds.

    Attributes:
        path: the site's path.
        kind: ``device`` or ``host``: which times are compared. Device times if both sides have
            them.
        old_calls, new_calls: how many scopes ended; 0 if the side does not have the site.
        old_p50, new_p50: the medians; NaN without times.
        old_p95, new_p95: the 0.95 quantiles; NaN without times.
        verdict: of the medians; see `fasttime.Verdict`. `ratio` is new divided by old.
    """

    path: str
    kind: str
    old_calls: int
    new_calls: int
    old_p50: float
    new_p50: float
    old_p95: float
    new_p95: float
    verdict: Verdict

    @property
    def change(self) -> float:
        """The change of the median: 0.1 for 10 % more time. NaN if a side has no times."""
        return self.verdict.ratio - 1


@dataclass(frozen=True, eq=False, repr=False)
class ReportComparison(TabularResult):
    """New reports against old ones, site by site.

    ``comparison["step/forward"]`` is the `SiteChange` of a path, and iterating yields them all.

    Attributes:
        changes: one per site of either side, in the order of the new reports.
        old_reports, new_reports: how many reports each side has.
        margin: how far a ratio may be from 1 for ``same``.
        about: the warnings about both sides.
    """

    _format = REPORT_COMPARISON
    _headings = (
        *("scope", "calls", "p50\nold", "p50\nnew", "change\nof p50", "95 %\ninterval"),
        *("change\nof p95", "verdict"),
    )

    changes: tuple[SiteChange, ...]
    old_reports: int
    new_reports: int
    margin: float
    about: tuple[TimingWarning, ...]

    def __iter__(self) -> Iterator[SiteChange]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __getitem__(self, path: str) -> SiteChange:
        for change in self.changes:
            if change.path == path:
                return change
        known = ", ".join(repr(change.path) for change in self.changes[:20])
        raise KeyError(f"neither side has a site {path!r}; known paths: {known}")

    @cached_property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """Reasons to distrust the verdicts. Empty if there are none."""
        return self.about

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that ``json.dumps`` accepts. `save` writes the same."""
        content: dict[str, Any] = plain(
            {
                "old_reports": self.old_reports,
                "new_reports": self.new_reports,
                "margin": self.margin,
                "changes": [
                    {**one._asdict(), "verdict": one.verdict.to_dict()} for one in self.changes
                ],
                "warnings": [warning.to_dict() for warning in self.about],
            }
        )
        return content

    def _records(self) -> list[dict[str, Any]]:
        """Return one row per site."""
        rows = []
        for one in self.changes:
            low, high = one.verdict.interval
            rows.append(
                {
                    **{k: v for k, v in one._asdict().items() if k != "verdict"},
                    "change": one.change,
                    "low": low - 1,
                    "high": high - 1,
                    "verdict": one.verdict.verdict,
                }
            )
        return rows

    def _bars(self) -> list[str]:
        return interval_bars([one.verdict for one in self.changes])

    def _title(self) -> str:
        return f"{_count(self.new_reports)} against {_count(self.old_reports)}, new against old"

    def _rows(self) -> Iterator[tuple[str | Text, ...]]:
        for one in self.changes:
            change, interval, verdict = one.verdict.cells()
            p95 = Verdict("same", one.new_p95 / one.old_p95, _UNKNOWN, "").cells()[0]
            yield (
                printable(one.path),
                f"{one.new_calls:,}",
                *map(_time, (one.old_p50, one.new_p50)),
                *(change, interval, p95, verdict),
            )

    def _notes(self) -> list[str]:
        reasons = dict.fromkeys(
            one.verdict.reason for one in self.changes if one.verdict.verdict == "can't tell"
        )
        return [f"can't tell: {reason}" for reason in list(reasons)[:3]]

    def _shown_warnings(self) -> tuple[TimingWarning, ...]:
        return self.about


def from_content(fields: Fields) -> ReportComparison:
    """Return the comparison in a document. Raises ValueError if the content is not one."""
    return ReportComparison(
        changes=tuple(_change_from(one) for one in fields.objects("changes")),
        old_reports=fields.count("old_reports", 1),
        new_reports=fields.count("new_reports", 1),
        margin=fields.number("margin"),
        about=tuple(
            TimingWarning(one.text("kind"), one.text("message"))
            for one in fields.objects("warnings")
        ),
    )


def _change_from(fields: Fields) -> SiteChange:
    verdict = fields.object("verdict")
    low, high = verdict.numbers("interval")
    return SiteChange(
        fields.text("path"),
        fields.choice("kind", ("device", "host")),
        fields.count("old_calls"),
        fields.count("new_calls"),
        fields.number("old_p50"),
        fields.number("new_p50"),
        fields.number("old_p95"),
        fields.number("new_p95"),
        Verdict(
            verdict.choice("verdict", ("faster", "slower", "same", "can't tell")),
            verdict.number("ratio"),
            (low, high),
            verdict.text("reason"),
        ),
    )


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
    for names in [*both[1], *(names for names in both[0] if names not in both[1])]:
        was, now = both[0].get(names), both[1].get(names)
        site = now or was
        assert site is not None  # one of the two has it
        kind = "host" if any(one and not one.device for one in (was, now)) else "device"
        medians = [
            [_times(part.get(names), kind).median for part in parts if _has(part.get(names), kind)]
            for parts in (parts_old, parts_new)
        ]
        changes.append(_change(site.path, kind, was, now, medians, margin, alpha))
    return ReportComparison(
        tuple(changes), len(before), len(after), margin, tuple(_warnings(before, after))
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
        return Verdict("can't tell", ratio, _UNKNOWN, "Only one side has times at a site.")
    if min(map(len, medians)) < FEWEST_PROCESSES:
        return Verdict(
            "can't tell",
            ratio,
            _UNKNOWN,
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


def _warnings(old: list[Report], new: list[Report]) -> Iterator[TimingWarning]:
    differences = environment_differences(old[0].environment, new[0].environment)
    if differences:
        yield TimingWarning(
            "environments_differ",
            "The environments differ, which alone may change times: "
            f"{'; '.join(map(str, differences))}.",
        )
    for side, reports in (("old", old), ("new", new)):
        processes = {(one.environment.host_name, one.environment.process_id) for one in reports}
        if len(reports) >= FEWEST_PROCESSES and len(processes) == 1 and None not in processes:
            yield TimingWarning(
                "one_process",
                f"All {side} reports come from one process, so their spread leaves out how much "
                "processes differ. A change of a few percent may be chance.",
            )


def _time(seconds: float) -> str:
    return "-" if math.isnan(seconds) else format_seconds(seconds)


def _count(reports: int) -> str:
    return "1 report" if reports == 1 else f"{reports} reports"

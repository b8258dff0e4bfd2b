# SPDX-License-Identifier: BSD-3-Clause
"""How each site changed between old and new reports: the table, its warnings and its JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ..documents import REPORT_COMPARISON, Fields, plain
from ..environment.differences import OF_THE_MACHINE, EnvironmentDifference
from ..html.elements import TreeRow
from ..tabular import TabularResult
from ..text import format_count, format_seconds, printable
from ..timing_warning import TimingWarning
from .verdict import (
    NOT_COMPARABLE,
    Verdict,
    check_fail_above,
    interval_bars,
    is_regression,
)

if TYPE_CHECKING:
    from rich.text import Text

UNKNOWN = (0.0, math.inf)  # the interval of a ratio without evidence


class SiteChange(NamedTuple):
    """How one site changed. Times are in seconds.

    Attributes:
        path: the site's path.
        depth: how many sites are above this one.
        kind: ``device`` or ``host``: which times are compared. Device times if both sides have
            them.
        old_calls, new_calls: how many scopes ended; 0 if the side does not have the site.
        old_p50, new_p50: the medians; NaN without times.
        old_p95, new_p95: the 0.95 quantiles; NaN without times.
        verdict: of the medians; see `fasttime.Verdict`. `ratio` is new divided by old.
    """

    path: str
    depth: int
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
        changes: one per site of either side, parents before their children, in the order of the new
            reports.
        old_reports, new_reports: how many reports each side has.
        margin: how far a ratio may be from 1 for ``same``.
        environment_differences: the fields that have other values in the old environments than in
            the new ones. Date, host name and process number are left out.
        one_process: the sides whose reports all come from one process, ``old`` or ``new``.
    """

    _format = REPORT_COMPARISON
    _headings = (
        *("scope", "p50\nold", "p50\nnew", "change\nof p50", "95 %\ninterval"),
        *("change\nof p95", "calls", "verdict"),
    )

    changes: tuple[SiteChange, ...]
    old_reports: int
    new_reports: int
    margin: float
    environment_differences: tuple[EnvironmentDifference, ...] = ()
    one_process: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[SiteChange]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __getitem__(self, path: str) -> SiteChange:
        for change in self.changes:
            if change.path == path:
                return change
        known = ", ".join(repr(change.path) for change in self.changes[:20])
        raise KeyError(f"there is no site {path!r} on either side; known paths: {known}")

    @cached_property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """Reasons to distrust the verdicts. Empty if there are none."""
        return tuple(self._find_warnings())

    @property
    def other_machine(self) -> tuple[EnvironmentDifference, ...]:
        """The differences that tell of another machine, another device or another torch."""
        return tuple(one for one in self.environment_differences if one.field in OF_THE_MACHINE)

    def slower(self, fail_above: float = 0.0) -> tuple[SiteChange, ...]:
        """Return the sites that are proven to be slower by more than `fail_above`.

        Args:
            fail_above: a fraction: 0.05 for 5 %, 0 for every site with the verdict ``slower``.

        Raises TypeError and ValueError for a bad threshold, like `exit_code`.
        """
        check_fail_above(fail_above)
        return tuple(
            one
            for one in self.changes
            if is_regression(one.verdict.verdict, one.verdict.interval, fail_above)
        )

    def exit_code(self, fail_above: float, *, allow_other_machine: bool = False) -> int:
        """Return 1 if a site is proven to be slower by more than `fail_above`, else 0.

        Return 4 if the sides are from other machines or other versions of torch. Their times may
        differ for this reason alone.

        Proven means that the whole interval lies above ``1 + fail_above``, and above the margin.
        Without three reports per side, no change is proven.

        Args:
            fail_above: a fraction: 0.05 for 5 %, 0 for any proven slowdown.
            allow_other_machine: judge reports of other machines or other versions of torch, too.

        Raises TypeError unless `fail_above` is a number, and ValueError unless it is finite and at
        least 0. An int above 0 raises ValueError, too: for 500 %, write 5.0 and not 5.
        """
        regressions = self.slower(fail_above)
        if self.other_machine and not allow_other_machine:
            return NOT_COMPARABLE
        return int(bool(regressions))

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
                "environment_differences": [one._asdict() for one in self.environment_differences],
                "one_process": list(self.one_process),
                "warnings": [warning.to_dict() for warning in self.warnings],
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
        new, old = (format_count(n, "report") for n in (self.new_reports, self.old_reports))
        return f"{new} against {old}, new against old"

    def _rows(self) -> Iterator[tuple[str | Text, ...]]:
        for one in self.changes:
            change, interval, verdict = one.verdict.cells()
            p95 = Verdict("same", one.new_p95 / one.old_p95, UNKNOWN, "").cells()[0]
            yield (
                printable(one.path),
                *map(_time, (one.old_p50, one.new_p50)),
                *(change, interval, p95, f"{one.new_calls:,}", verdict),
            )

    def _tree(self) -> list[TreeRow]:
        rows = []
        around: list[str] = []  # the paths of the sites above
        for one in self.changes:
            del around[one.depth :]
            name = one.path[len(around[-1]) + 1 :] if around else one.path
            around.append(one.path)
            p95 = one.new_p95 / one.old_p95
            values = (one.old_p50, one.new_p50, one.change, None, p95, one.new_calls)
            rows.append(TreeRow(one.path, name, one.depth, values))
        return rows

    def _notes(self) -> list[str]:
        reasons = dict.fromkeys(
            one.verdict.reason for one in self.changes if one.verdict.verdict == "can't tell"
        )
        return [f"can't tell: {reason}" for reason in list(reasons)[:3]]

    def _find_warnings(self) -> Iterator[TimingWarning]:
        machine = self.other_machine
        if machine:
            yield TimingWarning(
                "other_machine",
                f"The sides are from two machines or two versions of torch ({_listed(machine)}), "
                "so the verdicts are not about your code alone. Compare reports of one machine.",
            )
        if others := [one for one in self.environment_differences if one not in machine]:
            yield TimingWarning(
                "environments_differ",
                f"The environments differ, which alone may change times: {_listed(others)}.",
            )
        for side in self.one_process:
            yield TimingWarning(
                "one_process",
                f"All {side} reports come from one process, so their spread does not show how "
                "much processes differ. A change of a few percent may be chance.",
            )


def from_content(fields: Fields) -> ReportComparison:
    """Return the comparison in a document. Raises ValueError if the content is not one."""
    changes: list[SiteChange] = []
    for one in fields.objects("changes"):
        change = _change_from(one)
        if change.depth > (changes[-1].depth + 1 if changes else 0):
            raise one.wrong("depth", "at most one more than the depth of the site before")
        changes.append(change)
    return ReportComparison(
        changes=tuple(changes),
        old_reports=fields.count("old_reports", 1),
        new_reports=fields.count("new_reports", 1),
        margin=fields.number("margin"),
        environment_differences=tuple(
            EnvironmentDifference(one.text("field"), one.raw("old"), one.raw("new"))
            for one in fields.objects("environment_differences")
        ),
        one_process=tuple(side for side in ("old", "new") if side in fields.items("one_process")),
    )


def _change_from(fields: Fields) -> SiteChange:
    verdict = fields.object("verdict")
    low, high = verdict.numbers("interval")
    return SiteChange(
        fields.text("path"),
        fields.count("depth"),
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


def _time(seconds: float) -> str:
    return "-" if math.isnan(seconds) else format_seconds(seconds)


def _listed(differences: Iterable[EnvironmentDifference]) -> str:
    return "; ".join(map(str, differences))

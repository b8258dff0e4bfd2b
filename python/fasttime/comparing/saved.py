# SPDX-License-Identifier: BSD-3-Clause
"""A new measurement against an old one: `fasttime.compare_saved` and its result."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..documents import (
    MEASUREMENT,
    SAVED_COMPARISON,
    Fields,
    damaged,
    plain,
    read_document,
)
from ..environment.differences import EnvironmentDifference, environment_differences
from ..measuring.clocks import clocks_differ
from ..measuring.document import saved_content
from ..measuring.document import to_content as measurement_to_content
from ..measuring.measurement import Measurement
from ..measuring.measurement import from_content as measurement_from_content
from ..measuring.merging import mixed_calibration, with_overhead
from ..reports.report import Report
from ..stats.processes import FEWEST_PROCESSES
from ..tabular import TabularResult
from ..text import format_count, format_seconds
from ..timing_warning import TimingWarning
from .provenance import blocks_warning, other_machine, took_turns
from .results import collect_warnings
from .saved_verdict import judge_saved
from .verdict import (
    MARGIN,
    NOT_COMPARABLE,
    Verdict,
    VerdictWord,
    check_fail_above,
    check_margin,
    headings,
    interval_bars,
    is_regression,
)

if TYPE_CHECKING:
    from rich.text import Text

NO_SINGLE_RUNS = "a report has no single runs. Compare reports with fasttime.compare_reports()"

# Fields that must be equal for a ratio to mean anything.
_SAME = ("method", "cache", "held")

# Kinds of warnings that the table leaves out: the title and the reason say the same.
_SAID_ABOVE = ("cpu", "few_processes")


@dataclass(frozen=True, eq=False, repr=False)
class SavedComparison(TabularResult):
    """A new measurement against an old one. All times are in seconds.

    Attributes:
        old, new: the measurements.
        margin: how far the ratio may be from 1 for ``same``.
        allowance: how much two processes may differ by chance. Used if there are too few processes
            to measure that.
    """

    _format = SAVED_COMPARISON
    _headings = headings("", "old")

    old: Measurement
    new: Measurement
    margin: float
    allowance: float

    @property
    def verdict(self) -> VerdictWord:
        """Whether the new one is ``faster``, ``slower``, the ``same``, or ``can't tell``."""
        return self._judged.verdict

    @property
    def ratio(self) -> float:
        """The new time divided by the old time: 0.9 means 10 % less time."""
        return self._judged.ratio

    @property
    def interval(self) -> tuple[float, float]:
        """Two ratios. The true ratio lies between them with at least 95 % probability."""
        return self._judged.interval

    @property
    def reason(self) -> str:
        """The evidence for the verdict. For ``can't tell``, it says what would decide."""
        return self._judged.reason

    @property
    def goes_by_processes(self) -> bool:
        """Whether the spread of the processes decides: each side has three or more."""
        return min(len(self.old.processes), len(self.new.processes)) >= FEWEST_PROCESSES

    @cached_property
    def goes_by_pairs(self) -> bool:
        """Whether the ratios of pairs decide: the processes of both sides took turns.

        ``fasttime bench --against`` makes such measurements. It takes six pairs or more.
        """
        return took_turns(self.old, self.new)

    @cached_property
    def other_machine(self) -> tuple[EnvironmentDifference, ...]:
        """The differences that tell of another machine, another device or another torch.

        Empty if there are none. Unknown differences are missing.
        """
        return other_machine(self.old, self.new)

    @cached_property
    def environment_differences(self) -> tuple[EnvironmentDifference, ...]:
        """The fields in which the environments differ, and the device if its name differs.

        Date, host name and process number are left out.
        """
        differences = environment_differences(self.old.environment, self.new.environment)
        if self.old.device != self.new.device:
            device = EnvironmentDifference("device", self.old.device, self.new.device)
            return (device, *differences)
        return differences

    @cached_property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """The warnings of both measurements, each kind once, and of differences between them.

        A message names the side unless it holds for both.
        """
        return (*self._own_warnings(), *collect_warnings(self._sides()))

    def exit_code(self, fail_above: float, *, allow_other_machine: bool = False) -> int:
        """Return 1 if the new measurement is proven to be slower by more than `fail_above`, else 0.

        Return 4 if the measurements are from two machines or two versions of torch. Their times may
        differ for this reason alone.

        Proven means that the whole interval lies above ``1 + fail_above``. So a regression right
        at the threshold passes more often than not, and the check rarely fails by chance. To catch
        such regressions, lower the threshold, or narrow the interval with more processes.

        Args:
            fail_above: a fraction: 0.05 for 5 %, 0 for any proven regression.
            allow_other_machine: judge measurements of two machines or two versions of torch, too.

        Raises TypeError unless `fail_above` is a number, and ValueError unless it is finite and at
        least 0. An int above 0 raises ValueError, too: for 500 %, write 5.0 and not 5.
        """
        check_fail_above(fail_above)
        if self.other_machine and not allow_other_machine:
            return NOT_COMPARABLE
        return int(is_regression(self.verdict, self.interval, fail_above))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that ``json.dumps`` accepts. `save` writes the same.

        NaN and infinities are the strings ``nan``, ``inf`` and ``-inf``. Raises ValueError if the
        numbers are inconsistent.
        """
        _check(self)
        content: dict[str, Any] = plain(
            {
                "margin": self.margin,
                "allowance": self.allowance,
                **{side: measurement_to_content(part) for side, part in self._sides().items()},
                **self._judged.to_dict(),
                "environment_differences": [
                    {"field": field, "old": old, "new": new}
                    for field, old, new in self.environment_differences
                ],
                "warnings": [warning.to_dict() for warning in self.warnings],
            }
        )
        return content

    def _to_save(self) -> dict[str, Any]:
        return saved_content(self.to_dict())

    def _records(self) -> list[dict[str, Any]]:
        """Return a row for each side. The old row has a ratio of 1, no interval and no verdict."""
        low, high = self.interval
        verdicts: dict[str, dict[str, Any]] = {
            "old": {"ratio": 1.0, "low": None, "high": None, "verdict": None},
            "new": {"ratio": self.ratio, "low": low, "high": high, "verdict": self.verdict},
        }
        return [
            {
                "side": side,
                "label": part.label,
                "median": part.median,
                "mean": part.mean,
                "runs": len(part),
                "processes": len(part.processes),
                **verdicts[side],
            }
            for side, part in self._compared.items()
        ]

    @cached_property
    def _judged(self) -> Verdict:
        old, new = self._compared.values()
        return judge_saved(old, new, self.margin, self.allowance, in_pairs=self.goes_by_pairs)

    @cached_property
    def _compared(self) -> dict[str, Measurement]:
        """Both sides, with the event overhead in the times of both or of none."""
        if mixed_calibration((self.old, self.new)) is None:
            return self._sides()
        return {side: with_overhead(part) for side, part in self._sides().items()}

    def _sides(self) -> dict[str, Measurement]:
        return {"old": self.old, "new": self.new}

    def _own_warnings(self) -> list[TimingWarning]:
        sides = (self.old, self.new)
        found = (blocks_warning(*sides), mixed_calibration(sides))
        warnings = [warning for warning in found if warning is not None]
        if self.old.environment is None or self.new.environment is None:
            unknown = "The environment of a side is unknown, so differences may go unnoticed."
            warnings.append(TimingWarning("environment_unknown", unknown))
        others = [one for one in self.environment_differences if one not in self.other_machine]
        if others:
            differences = "; ".join(map(str, others))
            message = f"The environments differ, which alone may change times: {differences}."
            warnings.append(TimingWarning("environments_differ", message))
        if unlike := clocks_differ({"old": self.old.clock, "new": self.new.clock}):
            warnings.append(unlike)
        if self.other_machine:
            differences = "; ".join(map(str, self.other_machine))
            message = (
                f"The measurements are from two machines or two versions of torch ({differences}), "
                "so the verdict is not about your code alone. Measure both on one machine."
            )
            warnings.append(TimingWarning("other_machine", message))
        return warnings

    def _shown_warnings(self) -> list[TimingWarning]:
        shown = collect_warnings(self._sides(), skip=lambda warning: warning.kind in _SAID_ABOVE)
        return [*self._own_warnings(), *shown]

    def _bars(self) -> list[str]:
        return interval_bars([None, self._judged])

    def _title(self) -> str:
        old, new = self.old.label, self.new.label
        labels = new if old == new else f"{new} against {old}"
        return f"{labels}, method {self.new.method!r} on {self.new.device}"

    def _rows(self) -> Iterator[tuple[str | Text, ...]]:
        old, new = self._compared.values()
        yield ("old", format_seconds(old.median), "-", "-", _extent(old))
        *figures, word = self._judged.cells()
        verdict = word + f" ({_extent(new)})"
        yield ("new", format_seconds(new.median), *figures, verdict)

    def _notes(self) -> list[str]:
        return [f"{self.verdict}: {self.reason}"]


def from_content(fields: Fields) -> SavedComparison:
    """Return the comparison in a document. Raises ValueError if the content is not one."""
    comparison = SavedComparison(
        old=measurement_from_content(fields.object("old")),
        new=measurement_from_content(fields.object("new")),
        margin=fields.number("margin"),
        allowance=fields.number("allowance"),
    )
    _check(comparison)
    return comparison


def _check(comparison: SavedComparison) -> None:
    _check_tolerances(comparison.margin, comparison.allowance)
    _check_same(comparison.old, comparison.new)


def compare_saved(
    old: Measurement | str | os.PathLike[str],
    new: Measurement | str | os.PathLike[str],
    *,
    margin: float = MARGIN,
    allowance: float = 0.10,
) -> SavedComparison:
    """Say whether a new measurement is faster or slower than an old one, or the same.

    Processes differ more than runs: memory is laid out differently, another algorithm is chosen, or
    the clock differs. With three processes per side or more (``fasttime bench --processes``,
    `Measurement.merge`), their spread decides, by Welch's test of the logarithms of their medians.
    Student's test decides instead if it is less certain, which can happen with unequal numbers of
    processes. With fewer processes, only a change that is proven to exceed `allowance` counts.

    If the processes of both sides took turns (``fasttime bench --against``), the ratios of the
    pairs decide, by Wilcoxon's signed rank test. Otherwise, a change of the machine between the
    sides looks like a difference, and a warning says so.

    Args:
        old, new: measurements, or the files in which they were saved.
        margin: two measurements that differ by less are the ``same``, between 0 and 1.
        allowance: how much two processes may differ by chance, from 0 up to 1.

    If `is_calibrated` differs, the event overhead stays in the times of both, with a warning.

    Raises ValueError if method or cache differ, if `held` differs and `is_calibrated` is False for
    either, or if a number is out of range. Raises TypeError if an argument is not a measurement,
    and the errors of `fasttime.load`.

    >>> print(compare_saved("old.json", "new.json"))  # doctest: +SKIP
    """
    _check_tolerances(margin, allowance)
    before, after = _measurement("old", old), _measurement("new", new)
    _check_same(before, after)
    return SavedComparison(before, after, margin, allowance)


def _check_tolerances(margin: float, allowance: float) -> None:
    check_margin(margin)
    if not 0 <= allowance < 1:
        raise ValueError(f"allowance must be at least 0 and below 1, 0.1 for 10 %, got {allowance}")


def _check_same(old: Measurement, new: Measurement) -> None:
    for name in _SAME:
        if name == "held" and old.is_calibrated and new.is_calibrated:
            continue  # work was waiting at each run, so the times are of one kind
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            raise ValueError(
                f"the old measurement has {name}={before!r} and the new one has {name}={after!r}, "
                "so their times cannot be compared; measure both in the same way"
            )


def _measurement(which: str, given: object) -> Measurement:
    if isinstance(given, Measurement):
        return given
    if isinstance(given, (str, os.PathLike)):
        document = read_document(given)
        if document["format"] == MEASUREMENT:
            try:
                return measurement_from_content(Fields(document))
            except ValueError as error:
                raise damaged(given, error) from None
        which = f"{which} ({os.fspath(given)})"
        is_a = f"a {document['format'].removeprefix('fasttime ')}"
    else:
        is_a = "a report" if isinstance(given, Report) else f"of type {type(given).__name__}"
    if is_a == "a report":
        is_a += f": {NO_SINGLE_RUNS}"
    elif "omparison" in is_a:
        is_a += ". Pass one of its measurements"
    raise TypeError(f"compare_saved() takes two measurements, but {which} is {is_a}")


def _extent(measurement: Measurement) -> str:
    count = len(measurement.processes)
    processes = "1 process" if count == 1 else f"{count} processes"
    return f"{format_count(len(measurement), 'run')} in {processes}"

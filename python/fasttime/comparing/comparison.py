# SPDX-License-Identifier: BSD-3-Clause
"""Several callables timed against each other: the verdicts, the table, HTML and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..console import line
from ..documents import COMPARISON, Fields, plain
from ..measuring.document import saved_content
from ..measuring.document import to_content as measurement_to_content
from ..measuring.measurement import Measurement
from ..measuring.measurement import from_content as measurement_from_content
from ..rates.rate import KINDS
from ..stats import Times
from ..stats.clock_step import clock_step
from ..stats.mean_ratio import mean_ratio_interval
from ..stats.outliers import middle_mean
from ..stats.signed_rank import fewest_pairs, location_interval
from ..tabular import TabularResult
from ..text import format_count, format_ratio, format_seconds
from ..timing_warning import TimingWarning
from .results import collect_warnings
from .rounds import MOST_ROUNDS
from .verdict import TOO_COARSE, Verdict, decide, headings, interval_bars, times_as_many

if TYPE_CHECKING:
    from rich.text import Text

# What a ratio is a ratio of. The midmean of a batch is the mean of its middle half (Tukey 1977).
Statistic = Literal["midmean", "mean"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)

# The two ratios differ if chance alone does that in at most one of 1000 comparisons.
_PARTING_P = 1e-3

_WHAT = {
    "midmean": "Ratios are of typical runs: of the mean of the middle half of each batch.",
    "mean": "Ratios are of mean times.",
}


class _Verdicts(dict[str, Verdict]):
    """Verdicts by name. A KeyError says which names there are."""

    def __init__(self, baseline: str, verdicts: Mapping[str, Verdict]) -> None:
        super().__init__(verdicts)
        self._baseline = baseline

    def __missing__(self, name: str) -> Verdict:
        known = f"there are verdicts on {', '.join(map(_quoted, self))}"
        if name == self._baseline:
            raise KeyError(f"{_quoted(name)} is the baseline, which has no verdict; {known}")
        raise KeyError(f"no candidate {name!r}; {known}")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(TabularResult):
    """Which of several callables is faster. All times are in seconds.

    The first candidate is the baseline. Each other candidate is compared with the baseline.

    Attributes:
        measurements: one per candidate, by name. `times` has the batches of all rounds in order.
        batch_runs: runs per batch. A round is one batch of each candidate.
        margin: how far a ratio may be from 1 for ``same``.
        level: the confidence level of each interval. It is above 95 %, so that all intervals of all
            interim analyses together hold with at least 95 % probability.
        duration: how long the rounds took.
        statistic: which times the ratios compare: ``midmean``, the mean of the middle half of each
            batch, or ``mean``.
    """

    _format = COMPARISON
    _headings = headings("candidate", "baseline")

    measurements: Mapping[str, Measurement]
    batch_runs: int
    margin: float
    level: float
    duration: float
    statistic: Statistic = "midmean"

    @property
    def baseline(self) -> str:
        """The name of the first candidate."""
        return next(iter(self.measurements))

    @property
    def rounds(self) -> int:
        """How many rounds there were."""
        return len(self.measurements[self.baseline]) // self.batch_runs

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """The `Verdict` on each candidate except the baseline, by name."""
        return _Verdicts(
            self.baseline,
            {name: self._judge(name) for name in self.measurements if name != self.baseline},
        )

    @cached_property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """The warnings of all measurements, each kind once, and of ratios that depend on rare runs.

        A message names the candidates unless it holds for all of them.
        """
        return (*self._statistics_part(), *collect_warnings(self.measurements, _quoted))

    def ratio(self, name: str) -> float:
        """Return a candidate's time divided by the baseline's: 0.9 means 10 % less time.

        Raises KeyError if there is no such candidate.
        """
        if name not in self.measurements:
            raise KeyError(f"no candidate {name!r}; there are {', '.join(self.measurements)}")
        return 1.0 if name == self.baseline else self.verdicts[name].ratio

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that ``json.dumps`` accepts. `save` writes the same.

        NaN and infinities are the strings ``nan``, ``inf`` and ``-inf``. Raises ValueError if the
        numbers are inconsistent.
        """
        _check(self)
        content: dict[str, Any] = plain(
            {
                "batch_runs": self.batch_runs,
                "margin": self.margin,
                "level": self.level,
                "statistic": self.statistic,
                "duration": self.duration,
                "candidates": [
                    {"name": name, "measurement": measurement_to_content(measurement)}
                    for name, measurement in self.measurements.items()
                ],
                "verdicts": {name: verdict.to_dict() for name, verdict in self.verdicts.items()},
                "warnings": [warning.to_dict() for warning in self.warnings],
            }
        )
        return content

    def _to_save(self) -> dict[str, Any]:
        return saved_content(self.to_dict())

    def _records(self) -> list[dict[str, Any]]:
        """Return one row per candidate. The baseline has a ratio of 1 and no interval."""
        rows = []
        all_kinds = {
            kind for measurement in self.measurements.values() for kind in measurement.work
        }
        kinds = [kind for kind in KINDS if kind in all_kinds]
        for name, measurement in self.measurements.items():
            rates = measurement.rates
            verdict = self.verdicts.get(name)
            low, high = (None, None) if verdict is None else verdict.interval
            rows.append(
                {
                    "candidate": name,
                    "median": measurement.median,
                    "mean": measurement.mean,
                    "runs": len(measurement),
                    "ratio": self.ratio(name),
                    "low": low,
                    "high": high,
                    "verdict": "baseline" if verdict is None else verdict.verdict,
                    **{
                        f"{kind}_per_second": rates[kind].value if kind in rates else None
                        for kind in kinds
                    },
                }
            )
        return rows

    def _judge(self, name: str) -> Verdict:
        """Judge a candidate by the ratio of each round.

        Candidates run in random order. With no real difference, the log ratios of the rounds are
        therefore symmetric around zero, even if neighbouring batches resemble each other. A change
        from round to round cancels out. The interval of the midmean relies on this symmetry and
        nothing else.
        """
        ours, others = self._batches(name), self._batches(self.baseline)
        if not (np.isfinite(ours).all() and np.isfinite(others).all()) or (
            min(middle_mean(ours).min(), middle_mean(others).min()) <= 0
        ):
            reason = "A batch read no time at all, so there is no ratio. Do more work in each call."
            return Verdict("can't tell", math.nan, (0.0, math.inf), reason)
        location, low, high = self._located(ours, others, self.statistic, 1 - self.level)
        others = middle_mean(others)
        # The mean of the middle half may be a quarter of the clock's step off, for each of the two.
        steps = [clock_step(self.measurements[which].times) for which in (name, self.baseline)]
        step = max(steps) / float(others.min()) / 2
        low, high = low - step, high + step
        interval = (math.exp(low), math.exp(high))
        verdict = decide(interval, self.margin)
        reason = f"Based on {format_count(self.rounds, 'round')}."
        if verdict == "can't tell":
            reason = self._what_would_decide(location, (high - low) / 2 - step, step)
        return Verdict(verdict, math.exp(location), interval, reason)

    def _batches(self, name: str) -> Times:
        """Return the times of a candidate, one row per batch."""
        return self.measurements[name].times.reshape(-1, self.batch_runs)

    def _located(
        self, ours: Times, others: Times, statistic: Statistic, alpha: float
    ) -> tuple[float, float, float]:
        """Return the logarithm of the ratio and the ends of its 1 - `alpha` interval."""
        if statistic == "midmean":
            return location_interval(np.log(middle_mean(ours) / middle_mean(others)), alpha)
        means = ours.mean(axis=1), others.mean(axis=1)
        if len(ours) < fewest_pairs(alpha):
            return math.log(means[0].mean() / means[1].mean()), -math.inf, math.inf
        return mean_ratio_interval(*means, alpha)

    def _statistics_part(self) -> tuple[TimingWarning, ...]:
        """Return a warning for each candidate whose two ratios differ by more than the margin.

        Noise makes means differ, too. So the interval of the ratio of means must leave out the
        other ratio.
        """
        warnings = []
        for name, verdict in self.verdicts.items():
            if math.isnan(verdict.ratio):
                continue
            ours, others = self._batches(name), self._batches(self.baseline)
            typical, *_ = self._located(ours, others, "midmean", _PARTING_P)
            mean, low, high = self._located(ours, others, "mean", _PARTING_P)
            if abs(mean - typical) <= math.log1p(self.margin) or low <= typical <= high:
                continue
            figures = f"{_ratio(mean)} by mean times and {_ratio(typical)} by typical runs"
            advice = (
                'If you pay for the total time, call compare(..., statistic="mean").'
                if self.statistic == "midmean"
                else "The ratio shown counts the long runs."
            )
            warnings.append(
                TimingWarning(
                    "means_differ",
                    f"{_quoted(name)} against the baseline is {figures}, because long runs are "
                    f"more frequent on one side. {advice}",
                )
            )
        return tuple(warnings)

    def _what_would_decide(self, location: float, half_width: float, step: float) -> str:
        do = "does" if self.rounds == 1 else "do"
        so_far = f"{format_count(self.rounds, 'round')} {do} not decide it"
        needed = fewest_pairs(1 - self.level)
        if math.isfinite(half_width):
            more = times_as_many(location, half_width, self.margin, step)
            if math.isinf(more):
                return f"{so_far}. {TOO_COARSE.format(100 * step)}"
            # The interval found only predicts the next one, so ask for at least one round more.
            needed = max(math.ceil(self.rounds * more), self.rounds + 1)
        if needed > MOST_ROUNDS:
            most = f"compare() makes at most {MOST_ROUNDS}, which would not decide it"
            return f"{so_far}, and {most}. Do more work in each call."
        time = format_seconds(needed * self.duration / self.rounds)
        ended_by = self.measurements[self.baseline].ended_by
        option = f"rounds={needed}" if ended_by == "count" else "a larger budget"
        do = "do not interrupt it" if ended_by == "interrupt" else f"call compare() with {option}"
        return f"{so_far}. About {needed} rounds would, in {time}: {do}."

    def _bars(self) -> list[str]:
        return interval_bars([self.verdicts.get(name) for name in self.measurements])

    def _title(self) -> str:
        first = self.measurements[self.baseline]
        return (
            f"method {first.method!r} on {first.device}: {format_count(self.rounds, 'round')} in "
            f"random order, {format_count(self.batch_runs, 'run')} per batch, "
            f"{format_seconds(self.duration)}"
        )

    def _rows(self) -> Iterator[tuple[str | Text, ...]]:
        for name, measurement in self.measurements.items():
            median = format_seconds(measurement.median)
            verdict = self.verdicts.get(name)
            cells = ("-", "-", "baseline") if verdict is None else verdict.cells()
            yield (line(name), median, *cells)

    def _notes(self) -> list[str]:
        count = len(self.verdicts)
        intervals = "The interval holds with 95 % confidence"
        if count > 1:
            intervals = f"All {count} intervals together hold with 95 % confidence (Bonferroni)"
        return [
            *self._rates(),
            _WHAT[self.statistic],
            f"{intervals}. same: within {100 * self.margin:g} %.",
            *(
                f"{_quoted(name)}: {verdict.reason}"
                for name, verdict in self.verdicts.items()
                if verdict.verdict == "can't tell"
            ),
        ]

    def _rates(self) -> list[str]:
        """Return one line per kind of work, with the rate of each candidate that has one."""
        lines = []
        for kind in KINDS:
            known = [
                f"{_quoted(name)} {measurement.rates[kind]}"
                for name, measurement in self.measurements.items()
                if kind in measurement.work
            ]
            if known:
                lines.append(f"{kind}: {', '.join(known)}")
        return lines

    def _shown_warnings(self) -> tuple[TimingWarning, ...]:
        # The title names the device, so the warning "cpu" would repeat it.
        shown = collect_warnings(self.measurements, _quoted, lambda warning: warning.kind == "cpu")
        return (*self._statistics_part(), *shown)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _ratio(logarithm: float) -> str:
    return format_ratio(math.exp(logarithm))


def from_content(fields: Fields) -> Comparison:
    """Return the comparison in a document. Raises ValueError if the content is not a comparison."""
    candidates = fields.objects("candidates")
    measurements = {
        candidate.text("name"): measurement_from_content(candidate.object("measurement"))
        for candidate in candidates
    }
    if len(measurements) < len(candidates):
        raise ValueError("two candidates have the same name")
    comparison = Comparison(
        measurements=measurements,
        batch_runs=fields.count("batch_runs", at_least=1),
        margin=fields.number("margin"),
        level=fields.number("level"),
        duration=fields.number("duration"),
        statistic=fields.choice("statistic", STATISTICS),
    )
    _check(comparison)
    return comparison


def _check(comparison: Comparison) -> None:
    if len(comparison.measurements) < 2:
        raise ValueError(f"a comparison has two candidates, not {len(comparison.measurements)}")
    runs = {name: len(measurement) for name, measurement in comparison.measurements.items()}
    if len(set(runs.values())) > 1 or next(iter(runs.values())) % comparison.batch_runs:
        raise ValueError(
            f"candidates have {runs} runs, but each must have the same whole number of batches of "
            f"{comparison.batch_runs} runs"
        )
    for name in ("margin", "level"):
        value = getattr(comparison, name)
        if not 0 < value < 1:
            raise ValueError(f"{name} is {value}, but must be between 0 and 1")
    if not comparison.duration >= 0:
        raise ValueError(f"duration is {comparison.duration}, but must not be negative")

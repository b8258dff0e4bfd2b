# SPDX-License-Identifier: BSD-3-Clause
"""One point of a sweep: its values, and what each candidate took there."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ..comparing.comparison import Comparison
from ..documents import Fields
from ..measuring.measurement import Measurement
from ..rates.rate import KINDS, Rate, rate

if TYPE_CHECKING:
    from ..comparing.verdict import VerdictWord

AxisValue = int | float | str | bool


def dtype_as_name(value: object) -> object:
    """Return the name of a data type, such as ``float16``, and any other value unchanged."""
    return str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value


class Timed(NamedTuple):
    """What one candidate took at one point. Times are in seconds.

    Attributes:
        candidate: its name.
        median: the median time of a call.
        interval: the ends of the median's 95 % interval; NaN if unknown.
        host_time: the time that the host takes to issue a call.
        runs: how many calls were kept.
        ratio: the time divided by the baseline's, which is the first candidate.
        verdict: against the baseline; ``baseline`` for the baseline itself.
    """

    candidate: str
    median: float
    interval: tuple[float, float]
    host_time: float
    runs: int
    ratio: float
    verdict: VerdictWord | str


@dataclass(frozen=True)
class SweepPoint:
    """One point of a sweep.

    Attributes:
        values: the value of each axis.
        timed: one entry per candidate; empty if the point failed.
        fastest: the candidate that is proven to be faster than every other; None if unproven.
        work: the work of one call, by kind: ``bytes``, ``flops``, ``items``.
        peaks: the highest measured rate of this GPU, by kind, where known.
        error: why the point failed; empty otherwise.
        warnings: the messages of the warnings about the measurements, by kind.
    """

    values: Mapping[str, AxisValue]
    timed: tuple[Timed, ...] = ()
    fastest: str | None = None
    work: Mapping[str, float] = dataclasses.field(default_factory=dict)
    peaks: Mapping[str, float] = dataclasses.field(default_factory=dict)
    error: str = ""
    warnings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __getitem__(self, candidate: str) -> Timed:
        for one in self.timed:
            if one.candidate == candidate:
                return one
        known = ", ".join(repr(one.candidate) for one in self.timed)
        raise KeyError(f"no candidate {candidate!r} at this point; there are {known or 'none'}")

    def rate(self, candidate: str, kind: str) -> Rate | None:
        """Return the rate of a candidate, or None if the work of a call is unknown."""
        if kind not in self.work:
            return None
        one = self[candidate]
        found = rate(kind, self.work[kind], one.median, one.interval)
        peak = self.peaks.get(kind)
        return found if peak is None else found._replace(share_of_peak=found.value / peak)


def point_of(
    values: Mapping[str, AxisValue],
    result: Comparison | Measurement,
    name: str,
    work: Mapping[str, float],
    peaks: Mapping[str, float],
) -> SweepPoint:
    """Return the point of a comparison, or of the measurement of a single candidate `name`."""
    warnings = {warning.kind: warning.message for warning in result.warnings}
    if isinstance(result, Measurement):
        alone = (_timed(name, result, 1.0, "baseline"),)
        return SweepPoint(values, alone, None, work, peaks, "", warnings)
    words = {result.baseline: "baseline"}
    words |= {other: verdict.verdict for other, verdict in result.verdicts.items()}
    timed = tuple(
        _timed(other, measurement, result.ratio(other), words[other])
        for other, measurement in result.measurements.items()
    )
    return SweepPoint(values, timed, _fastest(result), work, peaks, "", warnings)


def _timed(name: str, measurement: Measurement, ratio: float, verdict: str) -> Timed:
    return Timed(
        name,
        measurement.median,
        measurement.median_interval,
        measurement.host_time,
        len(measurement),
        ratio,
        verdict,
    )


def _fastest(comparison: Comparison) -> str | None:
    """Return the candidate that is proven to be faster than every other one.

    The comparison judges each candidate against the first. Here each is judged against the one with
    the shortest time. That one is chosen by the data, so every pair of candidates counts: the
    intervals get wider by Bonferroni's rule.
    """
    first, *others = sorted(
        comparison.measurements, key=lambda name: comparison.measurements[name].median
    )
    count = len(comparison.measurements)
    pairs = count * (count - 1) / 2
    alpha = (1 - comparison.level) * (count - 1) / pairs
    turned = dataclasses.replace(
        comparison,
        measurements={name: comparison.measurements[name] for name in (first, *others)},
        level=1 - alpha,
    )
    slower = all(verdict.verdict == "slower" for verdict in turned.verdicts.values())
    return first if slower else None


def named_values(values: Mapping[str, AxisValue]) -> str:
    """Return the values of a point as text, such as ``n=1024, dtype=float16``."""
    return ", ".join(f"{name}={value}" for name, value in values.items())


def failed(values: Mapping[str, AxisValue], error: BaseException) -> SweepPoint:
    """Return a point that says why it failed."""
    first = str(error).strip().splitlines()
    words = f"{type(error).__name__}: {first[0]}" if first else type(error).__name__
    return SweepPoint(values, error=words[:300])


def to_content(point: SweepPoint) -> dict[str, Any]:
    """Return a point as JSON types."""
    return {
        "values": dict(point.values),
        "timed": [one._asdict() for one in point.timed],
        "fastest": point.fastest,
        "work": dict(point.work),
        "peaks": dict(point.peaks),
        "error": point.error,
        "warnings": dict(point.warnings),
    }


def from_content(fields: Fields) -> SweepPoint:
    """Return the point in a document. Raises ValueError if the content is not one."""
    values, work = fields.object("values"), fields.object("work")
    peaks, warnings = fields.object("peaks"), fields.object("warnings")
    for name in values.names():
        if not isinstance(values.raw(name), (int, float, str, bool)):
            raise values.wrong(name, "a number or a text")
    for given in (work, peaks):
        if unknown := set(given.names()) - set(KINDS):
            raise ValueError(f"there is no work of the kind {', '.join(sorted(unknown))}")
    return SweepPoint(
        {name: values.raw(name) for name in values.names()},
        tuple(_timed_from(one) for one in fields.objects("timed")),
        None if fields.is_null("fastest") else fields.text("fastest"),
        {kind: work.number(kind) for kind in work.names()},
        {kind: peaks.number(kind) for kind in peaks.names()},
        fields.text("error"),
        {kind: warnings.text(kind) for kind in warnings.names()},
    )


def _timed_from(fields: Fields) -> Timed:
    low, high = fields.numbers("interval")
    median = fields.number("median")
    if median < 0 or math.isnan(median):
        raise fields.wrong("median", "a time in seconds")
    return Timed(
        fields.text("candidate"),
        median,
        (low, high),
        fields.number("host_time"),
        fields.count("runs"),
        fields.number("ratio"),
        fields.choice("verdict", ("baseline", "faster", "slower", "same", "can't tell")),
    )

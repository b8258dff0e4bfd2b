# SPDX-License-Identifier: BSD-3-Clause
"""One saved measurement against another: `fasttime.compare_saved`."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..console import plain_text, terminal_width
from ..environment.differences import EnvironmentDifference, environment_differences
from ..measuring.arguments import is_real, is_whole
from ..measuring.measurement import Measurement
from ..reports.report import Report
from ..stats.median import median_interval
from ..stats.processes import FEWEST_PROCESSES, by_process, coarsest_step
from ..stats.student import difference_interval
from ..text import for_stdout
from .verdict import (
    MARGIN,
    TOO_COARSE,
    Verdict,
    VerdictWord,
    check_margin,
    decide,
    times_as_many,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

NO_SINGLE_RUNS = (
    "its times are no single runs any more; to compare, measure with fasttime.measure() or "
    "fasttime bench"
)

# A little below the 5 % that are promised, as medians of processes are only nearly normal.
_ALPHA = 0.04

# What must be the same for a ratio to mean anything.
_SAME = ("method", "cache", "held", "is_calibrated")


@dataclass(frozen=True, eq=False, repr=False)
class SavedComparison:
    """A new measurement against an old one. Prints as a table.

    Attributes:
        old, new: the measurements.
        margin: how far the ratio may be from 1 for ``same``.
        allowance: how much processes may differ by accident, where there are too few to see it.
    """

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
        """The new time by the old: 0.9 where it takes 10 % less."""
        return self._judged.ratio

    @property
    def interval(self) -> tuple[float, float]:
        """Two ratios between which the true one lies with 95 % probability or more."""
        return self._judged.interval

    @property
    def reason(self) -> str:
        """What the verdict rests on, or what would decide it, in a sentence."""
        return self._judged.reason

    @property
    def goes_by_processes(self) -> bool:
        """Whether there are three processes a side or more, so that their spread decides."""
        return min(len(self.old.processes), len(self.new.processes)) >= FEWEST_PROCESSES

    @cached_property
    def environment_differences(self) -> tuple[EnvironmentDifference, ...]:
        """The fields in which the environments differ, and the device's name.

        Those that say when, and by which process of which host, are left out.
        """
        differences = environment_differences(self.old.environment, self.new.environment)
        if self.old.device != self.new.device:
            device = EnvironmentDifference("device", self.old.device, self.new.device)
            return (device, *differences)
        return differences

    def exit_code(self, fail_above: float) -> int:
        """Return 1 where it is proven that the new one takes longer by more than that, else 0.

        Proven is what all of the interval says: its lower end lies above ``1 + fail_above``. A
        check that fails by accident now and then is soon ignored; so a regression right at the
        threshold passes more often than not, and should the threshold be a promise, it has to be
        set lower, or the interval made narrower by more processes.

        Args:
            fail_above: a share, 0.05 for 5 %; 0 for any proven regression.

        Raises TypeError unless it is a number, and ValueError unless it is finite and at least 0,
        or for a whole number above 0: 5 is hardly meant to be 500 %; 5.0 is.
        """
        if not is_real(fail_above):
            raise TypeError(f"fail_above must be a number, 0.05 for 5 %, got {fail_above!r}")
        if is_whole(fail_above) and fail_above > 0:
            raise ValueError(
                f"fail_above={fail_above} would be {fail_above}00 %: write {fail_above / 100:g} "
                f"for {fail_above} %, or {fail_above}.0 if that is meant"
            )
        if not 0 <= fail_above < math.inf:
            raise ValueError(f"fail_above must be at least 0, 0.05 for 5 %, got {fail_above}")
        is_worse = self.verdict == "slower" and self.interval[0] > 1 + fail_above
        return 1 if is_worse else 0

    @cached_property
    def _judged(self) -> Verdict:
        """Verdict, ratio, interval, and what they rest on."""
        old, new = self.old.process_medians, self.new.process_medians
        if not all(0 < median < math.inf for median in (*old, *new)):
            reason = "a process has no median above 0 to divide by; do more in a call"
            return Verdict("can't tell", math.nan, (0.0, math.inf), reason)
        if self.goes_by_processes:
            return self._judge_processes(np.log(old).tolist(), np.log(new).tolist())
        return self._judge_runs(self.new.median / self.old.median)

    def _judge_processes(self, old: list[float], new: list[float]) -> Verdict:
        """Judge by the medians of the processes: runs of one process stand or fall together."""
        change, low, high = difference_interval(old, new, _ALPHA)
        # A median is one of the clock's steps, and may be half of one off, on either side.
        step = (_relative_step(self.old) + _relative_step(self.new)) / 2
        interval = (math.exp(low - step), math.exp(high + step))
        verdict = decide(interval, self.margin)
        reason = f"by the spread of {len(old)} old and {len(new)} new processes"
        if verdict == "can't tell":
            fewer = min(len(old), len(new))
            reason += " it cannot be told; "
            more = times_as_many(change, (high - low) / 2, self.margin, step)
            if math.isinf(more):
                reason += TOO_COARSE.format(100 * step)
            else:
                needed = max(fewer + 1, math.ceil(more * fewer))
                reason += f"about {needed} a side would: fasttime bench TARGET --processes {needed}"
        return Verdict(verdict, math.exp(change), interval, reason)

    def _judge_runs(self, ratio: float) -> Verdict:
        """Judge by the runs, and leave room for what another process would have changed."""
        ends = (*_interval(self.old), *_interval(self.new))
        mend = "measure both in several processes: fasttime bench TARGET --processes 5"
        if any(math.isnan(end) for end in ends) or min(ends) <= 0:
            why = "there are times of zero" if min(ends) <= 0 else "there are too few runs"
            reason = f"{why}; {mend}"
            return Verdict("can't tell", ratio, (0.0, math.inf), reason)
        room = 1 + self.allowance
        interval = (ends[2] / ends[1] / room, ends[3] / ends[0] * room)
        verdict = decide(interval, self.margin)
        few = (
            f"with fewer than {FEWEST_PROCESSES} processes a side, a change of "
            f"{100 * self.allowance:g} % may be an accident"
        )
        if verdict == "can't tell":
            reason = f"{few}; to tell, {mend}"
        else:
            reason = f"{few}, and this is {'within the margin' if verdict == 'same' else 'more'}"
        return Verdict(verdict, ratio, interval, reason)

    def __str__(self) -> str:
        from .saved_table import saved_renderable

        return for_stdout(plain_text(saved_renderable(self), terminal_width()))

    __repr__ = __str__

    def __rich__(self) -> RenderableType:
        from .saved_table import saved_renderable

        return saved_renderable(self)


def compare_saved(
    old: Measurement | str | os.PathLike[str],
    new: Measurement | str | os.PathLike[str],
    *,
    margin: float = MARGIN,
    allowance: float = 0.10,
) -> SavedComparison:
    """Tell whether a new measurement is faster or slower than an old one, or the same.

    One process differs from the next by more than its runs differ from one another: memory lies
    elsewhere, another algorithm was picked, the clock is another. With three processes a side or
    more (``fasttime bench --processes``, `Measurement.merge`) it is their spread that decides, by
    Welch's test of the logarithms of their medians, or by Student's where that is the less sure
    one, as it may be with unequal numbers of processes. With fewer, only a change that is proven to
    be beyond `allowance` counts. What changes from day to day is in neither: measure both on one
    day.

    Args:
        old, new: measurements, or the files in which they were saved.
        margin: up to which difference two are the ``same``, between 0 and 1.
        allowance: by how much two processes may differ by accident, from 0 up to 1.

    Raises ValueError where method, cache, held or is_calibrated differ, or a number is out of
    range; TypeError where something else than measurements is given; what `fasttime.load` raises.

    >>> print(compare_saved("old.json", "new.json"))  # doctest: +SKIP
    """
    check_margin(margin)
    if not 0 <= allowance < 1:
        raise ValueError(f"allowance must be at least 0 and below 1, 0.1 for 10 %, got {allowance}")
    before, after = _measurement("old", old), _measurement("new", new)
    for name in _SAME:
        values = getattr(before, name), getattr(after, name)
        if values[0] != values[1]:
            raise ValueError(
                f"the old measurement has {name}={values[0]!r} and the new one {name}="
                f"{values[1]!r}, so that they cannot be compared; measure one of them anew"
            )
    return SavedComparison(before, after, margin, allowance)


def _measurement(which: str, given: object) -> Measurement:
    if isinstance(given, (str, os.PathLike)):
        from ..loading import load

        found: object = load(given)
        which = f"{which} ({os.fspath(given)})"
    else:
        found = given
    if isinstance(found, Report):
        raise TypeError(
            f"compare_saved() takes two measurements, and {which} is a report of scopes: "
            f"{NO_SINGLE_RUNS}"
        )
    if not isinstance(found, Measurement):
        raise TypeError(
            f"compare_saved() takes two measurements, and {which} is a {type(found).__name__}; of "
            "a Comparison, give one of its measurements"
        )
    return found


def _interval(measurement: Measurement) -> tuple[float, float]:
    """Return where the median lies; of too few processes to say, that of their runs and of all."""
    medians = measurement.process_medians
    if len(medians) >= FEWEST_PROCESSES:
        return measurement.median_interval
    parts = by_process(measurement.times, measurement.processes)
    low, high = median_interval(measurement.times, step=coarsest_step(parts))
    # One of the whole pool may lie between two processes and hold neither.
    return float(np.min([low, *medians])), float(np.max([high, *medians]))


def _relative_step(measurement: Measurement) -> float:
    parts = by_process(measurement.times, measurement.processes)
    return coarsest_step(parts) / measurement.median

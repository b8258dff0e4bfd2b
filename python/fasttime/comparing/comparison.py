# SPDX-License-Identifier: BSD-3-Clause
"""Several callables timed against one another: which one is faster."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..console import plain_text, terminal_width
from ..measuring.measurement import Measurement
from ..stats.clock_step import clock_step
from ..stats.outliers import middle_mean
from ..stats.signed_rank import fewest_pairs, location_interval
from ..text import for_stdout, format_count, format_seconds
from .rounds import MOST_ROUNDS
from .verdict import (
    TOO_COARSE,
    Verdict,
    decide,
    times_as_many,
)

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Which of several callables is faster. All times are in seconds. Prints as a table.

    The first is the baseline, against which each of the others is judged.

    Attributes:
        measurements: by name; `times` has the batches of all rounds, one after the other.
        batch_runs: how many runs a batch has. A round is one batch of each candidate.
        margin: how far a ratio may be from 1 for ``same``.
        level: how sure each single interval is, so that all of them together, at each time they
            were looked at, are right with 95 % probability or more.
        duration: what the rounds took.
    """

    measurements: Mapping[str, Measurement]
    batch_runs: int
    margin: float
    level: float
    duration: float

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
        """By name, for each candidate but the first: whether it is faster, and how sure that is."""
        return {name: self._judge(name) for name in self.measurements if name != self.baseline}

    def ratio(self, name: str) -> float:
        """Return the time of a candidate by that of the baseline: 0.9 where it takes 10 % less.

        Raises KeyError where there is no such candidate.
        """
        if name not in self.measurements:
            raise KeyError(f"no candidate {name!r}; there are {', '.join(self.measurements)}")
        return 1.0 if name == self.baseline else self.verdicts[name].ratio

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to a file, as JSON, for `fasttime.load`.

        Args:
            path: the file, whose name ends in ``.json`` or has no suffix. One that is there is
                replaced, in one step and only once all is written.

        Raises ValueError where the numbers cannot be true or the name has another suffix, and
        OSError as `open` does.
        """
        from ..documents import COMPARISON, write_document
        from .document import to_content

        write_document(path, COMPARISON, to_content(self))

    def _judge(self, name: str) -> Verdict:
        """Judge by each round's own ratio.

        A round's candidates run in random order, so that one which makes no difference is as often
        the shorter as the longer: its log ratios lie evenly around nought whatever the noise, also
        where each batch resembles the one before, and whatever changes from round to round cancels.
        That is all that the interval asks for.
        """
        ours, others = (
            middle_mean(self.measurements[which].times.reshape(-1, self.batch_runs))
            for which in (name, self.baseline)
        )
        if not (np.isfinite(ours).all() and np.isfinite(others).all()) or (
            min(ours.min(), others.min()) <= 0
        ):
            reason = "there is nothing to set against the other: a batch read no time at all"
            return Verdict("can't tell", math.nan, (0.0, math.inf), f"{reason}; do more in a call")
        alpha = 1 - self.level
        location, low, high = location_interval(np.log(ours / others), alpha)
        # The mean of the middle half may be a quarter of a clock's step off, each of the two.
        steps = [clock_step(self.measurements[which].times) for which in (name, self.baseline)]
        step = max(steps) / float(others.min()) / 2
        low, high = low - step, high + step
        interval = (math.exp(low), math.exp(high))
        verdict = decide(interval, self.margin)
        reason = f"over {format_count(self.rounds, 'round')}"
        if verdict == "can't tell":
            reason = self._what_would_tell(location, (high - low) / 2 - step, step)
        return Verdict(verdict, math.exp(location), interval, reason)

    def _what_would_tell(self, location: float, half_width: float, step: float) -> str:
        so_far = f"open after {format_count(self.rounds, 'round')}"
        a_round = self.duration / self.rounds
        needed = fewest_pairs(1 - self.level)
        if math.isfinite(half_width):
            more = times_as_many(location, half_width, self.margin, step)
            if math.isinf(more):
                return f"{so_far}; {TOO_COARSE.format(100 * step)}"
            needed = math.ceil(self.rounds * more)
            # The interval found is a guess of the one to come.
            needed = max(needed, self.rounds + 1)
        if needed > MOST_ROUNDS:
            most = f"{MOST_ROUNDS}, the most there may be"
            return f"{so_far}, and so it would be after {most}; do more in a call"
        return (
            f"{so_far}; about {needed} would tell, which take "
            f"{format_seconds(needed * a_round)}: give compare() {self._more_of(needed)}"
        )

    def _more_of(self, rounds: int) -> str:
        """Return what limited the rounds, and how much of it would do."""
        was_given = self.measurements[self.baseline].ended_by == "count"
        return f"rounds={rounds}" if was_given else "a larger budget"

    def __str__(self) -> str:
        from .tables import comparison_renderable

        return for_stdout(plain_text(comparison_renderable(self), terminal_width()))

    __repr__ = __str__

    def __rich__(self) -> RenderableType:
        from .tables import comparison_renderable

        return comparison_renderable(self)

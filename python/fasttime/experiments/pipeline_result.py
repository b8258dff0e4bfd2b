# SPDX-License-Identifier: BSD-3-Clause
"""The results of the pipeline experiment, and the conclusions from them."""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass
from typing import Any

from .settings import Settings
from .ways_to_time import WAYS


@dataclass(frozen=True)
class Trial:
    """One way in one round. Times are in seconds.

    Attributes:
        round: which round.
        way: how the models were timed.
        whole: the time of the whole pipeline per iteration, without warm-up.
        large: the readings of the large model, without warm-up; empty if it was not timed.
        small: the readings of the small model, likewise.
        bottlenecks: whether host or device limited each model, according to fasttime's scopes;
            empty for other ways.
    """

    round: int
    way: str
    whole: float
    large: tuple[float, ...]
    small: tuple[float, ...]
    bottlenecks: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One way over all rounds: medians in seconds, and changes as fractions.

    Attributes:
        large, small: the mean reading of a round; None if not timed.
        whole: the time of the whole pipeline per iteration.
        change: of the whole pipeline, compared with the untimed pipeline of the same round.
        change_min, change_max: the smallest and the largest change in a round.
    """

    large: float | None
    small: float | None
    whole: float
    change: float
    change_min: float
    change_max: float


@dataclass(frozen=True)
class Pipeline:
    """All trials at one batch size."""

    settings: Settings
    trials: tuple[Trial, ...]

    def row(self, way: str) -> Row:
        """Return the medians of one way."""
        trials = [trial for trial in self.trials if trial.way == way]
        untimed = {trial.round: trial.whole for trial in self.trials if trial.way == "not timed"}
        changes = [trial.whole / untimed[trial.round] - 1 for trial in trials]

        def typical(rounds: list[tuple[float, ...]]) -> float | None:
            return statistics.median(map(statistics.fmean, rounds)) if all(rounds) else None

        return Row(
            typical([trial.large for trial in trials]),
            typical([trial.small for trial in trials]),
            statistics.median(trial.whole for trial in trials),
            statistics.median(changes),
            min(changes),
            max(changes),
        )

    def rows(self) -> dict[str, Row]:
        """Return the medians of each way."""
        seen = {trial.way for trial in self.trials}
        return {way: self.row(way) for way in WAYS if way in seen}

    @property
    def waiting_costs(self) -> bool:
        """Whether both ways that wait slowed the pipeline by at least 5 %, and in every round."""
        rows = [self.row("sync"), self.row("awaited events")]
        return all(row.change >= 0.05 and row.change_min > 0 for row in rows)

    @property
    def scopes_are_free(self) -> bool:
        """Whether scopes changed the pipeline by less than 1 %, or by less than its spread."""
        row = self.row("fasttime scopes")
        return abs(row.change) < 0.01 or row.change_min <= 0 <= row.change_max

    @property
    def bound(self) -> str:
        """Whether host or device limited both models in all rounds, or ``unclear``."""
        seen = {bottleneck for trial in self.trials for bottleneck in trial.bottlenecks}
        return seen.pop() if len(seen) == 1 else "unclear"

    def summary(self) -> dict[str, Any]:
        """Return the derived figures; times in seconds, changes as fractions."""
        rows = {way: dataclasses.asdict(row) for way, row in self.rows().items()}
        return {"bound": self.bound if self.settings.on_gpu else None, "ways": rows}

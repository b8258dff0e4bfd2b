# SPDX-License-Identifier: BSD-3-Clause
"""Two models with a CPU task between them: what timing the models does to the whole.

MobileNetV3-Large, then numpy's randn(1, 3, 512, 512) to float32 times sqrt(1024), then
MobileNetV3-Small; 1000 classes, the same randn(batch, 3, 224, 224) for both; 50 runs, the first 5
ignored. The host could do its own task while the device is busy, unless it waits for the device.

The ways to time take turns, in a new order each round, and the whole pipeline's time is compared
with that of the untimed one of the same round.
"""

from __future__ import annotations

import dataclasses
import gc
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..units import format_change, format_seconds
from . import models
from .output import table as make_table
from .settings import Settings, Track, untracked
from .ways_to_time import EventsWaitedFor, Naive, NotTimed, Scopes, Stages, Sync

if TYPE_CHECKING:
    from rich.table import Table

NAME = "pipeline"
GPU_BATCHES = (32, 512)

WAYS: dict[str, type[NotTimed]] = {
    "not timed": NotTimed,
    "naive": Naive,
    "sync": Sync,
    "events, waited for": EventsWaitedFor,
    "fasttime scopes": Scopes,
}
_GPU_ONLY = ("events, waited for",)


@dataclass(frozen=True)
class Trial:
    """One way in one round. Times are in seconds.

    Attributes:
        round: which round.
        way: how the models were timed.
        whole: the whole pipeline's time per iteration, warm-up left out.
        large: the readings of the large model, warm-up left out; none if it was not timed.
        small: the readings of the small model, likewise.
        verdicts: what fasttime says the large and the small model were bound by; others cannot say.
    """

    round: int
    way: str
    whole: float
    large: tuple[float, ...]
    small: tuple[float, ...]
    verdicts: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One way over all rounds: medians, in seconds; changes are fractions.

    Attributes:
        large, small: the mean reading of a round; None where not timed.
        whole: the whole pipeline's time per iteration.
        change: of the whole pipeline, against not timed in the same round.
        change_min, change_max: the least and the greatest change in a round.
    """

    large: float | None
    small: float | None
    whole: float
    change: float
    change_min: float
    change_max: float


@dataclass(frozen=True)
class Pipeline:
    """All trials at one batch."""

    settings: Settings
    trials: tuple[Trial, ...]

    def row(self, way: str) -> Row:
        """Return what was seen of one way."""
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
        """Return what was seen of each way."""
        seen = {trial.way for trial in self.trials}
        return {way: self.row(way) for way in WAYS if way in seen}

    @property
    def bound(self) -> str:
        """What both models were bound by in all rounds, as fasttime saw it, or ``unclear``."""
        seen = {verdict for trial in self.trials for verdict in trial.verdicts}
        return seen.pop() if len(seen) == 1 else "unclear"

    def summary(self) -> dict[str, Any]:
        """Return the derived figures; times in seconds, changes as fractions."""
        rows = {way: dataclasses.asdict(row) for way, row in self.rows().items()}
        return {"bound": self.bound if self.settings.on_gpu else None, "ways": rows}


def ways(settings: Settings) -> list[str]:
    """Return the ways that the device offers."""
    return [way for way in WAYS if settings.on_gpu or way not in _GPU_ONLY]


def run(settings: Settings, track: Track = untracked) -> Pipeline:
    """Run the pipeline in each way in each round. Waits for the device."""
    order = random.Random(settings.seed)
    offered = ways(settings)
    plan = [
        (round_, way)
        for round_ in range(settings.rounds)
        for way in order.sample(offered, len(offered))
    ]
    with settings.current(), torch.inference_mode():
        stages = _build(settings)
        _go(NotTimed(stages, 2), 1, 1)  # the first call in a process is cold
        trials = [
            _try(round_, way, stages, settings)
            for round_, way in track(plan, f"pipeline, batch {settings.batch}")
        ]
    return Pipeline(settings, tuple(trials))


def estimate(settings: Settings) -> float:
    """Return about how long an untimed iteration takes, in seconds. Waits for the device."""
    with settings.current(), torch.inference_mode():
        return _go(NotTimed(_build(settings), 4), 1, 3)


def _build(settings: Settings) -> Stages:
    large = models.mobilenet_v3("large", settings)
    small = models.mobilenet_v3("small", settings)
    images = models.random_images(settings)
    draw = np.random.RandomState(settings.seed)

    def cpu_task() -> object:
        return draw.randn(1, 3, 512, 512).astype(np.float32) * np.float32(np.sqrt(1024))

    return Stages(lambda: large(images), cpu_task, lambda: small(images), settings.synchronize, settings.on_gpu)


def _go(way: NotTimed, warmup: int, kept: int) -> float:
    """Run the pipeline and return its time per kept iteration, in seconds."""
    gc.collect()
    for _ in range(warmup):
        way.step()
    way.stages.synchronize()
    begin = perf_counter()
    for _ in range(kept):
        way.step()
    way.stages.synchronize()
    return (perf_counter() - begin) / kept


def _try(round_: int, name: str, stages: Stages, settings: Settings) -> Trial:
    way = WAYS[name](stages, settings.repeat)
    whole = _go(way, settings.warmup, settings.kept)
    large, small = (tuple(times[settings.warmup :]) for times in way.readings())
    return Trial(round_, name, whole, large, small, way.verdicts())


def table(result: Pipeline) -> Table:
    """Return what was seen of each way as a table."""
    settings = result.settings
    bound = f", {result.bound}" if settings.on_gpu else ""
    return make_table(
        f"Pipeline: Large, CPU task, Small; batch {settings.batch}{bound}; "
        f"{settings.kept} of {settings.repeat} runs, {settings.rounds} rounds",
        ["timed by", "large", "small", "whole pipeline", "change", "lowest", "highest"],
        [
            (
                way,
                "" if row.large is None else format_seconds(row.large),
                "" if row.small is None else format_seconds(row.small),
                format_seconds(row.whole),
                *(
                    ("", "", "")
                    if way == "not timed"
                    else map(format_change, (row.change, row.change_min, row.change_max))
                ),
            )
            for way, row in result.rows().items()
        ],
    )


def sentence(results: Sequence[Pipeline]) -> str:
    """Say in one sentence what was shown."""
    clauses = "; ".join(map(_clause, results))
    if results[0].settings.on_gpu:
        return clauses[0].upper() + clauses[1:] + "."
    return (
        "On the CPU the work is done when the call returns, so that there is nothing to wait for "
        f"and all methods should agree: {clauses}."
    )


def _clause(result: Pipeline) -> str:
    rows = result.rows()
    at = f"at batch {result.settings.batch}"
    naive, sync, scopes = (rows[way] for way in ("naive", "sync", "fasttime scopes"))
    if not result.settings.on_gpu:
        changes = [row.change for row in rows.values()]
        large = _apart([row.large for row in (naive, sync, scopes)])
        small = _apart([row.small for row in (naive, sync, scopes)])
        return (
            f"{at} their readings lie within {large} (large) and {small} (small) of one another, "
            f"and the pipeline's time changed by {format_change(min(changes))} to {format_change(max(changes))}"
        )
    waited = rows["events, waited for"]
    does = "slows" if waiting_costs(result) else "does not clearly slow"
    scopes_do = "leave it as it is" if scopes_are_free(result) else "change it"
    return (
        f"{at} ({result.bound}) waiting for the device {does} the pipeline down "
        f"(sync {format_change(sync.change)}, events waited for {format_change(waited.change)}) "
        f"and fasttime's scopes {scopes_do} ({format_change(scopes.change)}); against sync they "
        f"read {_off(scopes, sync)}, and naive reads {_off(naive, sync)}"
    )


def waiting_costs(result: Pipeline) -> bool:
    """Whether both ways that wait slowed the pipeline by 5 % or more, and did in each round."""
    rows = [result.row("sync"), result.row("events, waited for")]
    return all(row.change >= 0.05 and row.change_min > 0 for row in rows)


def scopes_are_free(result: Pipeline) -> bool:
    """Whether scopes changed the pipeline's time by less than 1 %, or by less than its spread."""
    row = result.row("fasttime scopes")
    return abs(row.change) < 0.01 or row.change_min <= 0 <= row.change_max


def _off(row: Row, truth: Row) -> str:
    pairs = ((row.large, truth.large), (row.small, truth.small))
    large, small = (format_change(seen / true - 1) for seen, true in pairs if seen and true)
    return f"{large} (large) and {small} (small)"


def _apart(times: Sequence[float | None]) -> str:
    seen = [time for time in times if time is not None]
    return f"{100 * (max(seen) / min(seen) - 1):.1f} %"

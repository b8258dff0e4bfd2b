# SPDX-License-Identifier: BSD-3-Clause
"""Two models with a CPU task between them: how timing the models changes the whole.

MobileNetV3-Large, then numpy's randn(1, 3, 512, 512) to float32 times sqrt(1024), then
MobileNetV3-Small. Both models have 1000 classes and get the same randn(batch, 3, 224, 224). There
are 50 runs, and the first 5 are ignored. The host can do the CPU task while the device is busy,
unless the host waits for the device.

The ways to time take turns, in a new order each round. The time of the whole pipeline is compared
with the untimed pipeline of the same round.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..text import format_change, format_count, format_seconds
from . import models
from .output import table as make_table
from .output import within
from .pipeline_result import Pipeline, Row, Trial
from .settings import Settings, Track, untracked
from .ways_to_time import (
    WAYS,
    NotTimed,
    Stages,
    ways,
)

if TYPE_CHECKING:
    from rich.table import Table

NAME = "pipeline"
GPU_BATCHES = (32, 512)
CPU_TASK_SHAPE = (1, 3, 512, 512)


def run(settings: Settings, track: Track = untracked) -> Pipeline:
    """Run the pipeline in each way in each round. Waits for the device."""
    order = random.Random(settings.seed)
    offered = ways(settings.on_gpu)
    plan = [
        (round_, way)
        for round_ in range(settings.rounds)
        for way in order.sample(offered, len(offered))
    ]
    with settings.current(), torch.inference_mode():
        stages = build(settings)
        _go(NotTimed(stages, 2), 1, 1)  # the first call of a process is cold
        trials = [
            _try(round_, way, stages, settings)
            for round_, way in track(plan, f"pipeline, batch {settings.batch}")
        ]
    return Pipeline(settings, tuple(trials))


def estimate(settings: Settings) -> float:
    """Return roughly how long an untimed iteration takes, in seconds. Waits for the device."""
    with settings.current(), torch.inference_mode():
        return _go(NotTimed(build(settings), 4), 1, 3)


def build(settings: Settings) -> Stages:
    """Return the stages of the pipeline, with models and images on the device."""
    large = models.mobilenet_v3("large", settings)
    small = models.mobilenet_v3("small", settings)
    images = models.random_images(settings)
    draw = np.random.RandomState(settings.seed)

    def cpu_task() -> object:
        return draw.randn(*CPU_TASK_SHAPE).astype(np.float32) * np.float32(np.sqrt(1024))

    return Stages(
        large=lambda: large(images),
        cpu_task=cpu_task,
        small=lambda: small(images),
        synchronize=settings.synchronize,
        on_gpu=settings.on_gpu,
    )


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
    return Trial(round_, name, whole, large, small, way.bottlenecks())


def table(result: Pipeline) -> Table:
    """Return the times of each way as a table."""
    settings = result.settings
    bound = f", {result.bound}" if settings.on_gpu else ""
    return make_table(
        f"Pipeline, batch {settings.batch}{bound}; "
        f"{settings.kept} of {settings.repeat} runs, {format_count(settings.rounds, 'round')}",
        ["timed by", "large", "small", "pipeline", "change", "lowest", "highest"],
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
    """Return the conclusion."""
    clauses = "; ".join(map(_clause, results))
    if results[0].settings.on_gpu:
        return clauses[0].upper() + clauses[1:] + "."
    return (
        "On the CPU the work is done when the call returns, so all methods should agree: "
        f"{clauses}."
    )


def _clause(result: Pipeline) -> str:
    rows = result.rows()
    at = f"at batch {result.settings.batch}"
    naive, sync, scopes = (rows[way] for way in ("naive", "sync", "fasttime scopes"))
    if not result.settings.on_gpu:
        changes = [row.change for way, row in rows.items() if way != "not timed"]
        timed = (naive, sync, scopes)
        return (
            f"{at} their readings of the large model are "
            f"{within([row.large for row in timed if row.large])}, and of the small model "
            f"{within([row.small for row in timed if row.small])}; timing changed the whole "
            f"pipeline by {format_change(min(changes))} to {format_change(max(changes))}"
        )
    awaited = rows["awaited events"]
    does = "slows" if result.waiting_costs else "does not clearly slow"
    scopes_do = "do not change it" if result.scopes_are_free else "change it"
    return (
        f"{at} ({result.bound}) waiting for the device {does} the pipeline down "
        f"(sync {format_change(sync.change)}, awaited events {format_change(awaited.change)}) "
        f"and fasttime's scopes {scopes_do} ({format_change(scopes.change)}); compared with sync, "
        f"scopes read {_off(scopes, sync)}, and naive reads {_off(naive, sync)}"
    )


def _off(row: Row, truth: Row) -> str:
    pairs = ((row.large, truth.large), (row.small, truth.small))
    large, small = (format_change(seen / true - 1) for seen, true in pairs if seen and true)
    return f"{large} (large) and {small} (small)"

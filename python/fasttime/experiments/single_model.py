# SPDX-License-Identifier: BSD-3-Clause
"""One model, three methods: naive, sync and events.

MobileNetV3-Large with 10 classes and twice the width, in eval mode and inference mode, on
randn(32, 3, 224, 224). There are 50 runs: the first 5 are ignored, the other 45 averaged. The
methods take turns, in a new order each round.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..measuring.measure import measure
from ..measuring.options import METHODS, Method
from ..text import format_change, format_count, format_seconds
from . import models
from .output import table as make_table
from .output import within
from .settings import Settings, Track, untracked

if TYPE_CHECKING:
    from rich.table import Table

NAME = "single_model"
GPU_BATCHES = (32, 256)

# Readings agree if they differ by no more than this fraction.
_AGREE = 0.03


@dataclass(frozen=True)
class Reading:
    """The kept runs of one method in one round, in seconds."""

    round: int
    method: Method
    times: tuple[float, ...]


@dataclass(frozen=True)
class SingleModel:
    """The readings of the three methods. Times are in seconds."""

    settings: Settings
    readings: tuple[Reading, ...]

    def means(self, method: str) -> list[float]:
        """Return the mean of each round of a method, in seconds."""
        return [statistics.fmean(r.times) for r in self.readings if r.method == method]

    def time(self, method: str) -> float:
        """Return the median of the means of a method's rounds, in seconds."""
        return statistics.median(self.means(method))

    def summary(self) -> dict[str, dict[str, float]]:
        """Return the time of each method, and the lowest and highest mean of a round, in s."""
        return {
            method: {
                "time": self.time(method),
                "min": min(self.means(method)),
                "max": max(self.means(method)),
                "against_sync": self.time(method) / self.time("sync") - 1,
            }
            for method in METHODS
        }


def run(settings: Settings, track: Track = untracked) -> SingleModel:
    """Time one model with each method in each round. Waits for the device."""
    order = random.Random(settings.seed)
    plan = [
        (round_, method)
        for round_ in range(settings.rounds)
        for method in order.sample(METHODS, len(METHODS))
    ]
    readings = []
    with settings.current(), torch.inference_mode():
        model = models.mobilenet_v3("large", settings, num_classes=10, width_mult=2.0)
        images = models.random_images(settings)
        model(images)
        settings.synchronize()
        for round_, method in track(plan, f"one model, batch {settings.batch}"):
            measured = measure(
                model, images, method=method, warmup=settings.warmup, repeat=settings.repeat
            )
            readings.append(Reading(round_, method, tuple(map(float, measured.times))))
    return SingleModel(settings, tuple(readings))


def table(result: SingleModel) -> Table:
    """Return the methods' times as a table."""
    settings = result.settings
    return make_table(
        f"Single model, batch {settings.batch}; "
        f"{settings.kept} of {settings.repeat} runs, {format_count(settings.rounds, 'round')}",
        ["method", "time per run", "lowest round", "highest round", "vs sync"],
        [
            (
                method,
                format_seconds(row["time"]),
                format_seconds(row["min"]),
                format_seconds(row["max"]),
                "" if method == "sync" else format_change(row["against_sync"]),
            )
            for method, row in result.summary().items()
        ],
    )


def sentence(results: Sequence[SingleModel]) -> str:
    """Return the conclusion."""
    clauses = "; ".join(_clause(result) for result in results)
    if results[0].settings.on_gpu:
        return clauses[0].upper() + clauses[1:] + "."
    return (
        "On the CPU the work is done when the call returns, so all methods should agree: "
        f"{clauses}."
    )


def _clause(result: SingleModel) -> str:
    naive, sync, event = (result.time(method) for method in METHODS)
    at = f"at batch {result.settings.batch}"
    times = ", ".join(f"{method} {format_seconds(result.time(method))}" for method in METHODS)
    if not result.settings.on_gpu:
        return f"{at} they are {within((naive, sync, event))} ({times})"
    agree = (
        "sync and events agree"
        if abs(event / sync - 1) <= _AGREE
        else f"sync and events differ by {format_change(event / sync - 1)}"
    )
    off = naive / sync - 1
    if abs(off) <= _AGREE:
        wrong = (
            "the naive clock is right only by accident: the host was slower than the device, or a "
            "full launch queue held the host back"
        )
    elif off < 0:
        wrong = f"the naive clock was read too early ({format_change(off)})"
    else:
        wrong = f"the naive clock shows {format_change(off)}: the host takes longer in its loop"
    return f"{at} {agree} and {wrong} ({times})"

# SPDX-License-Identifier: BSD-3-Clause
"""One naive reading of the very first call: wrong since it is early, and wrong since it is cold.

MobileNetV3-Large in eval mode, 1000 classes, on ones(4, 3, 224, 224). It is only a first call
where the process has run no model before.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from ..measuring.measure import measure
from ..text import format_seconds
from . import models
from .output import table as make_table
from .settings import Settings, Track, untracked

if TYPE_CHECKING:
    from rich.table import Table

NAME = "first_call"
GPU_BATCHES = (4,)

# A clock read this much of the call too early is worth a word, and a first call this many times
# as long as a warm one is cold beyond doubt.
_EARLY = 0.01
_COLD = 1.5


@dataclass(frozen=True)
class FirstCall:
    """What was read. Times are in seconds.

    Attributes:
        settings: what it ran with; `rounds` is not used, as a first call comes once a process.
        naive: from before the first call to its return.
        done: from before the first call until the device had finished its work.
        warm: of each later call, by events.
    """

    settings: Settings
    naive: float
    done: float
    warm: tuple[float, ...]

    @property
    def warm_mean(self) -> float:
        """The mean time of a warm call, in seconds."""
        return statistics.fmean(self.warm)

    @property
    def early(self) -> float:
        """How long before the end of the work the naive clock was read, in seconds."""
        return self.done - self.naive

    def summary(self) -> dict[str, float]:
        """Return the derived figures; times in seconds."""
        return {
            "warm_mean": self.warm_mean,
            "early": self.early,
            "naive_to_warm": self.naive / self.warm_mean,
        }


def run(settings: Settings, track: Track = untracked) -> FirstCall:
    """Time the first call of a model, then warm ones. Waits for the device."""
    with settings.current(), torch.inference_mode():
        model: Any = models.mobilenet_v3("large", settings)
        images = torch.ones(settings.batch, 3, 224, 224, device=settings.device)
        settings.synchronize()  # the copy of weights and input is not the call's
        begin = perf_counter()
        model(images)
        returned = perf_counter()
        settings.synchronize()
        done = perf_counter()
        for _ in track([None], "warm calls"):
            warm = measure(
                model, images, method="event", warmup=settings.warmup, repeat=settings.repeat
            )
    return FirstCall(settings, returned - begin, done - begin, tuple(map(float, warm.times)))


def table(result: FirstCall) -> Table:
    """Return the readings as a table."""
    rows = [
        ("first call, naive: until it returned", result.naive),
        ("first call, until its work was done", result.done),
        (f"warm call, events, mean of {len(result.warm)}", result.warm_mean),
    ]
    return make_table(
        f"First call, batch {result.settings.batch}",
        ["reading", "time", "against warm"],
        [(label, format_seconds(s), f"{s / result.warm_mean:.2f} x") for label, s in rows],
    )


def sentence(results: Sequence[FirstCall]) -> str:
    """Say in one sentence what was shown."""
    (result,) = results
    naive, warm = format_seconds(result.naive), format_seconds(result.warm_mean)
    times = f"{result.naive / result.warm_mean:.1f} times the {warm} of a warm call"
    is_early = result.early > _EARLY * result.done
    is_cold = result.done > _COLD * result.warm_mean
    early = (
        f"the clock was read {format_seconds(result.early)} before the call's work was done"
        if is_early
        else f"the clock was read only {format_seconds(result.early)} before the work was done"
    )
    cold = f"the call was cold, {times}" if is_cold else f"it was hardly cold, {times}"
    if not result.settings.on_gpu:
        return (
            f"On the CPU the reading of the first call, {naive}, is not early, as the work is done "
            f"when the call returns; {cold}."
        )
    verdict = {2: "is wrong twice", 1: "is wrong once", 0: "happens to be right"}
    return (
        f"The naive reading of the first call, {naive}, {verdict[is_early + is_cold]}: "
        f"{early}, and {cold}."
    )

# SPDX-License-Identifier: BSD-3-Clause
"""One naive reading of the very first call: it is read too early, and the call is cold.

MobileNetV3-Large in eval mode, 1000 classes, on ones(4, 3, 224, 224). The process must not have run
a model before.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from _common import run_experiment

from fasttime import measure
from fasttime.experiments import models
from fasttime.experiments.output import table as make_table
from fasttime.experiments.settings import Settings, Track, untracked
from fasttime.text import format_seconds

if TYPE_CHECKING:
    from rich.table import Table

NAME = "first_call"
GPU_BATCHES = (4,)

# The clock was read too early if this fraction of the call was still to come.
_EARLY = 0.01

# A first call is cold if it takes this many times as long as a warm call.
_COLD = 1.5


@dataclass(frozen=True)
class FirstCall:
    """The readings. Times are in seconds.

    Attributes:
        settings: the settings of the run. `rounds` is unused: a process has one first call.
        naive: from before the first call to its return.
        done: from before the first call until the device had finished its work.
        warm: each later call, timed by events.
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
    """Time the first call of a model, then warm calls. Waits for the device."""
    with settings.current(), torch.inference_mode():
        model: Any = models.mobilenet_v3("large", settings)
        images = torch.ones(settings.batch, 3, 224, 224, device=settings.device)
        settings.synchronize()  # the call does not include copying weights and input
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
        ["reading", "time", "vs warm"],
        [(label, format_seconds(s), f"{s / result.warm_mean:.2f} x") for label, s in rows],
    )


def sentence(results: Sequence[FirstCall]) -> str:
    """Return the conclusion."""
    (result,) = results
    naive, warm = format_seconds(result.naive), format_seconds(result.warm_mean)
    times = f"{result.naive / result.warm_mean:.1f} times the {warm} of a warm call"
    is_early = result.early > _EARLY * result.done
    is_cold = result.done > _COLD * result.warm_mean
    only = "" if is_early else "only "
    early = f"the clock was read {only}{format_seconds(result.early)} before the work was done"
    cold = f"the call was {'cold' if is_cold else 'hardly cold'}: {times}"
    if not result.settings.on_gpu:
        return (
            f"On the CPU the reading of the first call, {naive}, is not early, because the work is "
            f"done when the call returns. {cold[0].upper()}{cold[1:]}."
        )
    verdict = {2: "is wrong twice", 1: "is wrong once", 0: "happens to be right"}
    return (
        f"The naive reading of the first call, {naive}, {verdict[is_early + is_cold]}: "
        f"{early}, and {cold}."
    )


if __name__ == "__main__":
    sys.exit(run_experiment(sys.modules[__name__]))

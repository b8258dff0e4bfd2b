# SPDX-License-Identifier: BSD-3-Clause
"""Warm-up until times are steady."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..timing_warning import TimingWarning
from . import machine
from .progress import ProgressBar
from .sampler import Batch, Sampler, Times

# Steady: the last so many batches took the same time a run, to within this.
_BATCHES = 3
_STEADY_WITHIN = 0.05


# Of the budget, what one batch takes: short enough for the machine to stay the same, and no longer
# than what that takes.
_BATCH_PART = 0.02
_LONGEST_BATCH = 0.05
MOST_RUNS = 10_000


class WarmUp(NamedTuple):
    """What came before the runs that count.

    Attributes:
        times: of each run, in seconds.
        run_time: what a run took in the last batch, in seconds.
        last: that batch.
        is_steady: False where times had not settled when the time for it was over; where there were
            too few batches by then to see it, nothing speaks against them.
        doubt: what the method had to say of the last batch, or else of the one in which the
            callable started CUDA.
    """

    times: Times
    run_time: float
    last: Batch
    is_steady: bool
    warning: TimingWarning | None


def warm_up(
    sampler: Sampler, batch_time: float, budget: float, bar: ProgressBar | None = None
) -> WarmUp:
    """Run until three batches in a row take the same time a run to within 5 %.

    The first batch is one run; each is longer than the last up to some `batch_time` seconds, and
    only those that long count. Ends `budget` seconds after the first call in any case.
    """
    start = machine.clock()
    times: list[Times] = []
    settled: list[float] = []
    runs = 1
    started: TimingWarning | None = None
    while True:
        # A run in which CUDA is started has no device time, and need have none.
        batch = sampler.take(runs, ignored=0 if times or machine.cuda_is_up() else 1)
        if batch.warning is not None and batch.warning.kind == "cuda_started":
            started = batch.warning
        if not times:
            start = machine.clock()  # what the first call sets up is not the warm-up's to spend
        times.append(batch.times)
        run_time = batch.duration / runs
        if batch.duration >= batch_time / 2 or runs == MOST_RUNS or (len(times) > 1 and runs == 1):
            settled = [*settled[1 - _BATCHES :], run_time]
        if bar is not None:
            bar.update((machine.clock() - start) / budget)
        is_judged = len(settled) == _BATCHES
        has_settled = is_judged and max(settled) <= min(settled) * (1 + _STEADY_WITHIN)
        if has_settled or machine.clock() - start >= budget:
            is_steady = has_settled or not is_judged
            return WarmUp(
                np.concatenate(times), run_time, batch, is_steady, batch.warning or started
            )
        runs = runs_for(batch_time, run_time, most=min(4 * runs, MOST_RUNS))


def batch_time(budget: float) -> float:
    """Return how long one batch is to take, in seconds."""
    return min(_LONGEST_BATCH, _BATCH_PART * budget)


def runs_for(batch_time: float, run_time: float, most: int) -> int:
    """Return how many runs take `batch_time` seconds, at least 1 and at most `most`."""
    if run_time * most <= batch_time:
        return most
    return max(1, round(batch_time / run_time))

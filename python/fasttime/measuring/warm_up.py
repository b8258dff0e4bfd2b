# SPDX-License-Identifier: BSD-3-Clause
"""Warm-up until times are steady."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..stats import Times
from ..timing_warning import TimingWarning
from . import machine
from .batch import Batch, Sampler
from .progress import ProgressBar

# Times are steady if this many batches in a row took the same time per run, to within this share.
_BATCHES = 3
_STEADY_WITHIN = 0.05

# A batch takes this share of the budget: short enough for the machine to stay the same during the
# batch, and never longer than the limit in seconds.
_BATCH_PART = 0.02
_LONGEST_BATCH = 0.05
MOST_RUNS = 10_000


class WarmUp(NamedTuple):
    """The runs before the kept ones.

    Attributes:
        times: of each run, in seconds.
        run_time: the time per run in the last batch, in seconds.
        last: the last batch.
        is_steady: False if times had not settled when the time for the warm-up was over. True if
            there were too few batches to tell.
        warning: the method's warning about the last batch, or else about the batch in which the
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
    """Run until three batches in a row take the same time per run, to within 5 %.

    The first batch is one run. Batches grow until they take about `batch_time` seconds, and only
    batches of that length count. The warm-up ends `budget` seconds after the first call at the
    latest; the current batch is finished. The bar is drawn between batches.
    """
    start = machine.clock()
    times: list[Times] = []
    settled: list[float] = []
    runs = 1
    started: TimingWarning | None = None
    while True:
        # The first run may start CUDA, and then has no device time. As an ignored run it is no
        # error.
        batch = sampler.take(runs, ignored=0 if times or machine.cuda_is_up() else 1)
        if batch.warning is not None and batch.warning.kind == "cuda_started":
            started = batch.warning
        if not times:
            start = machine.clock()  # the first call's one-time work does not use up the budget
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
    """Return how long one batch should take, in seconds."""
    return min(_LONGEST_BATCH, _BATCH_PART * budget)


def runs_for(batch_time: float, run_time: float, most: int) -> int:
    """Return how many runs take `batch_time` seconds: at least 1 and at most `most`."""
    if run_time * most <= batch_time:
        return most
    return max(1, round(batch_time / run_time))

# SPDX-License-Identifier: BSD-3-Clause
"""Runs until the median is known well enough, the budget is spent, or a given number is reached."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..stats import Times
from ..stats.median import median_interval
from ..stats.student import mean_interval
from . import machine
from .batch import Batch, Sampler
from .elsewhere import Elsewhere
from .machine import Call
from .options import EndedBy
from .progress import ProgressBar
from .waiting import in_most
from .warm_up import MOST_RUNS, WarmUp, batch_time, runs_for

_FEWEST_BATCHES = 5
_FEWEST_RUNS = 20
# For normal samples, the standard error of the median by the standard error of the mean:
# sqrt(pi / 2).
_MEDIAN_TO_MEAN = 1.2533
_FIRST_HELD = 20  # runs in the first held batch; how long held runs take is not known yet


@dataclass
class Runs:
    """The results of all batches so far. Times are in seconds.

    Attributes:
        times, host_times, event_overheads: of all batches; see `Batch`.
        wall_times: the time per run in each loop without timing.
        others, waiting: one per batch that was not held; see `Batch`.
        ended_by: why there are no more batches.
    """

    times: list[Times] = field(default_factory=list)
    host_times: list[Times] = field(default_factory=list)
    event_overheads: list[Times] = field(default_factory=list)
    wall_times: list[float] = field(default_factory=list)
    others: list[Elsewhere] = field(default_factory=list)
    waiting: list[bool | None] = field(default_factory=list)
    ended_by: EndedBy = "budget"

    @property
    def work_was_waiting(self) -> bool | None:
        """Whether work was waiting in most batches; None if unknown."""
        return in_most(self.waiting)

    @property
    def count(self) -> int:
        """The number of kept runs."""
        return sum(map(len, self.times))


def run_until_known(
    call: Call,
    free: Sampler,
    held: Sampler | None,
    warm: WarmUp,
    *,
    kept: int | None,
    precision: float,
    budget: float,
    bar: ProgressBar,
    runs: Runs | None = None,
) -> Runs:
    """Run batch after batch until the median is known to within `precision`, or time is up.

    A round has up to three parts: a loop without timing, a batch of `free`, and a batch of `held`.
    So a change on the machine affects all of them. With `held`, the times come from its batches.
    On a device, the first run of each `free` batch is left out, because the device is idle before
    that run.

    Args:
        call: what to run in the loop without timing.
        free: a sampler that does not hold the stream.
        held: a sampler that holds the stream; None to do without.
        warm: the result of the warm-up.
        kept: stop after this many kept runs instead; None to stop by precision or budget.
        precision: half the width of the median's interval, as a share of the median.
        budget: seconds.
        bar: is drawn between rounds, while the device is idle.
        runs: where the runs go, so that an interrupt loses none; None for new ones.
    """
    runs = Runs() if runs is None else runs
    start = machine.clock()
    size = runs_for(batch_time(budget), warm.run_time, MOST_RUNS)
    held_size = min(size, _FIRST_HELD)
    while True:
        if kept is not None:
            size = min(size, kept - runs.count)
        if size > 1:
            runs.wall_times.append(machine.untimed_loop(call, size) / size)
        ignored = 1 if machine.cuda_is_up() else 0
        batch = free.take(size + ignored, ignored)
        if size == 1:  # so long that the cost of timing does not matter
            runs.wall_times.append(batch.duration / (size + ignored))
        _add_free(runs, batch, ignored)
        if held is None:
            timed = _without_first(batch, ignored)
        else:
            timed = held.take(held_size if kept is None else min(held_size, kept - runs.count))
            held_size = runs_for(batch_time(budget), timed.duration / len(timed.times), MOST_RUNS)
        runs.times.append(timed.times)
        runs.event_overheads.append(timed.event_overheads)
        elapsed = machine.clock() - start
        if kept is not None:
            bar.update(runs.count / kept)
            if runs.count >= kept:
                runs.ended_by = "count"
                return runs
            continue
        bar.update(elapsed / budget)
        if _is_known(runs, precision):
            runs.ended_by = "precision"
            return runs
        if elapsed >= budget:
            return runs


def _add_free(runs: Runs, batch: Batch, ignored: int) -> None:
    runs.others.append(batch.others)
    runs.waiting.append(batch.work_was_waiting)
    # A full launch queue makes the host wait, so the host times of a batch count only if the device
    # is known to keep up. The first run always counts: it is issued to an idle device.
    kept_up = batch.work_was_waiting is False
    runs.host_times.append(batch.host_times[ignored:] if kept_up else batch.host_times[:1])


def _without_first(batch: Batch, ignored: int) -> Batch:
    return batch._replace(times=batch.times[ignored:], host_times=batch.host_times[ignored:])


def _is_known(runs: Runs, precision: float) -> bool:
    if len(runs.times) < _FEWEST_BATCHES or runs.count < _FEWEST_RUNS:
        return False
    # Runs of one batch are more alike than batches are. So both intervals must be narrow enough:
    # Student's interval from the medians of the batches, and the interval from all runs together.
    medians = [float(np.median(times)) for times in runs.times]
    low, high = mean_interval(medians, 0.05)
    if _MEDIAN_TO_MEAN * (high - low) / 2 > precision * abs(float(np.median(medians))):
        return False
    times = np.concatenate(runs.times)
    low, high = median_interval(times)
    return (high - low) / 2 <= precision * abs(float(np.median(times)))

# SPDX-License-Identifier: BSD-3-Clause
"""How many runs: as many as were asked for, or until the median is known well enough."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..stats.student import mean_interval
from ..stats.times import median_interval
from . import machine
from .machine import Call
from .measurement import EndedBy
from .progress import ProgressBar
from .sampler import Batch, Sampler, Times
from .waiting import in_most
from .warm_up import (
    MOST_RUNS,
    WarmUp,
    batch_time,
    runs_for,
)

_FEWEST_BATCHES = 5
_FEWEST_RUNS = 20
_MEDIAN_TO_MEAN = 1.2533  # how much further a median is off, of what is normal: sqrt(pi / 2)
_FIRST_HELD = 20  # held runs are longer, by how much is not known yet


@dataclass
class Runs:
    """What all batches together have found.

    Attributes:
        times, host_times, floors: of all batches; see `Batch`.
        wall_times: what a run took in each loop that was not timed, in seconds.
        others, waiting: one for each batch that was not held; see `Batch`.
        ended_by: why there are no more.
    """

    times: list[Times] = field(default_factory=list)
    host_times: list[Times] = field(default_factory=list)
    event_overheads: list[Times] = field(default_factory=list)
    wall_times: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    waiting: list[bool | None] = field(default_factory=list)
    ended_by: EndedBy = "budget"

    @property
    def work_was_waiting(self) -> bool | None:
        """Whether work was waiting in most batches; None where that cannot be told."""
        return in_most(self.waiting)

    @property
    def count(self) -> int:
        """How many runs were kept."""
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
) -> Runs:
    """Run batch after batch until the median is known to within `precision`, or time is up.

    A round is a loop without timing, a batch of `free`, whose first run is left out where a device
    is idle at its begin, and a batch of `held`, if there is one, from which the times then are. So
    what changes on the machine in the meantime changes all of them.

    Args:
        kept: ends after so many runs instead.
    """
    runs = Runs()
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
        if size == 1:  # so long that timing it does not show
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
    # The first run is issued to an idle device, so that nothing holds the host back; the others
    # are only where the device is known to keep up.
    kept_up = batch.work_was_waiting is False
    runs.host_times.append(batch.host_times[ignored:] if kept_up else batch.host_times[:1])


def _without_first(batch: Batch, ignored: int) -> Batch:
    return batch._replace(times=batch.times[ignored:], host_times=batch.host_times[ignored:])


def _is_known(runs: Runs, precision: float) -> bool:
    if len(runs.times) < _FEWEST_BATCHES or runs.count < _FEWEST_RUNS:
        return False
    # Runs in one batch are more alike than batches are, so both must agree: the batches, by
    # Student's interval of the median of their medians, and all runs together.
    medians = [float(np.median(times)) for times in runs.times]
    low, high = mean_interval(medians, 0.05)
    if _MEDIAN_TO_MEAN * (high - low) / 2 > precision * abs(float(np.median(medians))):
        return False
    times = np.concatenate(runs.times)
    low, high = median_interval(times)
    return (high - low) / 2 <= precision * abs(float(np.median(times)))

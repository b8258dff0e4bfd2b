# SPDX-License-Identifier: BSD-3-Clause
"""Runs until the median is known well enough, the budget is spent, or a given number is reached."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ..stats import Times
from ..stats.correlation import corrected, lag_one
from ..stats.median import median_interval
from ..stats.student import block_half_width
from . import machine
from .batch import Batch, Sampler
from .clocks import ClockSample
from .elsewhere import Elsewhere
from .machine import Call
from .options import EndedBy
from .prepared import Fresh, Prepared, in_a_row
from .progress import ProgressBar
from .waiting import in_most
from .warm_up import MOST_RUNS, WarmUp, batch_time, runs_for

_FEWEST_BATCHES = 5
_FEWEST_RUNS = 20

# A machine may rest in one of its states for a tenth of a second or two. So no measurement ends
# before this many seconds, or before half the budget if that is less.
_SOONEST = 0.5
_SOONEST_PART = 0.5

# If the medians of neighbouring batches are correlated by more than this, the machine changes
# slowly. More time is then the only help, so the whole budget is used.
_SLOW = 0.3

# All runs are looked at again when there are this many times as many. So the work for all looks
# together grows no faster than the number of runs.
_GROWTH = 1.1

# The budget is for about this many timed runs at most, which bounds memory and saved files. More
# runs would hardly change the median: what is left of the noise is slow. A short callable spends
# the rest of the budget in loops without timing.
_MOST_TIMED = 50_000
_MOST_UNTIMED = 1_000_000  # per loop

# For normal samples, the standard error of the median by the standard error of the mean:
# sqrt(pi / 2).
_MEDIAN_TO_MEAN = 1.2533

# A minimum time that takes this many times as long by the clock is given up. A callable without any
# work on the device would never reach it.
_MOST_OF_MIN_TIME = 20.0

_FIRST_HELD = 20  # runs in the first held batch; how long held runs take is not known yet


@dataclass
class Runs:
    """The results of all batches so far. Times are in seconds.

    Attributes:
        times, host_times, event_overheads: of all batches; see `Batch`.
        wall_times: the time per run in each loop without timing.
        others, waiting: one per batch that was not held; see `Batch`.
        clocks: one per round, if the driver reports the clock.
        ended_by: why there are no more batches.
    """

    times: list[Times] = field(default_factory=list)
    host_times: list[Times] = field(default_factory=list)
    event_overheads: list[Times] = field(default_factory=list)
    wall_times: list[float] = field(default_factory=list)
    others: list[Elsewhere] = field(default_factory=list)
    waiting: list[bool | None] = field(default_factory=list)
    clocks: list[ClockSample] = field(default_factory=list)
    ended_by: EndedBy = "budget"

    @property
    def seconds(self) -> float:
        """The sum of all kept times."""
        return float(sum(times.sum() for times in self.times))

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
    min_time: float = 0.0,
    bar: ProgressBar,
    runs: Runs | None = None,
) -> Runs:
    """Run batch after batch until the median is known to within `precision`, or time is up.

    A round has up to three parts: a loop without timing, a batch of `free`, and a batch of `held`.
    So a change on the machine affects all of them. With `held`, the times come from its batches.
    There is no loop without timing if `call` makes fresh arguments, since the loop would time that.
    On a device, the first run of each `free` batch is left out, because the device is idle before
    that run.

    The median counts as known after half a second, or half the budget if that is less, once its
    interval is narrow enough and the medians of batches are hardly correlated.

    Args:
        call: what to run in the loop without timing.
        free: a sampler that does not hold the stream.
        held: a sampler that holds the stream; None to do without.
        warm: the result of the warm-up.
        kept: stop after this many kept runs instead; None to stop by precision or budget.
        precision: half the width of the median's interval, as a share of the median.
        budget: seconds.
        min_time: seconds that the kept times must add up to.
        bar: is drawn between rounds, while the device is idle.
        runs: where the runs go, so that an interrupt loses none; None for new ones.
    """
    runs = Runs() if runs is None else runs
    start = machine.clock()
    time = batch_time(budget)
    untimed = size = runs_for(time, warm.run_time, MOST_RUNS)
    if kept is None:
        size = min(size, max(1, round(_MOST_TIMED * time / budget)))
    held_size = min(size, _FIRST_HELD)
    has_wall_time = not isinstance(call, Fresh)
    ending = _Ending(precision, min(_SOONEST, _SOONEST_PART * budget))
    while True:
        if kept is not None:
            untimed = size = min(size, kept - runs.count)
        if untimed > 1 and has_wall_time:
            loop = (in_a_row(call, untimed), 1) if isinstance(call, Prepared) else (call, untimed)
            runs.wall_times.append(machine.untimed_loop(*loop) / untimed)
            if kept is None:
                untimed = runs_for(time, runs.wall_times[-1], _MOST_UNTIMED)
        ignored = 1 if machine.cuda_is_up() else 0
        batch = free.take(size + ignored, ignored)
        if size == 1 and has_wall_time:  # so long that the cost of timing does not matter
            runs.wall_times.append(batch.duration / (size + ignored))
        _add_free(runs, batch, ignored)
        if held is None:
            timed = _without_first(batch, ignored)
        else:
            timed = held.take(held_size if kept is None else min(held_size, kept - runs.count))
            held_size = runs_for(time, timed.duration / len(timed.times), MOST_RUNS)
        runs.times.append(timed.times)
        runs.event_overheads.append(timed.event_overheads)
        clock = machine.sm_clock()  # the device has just been at work
        if clock is not None:
            runs.clocks.append(ClockSample(runs.count, clock))
        elapsed = machine.clock() - start
        if kept is not None:
            bar.update(runs.count / kept)
            if runs.count >= kept:
                runs.ended_by = "count"
                return runs
            continue
        given_up_after = max(budget, _MOST_OF_MIN_TIME * min_time)
        is_short = min_time > 0 and runs.seconds < min_time and elapsed < given_up_after
        bar.update(runs.seconds / min_time if is_short else elapsed / budget)
        if is_short:
            continue
        if ending.is_known(runs, elapsed):
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


@dataclass
class _Ending:
    """Decides when the median is known.

    Attributes:
        precision: see `run_until_known`.
        soonest: no ending before this many seconds.
        enough: the number of runs at which to look again.
    """

    precision: float
    soonest: float
    enough: int = _FEWEST_RUNS

    def is_known(self, runs: Runs, elapsed: float) -> bool:
        """Return whether the median is known to within the precision after `elapsed` seconds."""
        if elapsed < self.soonest or len(runs.times) < _FEWEST_BATCHES or runs.count < self.enough:
            return False
        self.enough = math.ceil(_GROWTH * runs.count)
        medians = [float(np.median(times)) for times in runs.times]
        allowed = self.precision * abs(float(np.median(medians)))
        is_slow = corrected(lag_one(medians), len(medians)) > _SLOW
        if is_slow and max(medians) - min(medians) > allowed / 2:
            return False
        # Nothing is trimmed here: a single batch that is off may be the first of another state.
        if _MEDIAN_TO_MEAN * block_half_width(medians, 0.05) > allowed:
            return False
        times = np.concatenate(runs.times)
        low, high = median_interval(times)
        return (high - low) / 2 <= self.precision * abs(float(np.median(times)))

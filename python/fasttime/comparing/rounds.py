# SPDX-License-Identifier: BSD-3-Clause
"""The rounds of a comparison, and the measurement of each candidate that they yield."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..environment.gpu_state import GpuState
from ..environment.origin import origin_now
from ..measuring import machine
from ..measuring.batch import Batch, Sampler
from ..measuring.calibration import loop_overhead
from ..measuring.clocks import (
    ClockSample,
    clock_warnings_of_rounds,
    clocks_differ,
    median_clock,
)
from ..measuring.distribution import judge_times
from ..measuring.elsewhere import judge_elsewhere, judge_work
from ..measuring.measurement import Measurement
from ..measuring.options import Cache, Method
from ..measuring.progress import ProgressBar
from ..measuring.waiting import in_most
from ..measuring.warnings import MORE_WORK, judge_host_resolution, raw_times
from ..stats import Times
from ..stats.interim import ALPHA, InterimAnalysis, plan_interim_analyses
from ..stats.signed_rank import fewest_pairs
from ..text import format_count, format_seconds
from ..timing_warning import TimingWarning
from .opening import Opened, naming

# Seconds per batch, averaged over the candidates. Long compared with the waits at both ends of a
# batch. Short compared with the time in which clocks or neighbours change, so that a change affects
# a round as a whole. Batches are shorter if the budget is too small for enough rounds otherwise.
_BATCH_TIME = 15e-3

# More rounds than the fewest that allow a verdict, so that a close comparison has a chance.
_ENOUGH_ROUNDS = 24

# The share of the budget that the fewest rounds may plan for. The rest is for rounds that take
# longer than planned.
_PLANNED_PART = 0.9

# Each candidate has the same number of runs per batch, so each time keeps the same share of noise.
# There is no room for more runs behind a held stream.
_MOST_RUNS = 500

# The first rounds are ignored, because caches, clocks and allocators settle in them. If a round
# takes more than this part of the budget, one round is ignored.
_IGNORED = 2
_LONG_ROUND = 0.1

# A single run that takes this many seconds needs no second run to tell its length.
_LONG_RUN = 0.1

# Seconds between two readings of the GPU's state. Each reading takes a few milliseconds.
_GPU_STATE_EVERY = 0.25

# Seconds between two readings of the clock, per candidate.
_CLOCK_EVERY = 0.05

# With fewer samples, the median clock of a candidate may be from the time before the clock settled.
_FEWEST_CLOCKS = 3

# With more rounds, the interval would be narrower than the systematic error.
MOST_ROUNDS = 1024

# A new order each time. With a fixed order, its bias would return in every comparison, and the
# interval relies on random order. Tests put a seeded generator here.
_new_random: Callable[[], random.Random] = random.SystemRandom


class BudgetTooSmall(ValueError):
    """There is no room for a verdict in the budget.

    Attributes:
        why: what takes so long.
        needed: a budget with room for a verdict, in seconds.
    """

    def __init__(self, message: str, why: str = "", needed: float = 0.0) -> None:
        super().__init__(message)
        self.why, self.needed = why, needed


class Rounds:
    """Rounds in progress. In each round, each candidate runs one batch, in random order.

    Args:
        samplers: by candidate, the baseline first. Exceptions from a candidate pass unchanged, with
            a note that names the candidate.
        bar: drawn between batches, while the device is idle and nothing is timed.
        budget: seconds for all kept rounds.
        rounds: the most rounds to make; None for as many as the budget allows.

    Raises BudgetTooSmall if the budget has no room for the fewest rounds that allow a verdict, with
    one run per candidate in each.

    Attributes:
        batch_runs: runs per batch.
        kept: batches by candidate, one per round.
        ignored: the batches of the ignored rounds, likewise.
        duration: of all kept batches, in seconds.
        was_interrupted: whether Ctrl-C ended the rounds. Only complete rounds are then kept.
        gpu_states: before the first kept round, in between, and after the last round.
        clocks: the SM clock after batches of kept rounds, by candidate.
    """

    def __init__(
        self,
        samplers: Mapping[str, Sampler],
        bar: ProgressBar,
        budget: float,
        rounds: int | None = None,
    ) -> None:
        self._samplers, self._bar, self._budget = samplers, bar, budget
        self._most = MOST_ROUNDS if rounds is None else rounds  # planned rounds
        # With fewer rounds, no interval is finite. If you ask for fewer, you get fewer.
        self._fewest = min(fewest_pairs(ALPHA / (len(samplers) - 1)), self._most)
        self._done = 0.0  # the fraction of the plan that is done
        self._shuffle = _new_random().shuffle
        self.batch_runs = self._plan_batch_runs()
        self.kept: dict[str, list[Batch]] = {name: [] for name in samplers}
        self.duration = 0.0
        self.was_interrupted = False
        self.ignored: dict[str, list[Batch]] = {name: [] for name in samplers}
        self._round_time = self._ignore_rounds()
        self.gpu_states: list[GpuState | None] = []
        self.clocks: dict[str, list[ClockSample]] = {name: [] for name in samplers}
        self._clock_read_at = dict.fromkeys(samplers, -math.inf)
        self._read_gpu_state()

    def plan(self) -> list[InterimAnalysis]:
        """Return the interim analyses. They are fixed now: a plan that follows the data is biased.

        Batches become shorter if that makes room for the fewest rounds that allow a verdict.
        """
        room = self._budget / self._round_time if self._round_time > 0 else MOST_ROUNDS
        if room < self._fewest:
            self.batch_runs = max(1, int(self.batch_runs * _PLANNED_PART * room / self._fewest))
            room = self._fewest
        self._most = min(self._most, int(room))
        return plan_interim_analyses(self._most, len(self._samplers) - 1)

    def run(self, rounds: int) -> bool:
        """Run until there are `rounds` rounds; return False if they ended before.

        They end when the budget is spent, and on Ctrl-C. Raises KeyboardInterrupt if no round is
        complete.
        """
        try:
            is_done = self._run(rounds)
        except KeyboardInterrupt:
            self._keep_complete_rounds()
            if not self._count:
                raise
            self.was_interrupted = True
            is_done = False
        self._read_gpu_state()
        return is_done

    def _run(self, rounds: int) -> bool:
        while self._count < rounds:
            # The fewest rounds were planned to fit. They may take longer than planned, but not
            # twice as long.
            limit = self._budget if self._count >= self._fewest else 2 * self._budget
            if self._count and self.duration >= limit:
                return False
            # Between rounds the device is idle and nothing is timed.
            if machine.clock() - self._gpu_state_read_at >= _GPU_STATE_EVERY:
                self._read_gpu_state()
            self.duration += self._round(self.kept)
            self._done = max(self._count / self._most, self.duration / self._budget)
        return True

    @property
    def _count(self) -> int:
        """How many rounds are complete."""
        return min(map(len, self.kept.values()))

    def _keep_complete_rounds(self) -> None:
        count = self._count
        for name, batches in self.kept.items():
            del batches[count:]
            runs = count * self.batch_runs
            self.clocks[name] = [one for one in self.clocks[name] if one.run <= runs]

    def _read_gpu_state(self) -> None:
        self.gpu_states.append(machine.gpu_state())
        self._gpu_state_read_at = machine.clock()

    def _round(self, into: dict[str, list[Batch]]) -> float:
        order = list(self._samplers)
        self._shuffle(order)
        duration = 0.0
        for name in order:
            batch = self._take(name, self.batch_runs)
            into[name].append(batch)
            duration += batch.duration
            if into is self.kept and machine.clock() - self._clock_read_at[name] >= _CLOCK_EVERY:
                self._read_clock(name)
        return duration

    def _read_clock(self, name: str) -> None:
        """Read the clock at which the candidate has just run. The device is idle by now."""
        clock = machine.sm_clock()
        if clock is not None:
            self.clocks[name].append(ClockSample(len(self.kept[name]) * self.batch_runs, clock))
        self._clock_read_at[name] = machine.clock()

    def _take(self, name: str, runs: int) -> Batch:
        with naming(name):
            batch = self._samplers[name].take(runs)
        self._bar.update(self._done)
        return batch

    def _ignore_rounds(self) -> float:
        """Make the ignored rounds; return how long a round takes, in seconds."""
        times: list[float] = []
        while len(times) < _IGNORED:
            times.append(self._round(self.ignored))
            if times[-1] > _LONG_ROUND * self._budget:
                break
        return min(times)  # the first round may include one-off work

    def _plan_batch_runs(self) -> int:
        wanted = min(_ENOUGH_ROUNDS, self._most)
        batch_time = min(_BATCH_TIME, self._budget / len(self._samplers) / wanted)
        run_times = [self._time_of_run(name, batch_time) for name in self._samplers]
        if self._fewest * sum(run_times) > self._budget:
            # A single long run may have been an accident.
            run_times = [
                min(time, self._take(name, 1).duration) if time >= _LONG_RUN else time
                for name, time in zip(self._samplers, run_times, strict=True)
            ]
            self._check_budget(sum(run_times))
        mean = sum(run_times) / len(run_times)
        return max(1, min(_MOST_RUNS, round(batch_time / mean) if mean > 0 else _MOST_RUNS))

    def _time_of_run(self, name: str, batch_time: float) -> float:
        duration = self._take(name, 1).duration
        if duration >= _LONG_RUN:
            return duration
        runs = 1
        while (duration := self._take(name, runs).duration) < batch_time / 3 and runs < _MOST_RUNS:
            runs = min(2 * runs, _MOST_RUNS)
        return duration / runs

    def _check_budget(self, round_time: float) -> None:
        """Raise BudgetTooSmall if a verdict does not fit; `round_time` is for single runs."""
        needed = self._fewest * round_time
        if needed <= self._budget:
            return
        enough = rounded_up(1.2 * needed)
        why = (
            f"one run of each candidate takes {format_seconds(round_time)}, and a verdict takes at "
            f"least {format_count(self._fewest, 'round')}"
        )
        raise BudgetTooSmall(
            f"budget={self._budget:g} is too small for a verdict: {why}; pass budget={enough:g} or "
            "more, or time each candidate with fasttime.measure()",
            why,
            enough,
        )


def rounded_up(seconds: float) -> float:
    """Return seconds rounded up to two digits."""
    unit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return math.ceil(seconds / unit) * unit


def measurements_of(
    rounds: Rounds,
    opened: Opened,
    method: Method,
    cache: Cache,
    facts: Mapping[str, Mapping[str, Any]],
) -> dict[str, Measurement]:
    """Return a measurement of each candidate, in the order of the candidates.

    Behind a held stream, the event overhead is subtracted from all times. Without CUDA, the loop's
    own cost is subtracted. Either would pull every ratio towards 1. All candidates share one
    figure, so the figure cannot favour one.

    Args:
        rounds: the rounds so far.
        opened, method, cache: how they were made.
        facts: more fields of each measurement, by candidate.
    """
    device = machine.device_name()
    empty = np.concatenate([_joined(kept, "event_overheads") for kept in rounds.kept.values()])
    event_overhead = float(np.median(empty)) if opened.held and empty.size else None
    if not machine.cuda_is_up():
        event_overhead = loop_overhead(method)
    unlike = clocks_differ(
        {
            f'"{name}"': median_clock(of) if len(of) >= _FEWEST_CLOCKS else None
            for name, of in rounds.clocks.items()
        }
    )
    shared = (*opened.warnings, *clock_warnings_of_rounds(rounds.gpu_states))
    shared = shared if unlike is None else (*shared, unlike)
    measurements = {}
    for name, kept in rounds.kept.items():
        times = _joined(kept, "times") - (event_overhead or 0.0)
        ignored = _joined(rounds.ignored[name], "times") - (event_overhead or 0.0)
        warnings = (*shared, *_warnings(kept, times, event_overhead, opened.held, method, device))
        measurements[name] = Measurement(
            times=times,
            warmup_times=ignored,
            host_times=_joined(kept, "host_times"),
            loop_time=sum(batch.duration for batch in kept),
            method=method,
            label=name,
            device=device,
            warmup=len(ignored),
            repeat=len(ignored) + len(times),
            warnings=(*warnings, *judge_times(times)),
            held=opened.held,
            cache=cache,
            event_overhead=event_overhead,
            is_calibrated=event_overhead is not None,
            origins=(origin_now(),),
            clocks=tuple(rounds.clocks[name]),
            **facts[name],
        )
    return measurements


def _warnings(
    kept: list[Batch],
    times: Times,
    event_overhead: float | None,
    held: bool,
    method: Method,
    device: str,
) -> list[TimingWarning]:
    median = float(np.median(times))
    warnings = [kept[-1].warning]
    if event_overhead is not None and not machine.cuda_is_up():
        warnings.append(judge_host_resolution(median, event_overhead, MORE_WORK))
    if method in ("event", "graph") and device.startswith("cuda"):
        others = [batch.others for batch in kept]
        waiting = in_most([batch.work_was_waiting for batch in kept])
        if not held and not waiting:
            host_time = float(np.median(_joined(kept, "host_times")))
            warnings.append(raw_times(host_time, device_waited=waiting is False))
        warnings += judge_elsewhere(others, median, 1)
        if event_overhead is not None:
            warnings.append(judge_work(median, event_overhead, others))
    return [warning for warning in warnings if warning is not None]


def _joined(batches: list[Batch], field: str) -> Times:
    return np.concatenate([np.asarray(getattr(batch, field), dtype=float) for batch in batches])

# SPDX-License-Identifier: BSD-3-Clause
"""The rounds of a comparison, and the measurement of each candidate that they yield."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import numpy as np

from ..environment.gpu_state import GpuState
from ..environment.origin import origin_now
from ..measuring import machine
from ..measuring.batch import Batch, Sampler
from ..measuring.clocks import clock_warnings_of_rounds
from ..measuring.distribution import judge_times
from ..measuring.measurement import Measurement
from ..measuring.options import Cache, Method
from ..measuring.progress import ProgressBar
from ..measuring.waiting import in_most
from ..measuring.warnings import judge_coverage, judge_work, raw_times
from ..stats import Times
from ..stats.interim import InterimAnalysis, plan_interim_analyses
from ..timing_warning import TimingWarning
from .opening import Opened, naming

# Seconds per batch, averaged over the candidates. Long compared with the waits at both ends of a
# batch. Short compared with the time in which clocks or neighbours change, so that a change affects
# a round as a whole.
_BATCH_TIME = 15e-3

# Each candidate has the same number of runs per batch, so each time keeps the same share of noise.
# There is no room for more runs behind a held stream.
_MOST_RUNS = 500

# The first rounds are ignored, because caches, clocks and allocators settle in them.
_IGNORED = 2

# Seconds between two readings of the GPU's state. Each reading takes a few milliseconds.
_GPU_STATE_EVERY = 0.25

# With more rounds, the interval would be narrower than the systematic error.
MOST_ROUNDS = 1024

# A new order each time. With a fixed order, its bias would return in every comparison, and the
# interval relies on random order. Tests put a seeded generator here.
_new_random: Callable[[], random.Random] = random.SystemRandom


class Rounds:
    """Rounds in progress. In each round, each candidate runs one batch, in random order.

    Args:
        samplers: by candidate, the baseline first. Exceptions from a candidate pass unchanged, with
            a note that names the candidate.
        bar: drawn between batches, while the device is idle and nothing is timed.

    Attributes:
        batch_runs: runs per batch.
        kept: batches by candidate, one per round.
        ignored: the batches of the ignored rounds, likewise.
        duration: of all kept batches, in seconds.
        gpu_states: before the first kept round, in between, and after the last round.
    """

    def __init__(self, samplers: Mapping[str, Sampler], bar: ProgressBar) -> None:
        self._samplers, self._bar = samplers, bar
        self._most = MOST_ROUNDS  # planned rounds
        self._done = 0.0  # the fraction of the plan that is done
        self._shuffle = _new_random().shuffle
        self.batch_runs = self._plan_batch_runs()
        self.kept: dict[str, list[Batch]] = {name: [] for name in samplers}
        self.duration = 0.0
        self.ignored: dict[str, list[Batch]] = {name: [] for name in samplers}
        # The shorter one, because the first round may include one-off work.
        self._round_time = min(self._round(self.ignored) for _ in range(_IGNORED))
        self.gpu_states: list[GpuState | None] = []
        self._read_gpu_state()

    def plan(self, budget: float, rounds: int | None) -> list[InterimAnalysis]:
        """Return the interim analyses. They are fixed now: a plan that follows the data is biased.

        Args:
            budget: seconds for all rounds.
            rounds: the most rounds to make; None for as many as the budget allows.
        """
        most = MOST_ROUNDS if rounds is None else rounds
        if self._round_time > 0:
            most = min(most, max(1, int(budget / self._round_time)))
        self._most = most
        return plan_interim_analyses(most, len(self._samplers) - 1)

    def run(self, rounds: int, budget: float) -> bool:
        """Run until there are `rounds` rounds; return False if the budget was spent before."""
        first = next(iter(self.kept.values()))
        while len(first) < rounds:
            if first and self.duration >= budget:
                break
            # Between rounds the device is idle and nothing is timed.
            if machine.clock() - self._gpu_state_read_at >= _GPU_STATE_EVERY:
                self._read_gpu_state()
            self.duration += self._round(self.kept)
            self._done = max(len(first) / self._most, self.duration / budget)
        self._read_gpu_state()
        return len(first) >= rounds

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
        return duration

    def _take(self, name: str, runs: int) -> Batch:
        with naming(name):
            batch = self._samplers[name].take(runs)
        self._bar.update(self._done)
        return batch

    def _plan_batch_runs(self) -> int:
        run_times = []
        for name in self._samplers:
            self._take(name, 1)
            runs = 1
            while (
                duration := self._take(name, runs).duration
            ) < _BATCH_TIME / 3 and runs < _MOST_RUNS:
                runs = min(2 * runs, _MOST_RUNS)
            run_times.append(duration / runs)
        mean = sum(run_times) / len(run_times)
        return max(1, min(_MOST_RUNS, round(_BATCH_TIME / mean) if mean > 0 else _MOST_RUNS))


def measurements_of(
    rounds: Rounds, opened: Opened, method: Method, cache: Cache
) -> dict[str, Measurement]:
    """Return a measurement of each candidate, in the order of the candidates.

    Behind a held stream, the event overhead is subtracted from all times. The overhead would pull
    every ratio towards 1. All candidates share one figure, so the figure cannot favour one.
    """
    device = machine.device_name()
    empty = np.concatenate([_joined(kept, "event_overheads") for kept in rounds.kept.values()])
    event_overhead = float(np.median(empty)) if opened.held and empty.size else None
    shared = (*opened.warnings, *clock_warnings_of_rounds(rounds.gpu_states))
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
    if method in ("event", "graph") and device != "cpu":
        others = float(np.median([batch.others for batch in kept]))
        waiting = in_most([batch.work_was_waiting for batch in kept])
        if not held and not waiting:
            host_time = float(np.median(_joined(kept, "host_times")))
            warnings.append(raw_times(host_time, device_waited=waiting is False))
        warnings.append(judge_coverage(median, others, 1))
        if event_overhead is not None:
            warnings.append(judge_work(median, event_overhead, others))
    return [warning for warning in warnings if warning is not None]


def _joined(batches: list[Batch], field: str) -> Times:
    return np.concatenate([np.asarray(getattr(batch, field), dtype=float) for batch in batches])

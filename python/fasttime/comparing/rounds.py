# SPDX-License-Identifier: BSD-3-Clause
"""The rounds of a comparison: each candidate once, in random order, until it can be told."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from ..environment.gpu_state import GpuState
from ..measuring import machine
from ..measuring.batch import Batch, Sampler
from ..measuring.progress import ProgressBar
from ..stats.interim import InterimAnalysis, plan_interim_analyses
from .opening import naming

# A batch takes about as long, in seconds, on the mean of all candidates: long against the wait at
# either end of it, short against the time in which a machine's clock or its neighbours change, so
# that these change for a round as a whole.
_BATCH_TIME = 15e-3

# All candidates have the same number of runs a batch, so that the same share of noise is left in
# each one's time. Behind a held stream there is room for no more than this.
_MOST_RUNS = 500

# So many rounds are thrown away, since caches, clocks and allocators settle in them.
_IGNORED = 2

# Between two looks at the GPU pass so many seconds at least, as one takes some milliseconds.
_LOOK_EVERY = 0.25

# More than this would not be told apart from systematic error.
MOST_ROUNDS = 1024

# Not the same order each time: a bias that one order has would come back in each comparison, and
# the interval rests on the order's being random. Tests put seeded ones here.
_new_random: Callable[[], random.Random] = random.SystemRandom


class Running:
    """Rounds in progress.

    Args:
        samplers: by candidate, the baseline first. A candidate that raises has its name noted on
            the exception, which passes unchanged.
        bar: is drawn between batches, where the device is idle and nothing is timed.

    Attributes:
        runs: how many runs a batch has.
        kept, ignored: batches by candidate, one a round.
        duration: of all kept batches, in seconds.
        gpu_states: before the first kept round, in between, and after the last.
    """

    def __init__(self, samplers: Mapping[str, Sampler], bar: ProgressBar) -> None:
        self._samplers, self._bar = samplers, bar
        self._most, self._done = MOST_ROUNDS, 0.0  # rounds that are planned; what part is done
        self._shuffle = _new_random().shuffle
        self.runs = self._runs_of_a_batch()
        self.kept: dict[str, list[Batch]] = {name: [] for name in samplers}
        self.duration = 0.0
        self.ignored: dict[str, list[Batch]] = {name: [] for name in samplers}
        # The quickest, as in the first one much may settle.
        self._round_time = min(self._round(self.ignored) for _ in range(_IGNORED))
        self.gpu_states: list[GpuState | None] = []
        self._look_at_gpu()

    def plan(self, budget: float, rounds: int | None) -> list[InterimAnalysis]:
        """Return the looks. Fixed now, since a plan that follows the figures would be biased."""
        most = MOST_ROUNDS if rounds is None else rounds
        if self._round_time > 0:
            most = min(most, max(1, int(budget / self._round_time)))
        self._most = most
        return plan_interim_analyses(most, len(self._samplers) - 1)

    def run(self, rounds: int, budget: float) -> bool:
        """Run up to so many rounds in all; return False where the budget ran out before."""
        first = next(iter(self.kept.values()))
        while len(first) < rounds:
            if first and self.duration >= budget:
                break
            # Between rounds, where the device is idle and nothing is timed.
            if machine.clock() - self._looked_at >= _LOOK_EVERY:
                self._look_at_gpu()
            self.duration += self._round(self.kept)
            self._done = max(len(first) / self._most, self.duration / budget)
        self._look_at_gpu()
        return len(first) >= rounds

    def _look_at_gpu(self) -> None:
        self.gpu_states.append(machine.gpu_state())
        self._looked_at = machine.clock()

    def _round(self, into: dict[str, list[Batch]]) -> float:
        order = list(self._samplers)
        self._shuffle(order)
        duration = 0.0
        for name in order:
            batch = self._take(name, self.runs)
            into[name].append(batch)
            duration += batch.duration
        return duration

    def _take(self, name: str, runs: int) -> Batch:
        with naming(name):
            batch = self._samplers[name].take(runs)
        self._bar.update(self._done)
        return batch

    def _runs_of_a_batch(self) -> int:
        a_run = []
        for name in self._samplers:
            self._take(name, 1)
            runs = 1
            while (
                duration := self._take(name, runs).duration
            ) < _BATCH_TIME / 3 and runs < _MOST_RUNS:
                runs = min(2 * runs, _MOST_RUNS)
            a_run.append(duration / runs)
        mean = sum(a_run) / len(a_run)
        return max(1, min(_MOST_RUNS, round(_BATCH_TIME / mean) if mean > 0 else _MOST_RUNS))

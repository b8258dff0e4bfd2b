# SPDX-License-Identifier: BSD-3-Clause
"""Runs that are queued first and then done without a gap: behind a stream that is held."""

from __future__ import annotations

import functools

import numpy as np

from .. import _native
from .._native import Scope
from ..recorder import Recorder
from . import machine
from .calls import call_once
from .machine import Call
from .measurement import Cache
from .progress import ProgressBar
from .run_progress import RunProgress
from .sampler import Batch
from .samplers import (
    EMPTY,
    RUN,
    nothing,
    read_samples,
    times_of,
)

# A hold that lasts this long beyond what issuing should take is one that nobody will end.
_PATIENCE = 0.03
_PATIENCE_FACTOR = 5.0

# A first call that takes longer, in seconds, may have compiled something, which is not done again.
# It is no measure of patience: nobody waits for minutes to hear that a run cannot be held.
_MAY_BE_COLD = 0.5

# In front of a run, and the last of them is read. The first event behind a hold is stamped while
# the stream is only beginning to move.
_EMPTY_PAIRS = 2

_WHY_NOT = (
    "a run waits for the device, allocates or frees its memory, or puts more into the launch queue "
    "than has room there (some 1,000 launches)"
)

# So that the samples of all pairs can be kept, if each run has to be made twice.
MOST_HELD = 250_000


class CannotBeHeld(RuntimeError):
    """The callable waits for the device, or fills the launch queue, in a single run."""


class HeldSampler:
    """Queues a run behind a held stream, lets it go, and reads its events; one run a hold.

    Launch latency is then not in the readings, and work is waiting at each: a reading is what the
    run adds to a busy stream, and what an empty pair of events reads. Such a pair stands in front
    of each run, read on the same device in the same state.

    Not several runs a hold: in a row the events read more than an empty pair does; see
    `floor_in_a_row`.
    """

    def __init__(self, call: Call, cache: Cache = "warm") -> None:
        self._call = call
        self._clear_cache = machine.cache_clearer() if cache == "cold" else nothing
        self._others: list[float] = []
        # What is loaded at its first use would wait for the device, so the first run is not held.
        self._issue_time = self._time_issuing(functools.partial(call_once, call))
        if self._issue_time > _MAY_BE_COLD:
            self._issue_time = self._time_issuing(call)

    def _time_issuing(self, call: Call) -> float:
        machine.synchronize()
        start = machine.clock()
        self._clear_cache()
        call()
        return machine.clock() - start

    def take(self, runs: int, ignored: int = 0, bar: ProgressBar | None = None) -> Batch:
        """Run the callable; see `Sampler`.

        A run that had to be let go before its time is made again, once.

        Raises CannotBeHeld where that fails too.
        """
        start = machine.clock()
        recorder = Recorder(keep_samples=2 * _EMPTY_PAIRS * runs, share_boundaries=False)
        empty, scope = recorder.scope(EMPTY), recorder.scope(RUN)
        try:
            self._others.clear()
            in_time: list[bool] = []
            progress = RunProgress(bar, runs)
            for stretch in progress.stretches():
                for _ in range(stretch):
                    in_time.append(self._run_held(empty, scope, 1.0))
                    if not in_time[-1]:  # which may have been a pause of the host's own
                        in_time.append(self._run_held(empty, scope, 4.0))
                        if not in_time[-1]:
                            raise CannotBeHeld(_WHY_NOT)
            samples, warning = read_samples(recorder, ignored)
            pairs, _ = read_samples(recorder, 0, EMPTY)
        finally:
            # An exception keeps this frame; it must not keep the recorder's events from their pool.
            del recorder, empty, scope
        times, host_times = times_of(samples)
        event_overheads, _ = times_of(pairs[_EMPTY_PAIRS - 1 :: _EMPTY_PAIRS])
        kept = np.array(in_time)
        duration = machine.clock() - start - progress.pauses.total
        return Batch(
            times[kept],
            host_times[kept],
            duration,
            others=float(np.median(self._others)),
            event_overheads=event_overheads[kept],
            warning=warning,
        )

    def _run_held(self, empty: Scope, scope: Scope, patience: float) -> bool:
        machine.synchronize()
        timeout = patience * (_PATIENCE + _PATIENCE_FACTOR * self._issue_time)
        try:
            hold = _native.StreamHold(timeout)
            try:
                for _ in range(_EMPTY_PAIRS):
                    with empty:
                        pass
                self._clear_cache()
                with scope:
                    self._call()
            finally:
                in_time = hold.release()
        finally:
            del empty, scope  # for the same reason as in `take`
        machine.synchronize_stream()
        reached = machine.clock()
        machine.synchronize()
        self._others.append(machine.clock() - reached)
        return in_time

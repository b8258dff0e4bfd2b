# SPDX-License-Identifier: BSD-3-Clause
"""Runs whose launches are queued first and then run without a gap: behind a stream that is held."""

from __future__ import annotations

import numpy as np

from .. import _native
from ..recorder import Recorder
from . import machine
from .machine import Call
from .measurement import Cache
from .sampler import Batch, Times
from .samplers import EMPTY, RUN, nothing, read_samples, times_of

# So long is the host to queue work behind one hold. A hold costs some 50 us, and what can be queued
# in this time from Python fills about half a launch queue.
_ISSUE_TIME = 1.5e-3

# A hold that lasts this long beyond what issuing should take is one that nobody will end.
_PATIENCE = 0.03
_PATIENCE_FACTOR = 5.0

# Of the empty pairs in front of the runs, the first is stamped when the stream has only just begun
# to move, which is read by none of the runs.
_EMPTY_PAIRS = 3


class CannotBeHeld(RuntimeError):
    """The callable waits for the device, or fills the launch queue, in a single run."""


class HeldSampler:
    """Queues some runs at a time behind a held stream, lets them go and reads their events.

    Launch latency is then not in the readings, and work is waiting at each: what they read is
    what a run adds to a busy stream, and an empty pair of events. The pairs in front of the runs
    are read along with them, on the same device in the same state.
    """

    def __init__(self, call: Call, cache: Cache = "warm") -> None:
        self._call = call
        self._clear_cache = machine.cache_clearer() if cache == "cold" else nothing
        self._at_once = 1
        self._most_at_once = 1 << 16
        machine.synchronize()
        start = machine.clock()
        self._clear_cache()
        call()
        self._issue_time = machine.clock() - start

    def take(self, runs: int, ignored: int = 0) -> Batch:
        """Run the callable; see `Sampler`.

        Runs that had to be let go before their time are not in the batch.

        Raises CannotBeHeld where not even one run can be queued behind a hold.
        """
        times: list[Times] = []
        host_times: list[Times] = []
        floors: list[Times] = []
        done = 0
        start = machine.clock()
        while done < runs:
            batch = self._run_held(min(self._at_once, runs - done), max(0, ignored - done))
            if batch is None:
                continue
            times.append(batch.times)
            host_times.append(batch.host_times)
            floors.append(batch.floors)
            done += len(batch.times)
        return Batch(
            np.concatenate(times),
            np.concatenate(host_times),
            machine.clock() - start,
            floors=np.concatenate(floors),
        )

    def _run_held(self, runs: int, ignored: int) -> Batch | None:
        recorder = Recorder(keep_samples=max(runs, _EMPTY_PAIRS), share_boundaries=False)
        empty, scope = recorder.scope(EMPTY), recorder.scope(RUN)
        try:
            machine.synchronize()
            timeout = _PATIENCE + _PATIENCE_FACTOR * runs * self._issue_time
            hold = _native.StreamHold(timeout)
            start = machine.clock()
            try:
                for _ in range(_EMPTY_PAIRS):
                    with empty:
                        pass
                for _ in range(runs):
                    self._clear_cache()
                    with scope:
                        self._call()
                issue_time = machine.clock() - start
            finally:
                in_time = hold.release()
            machine.synchronize()
            if not in_time:
                self._shrink(runs)
                return None
            self._grow(runs, issue_time)
            samples, doubt = read_samples(recorder, ignored)
            pairs = [sample.device_time for sample in recorder.samples(EMPTY)[1:]]
        finally:
            del recorder, empty, scope
        read, host_times = times_of(samples)
        floors = np.array([pair for pair in pairs if pair is not None])
        return Batch(read, host_times, 0.0, floors=floors, doubt=doubt)

    def _grow(self, runs: int, issue_time: float) -> None:
        self._issue_time = issue_time / runs
        if runs == self._at_once and issue_time < _ISSUE_TIME / 2:
            self._at_once = min(2 * runs, self._most_at_once)

    def _shrink(self, runs: int) -> None:
        if runs > 1:
            self._at_once = self._most_at_once = runs // 2
            return
        # Once may be a pause of the host's own; so the second time it has longer.
        self._failures = getattr(self, "_failures", 0) + 1
        self._issue_time *= 4
        if self._failures > 1:
            raise CannotBeHeld(
                "a run waits for the device, allocates or frees its memory, or puts more in the "
                "launch queue than there is room for (some 1,000 launches)"
            )


def read_floor(pairs: int = 100) -> float:
    """Return what an empty pair of events reads where work is waiting, in seconds.

    Measured behind a held stream on the current device. Waits for the device. Raises RuntimeError
    where the stream cannot be held.
    """
    recorder = Recorder(keep_samples=pairs, share_boundaries=False)
    empty = recorder.scope(EMPTY)
    machine.synchronize()
    hold = _native.StreamHold(_PATIENCE + 1.0)
    try:
        for _ in range(pairs):
            with empty:
                pass
    finally:
        hold.release()
    machine.synchronize()
    recorder.report(wait=True)
    read = [sample.device_time for sample in recorder.samples(EMPTY)[1:]]
    return float(np.median([time for time in read if time is not None]))

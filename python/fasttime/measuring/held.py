# SPDX-License-Identifier: BSD-3-Clause
"""Runs behind a held stream: queued first, then executed without a gap."""

from __future__ import annotations

import functools

import numpy as np

from .. import _native
from .._native import Scope
from ..timing_warning import TimingWarning
from . import machine
from .batch import (
    EMPTY,
    RUN,
    Batch,
    BatchInterrupted,
    new_recorder,
    nothing,
    read_samples,
    times_of,
)
from .calls import call_once
from .elsewhere import SEVERAL, Elsewhere, typical, wait_elsewhere
from .machine import Call
from .options import Cache
from .prepared import runs_of

# A hold that lasts this much longer than issuing should take will never end by itself: the callable
# waits for the device. In seconds, and as a multiple of the time that issuing takes.
_PATIENCE = 0.03
_PATIENCE_FACTOR = 5.0

# A first call that takes longer than this, in seconds, may have compiled something. It says nothing
# about the next call, and a patience based on it could be minutes.
_MAY_BE_COLD = 0.5

# Empty pairs of events before each run; the last of them is read. The first event behind a hold is
# stamped while the stream is only starting to move.
_EMPTY_PAIRS = 2

_WHY_NOT = (
    "a run waits for the device, allocates or frees device memory, or puts more work into the "
    "launch queue than there is room for (about 1,000 launches)"
)

# Each run may have to be made twice, and the samples of all its pairs must be kept.
MOST_HELD = 250_000


class CannotBeHeld(RuntimeError):
    """A single run waits for the device or fills the launch queue, so it cannot be held."""


class HeldSampler:
    """Queues one run behind a held stream, releases the stream, and reads the run's events.

    So no reading includes launch latency, and work is always waiting: a reading is the time that
    the run adds to a busy stream, plus the event overhead. The event overhead is read from an empty
    pair of events before each run, on the same device in the same state.

    Fresh arguments are made before the hold. Making them may wait for the device.

    There is one run per hold, because several runs in a row have a larger overhead than an empty
    pair; see `event_overhead_in_a_row`.
    """

    def __init__(
        self, call: Call, cache: Cache = "warm", warning: TimingWarning | None = None
    ) -> None:
        """Call `call` once or twice. Each batch carries `warning`, if it has none of its own."""
        self._call = call
        self._clear_cache = machine.cache_clearer() if cache == "cold" else nothing
        self._warning = warning
        self._others: list[Elsewhere] = []
        # The first run is not held: loading a kernel at its first use would wait for the device.
        self._issue_time = self._time_issuing(functools.partial(call_once, self._next_call()))
        if self._issue_time > _MAY_BE_COLD:
            self._issue_time = self._time_issuing(self._next_call())

    def _next_call(self) -> Call:
        return next(runs_of(self._call, 1))

    def _time_issuing(self, call: Call) -> float:
        machine.synchronize()
        start = machine.clock()
        self._clear_cache()
        call()
        return machine.clock() - start

    def take(self, runs: int, ignored: int = 0) -> Batch:
        """Run the callable; see `Sampler`.

        A run whose hold was released too early is made again, once.

        Raises CannotBeHeld if the second attempt fails too.
        """
        start = machine.clock()
        recorder = new_recorder(2 * _EMPTY_PAIRS * runs)
        empty, scope = recorder.scope(EMPTY), recorder.scope(RUN)
        interrupt = None
        try:
            self._others.clear()
            in_time: list[bool] = []
            try:
                for _ in range(runs):
                    in_time.append(self._run_held(empty, scope, 1.0))
                    if not in_time[-1]:  # perhaps only the host paused
                        in_time.append(self._run_held(empty, scope, 4.0))
                        if not in_time[-1]:
                            raise CannotBeHeld(_WHY_NOT)
            except KeyboardInterrupt as error:
                if sum(in_time) <= ignored:
                    raise
                interrupt = error
            samples, warning = read_samples(recorder, ignored)
            pairs, _ = read_samples(recorder, 0, EMPTY)
        finally:
            # A traceback keeps this frame. It must not keep the recorder's events from their pool.
            del recorder, empty, scope
        kept = np.array(in_time)
        # An interrupted run is the last one, and `in_time` does not know it.
        times, host_times = (part[: len(kept)] for part in times_of(samples))
        event_overheads, _ = times_of(pairs[_EMPTY_PAIRS - 1 :: _EMPTY_PAIRS])
        batch = Batch(
            times[kept],
            host_times[kept],
            machine.clock() - start,
            others=typical(self._others),
            event_overheads=event_overheads[: len(kept)][kept],
            warning=warning or self._warning,
        )
        if interrupt is not None:
            raise BatchInterrupted(batch) from interrupt
        return batch

    def _run_held(self, empty: Scope, scope: Scope, patience: float) -> bool:
        """Make one run. Return False if the stream was released before everything was queued."""
        call: Call | None = None
        try:
            call = self._next_call()
            machine.synchronize()
            hold = _native.StreamHold(patience * (_PATIENCE + _PATIENCE_FACTOR * self._issue_time))
            try:
                for _ in range(_EMPTY_PAIRS):
                    with empty:
                        pass
                self._clear_cache()
                with scope:
                    call()
            finally:
                in_time = hold.release()
        finally:
            del empty, scope, call  # as in `take`
        machine.synchronize_stream()
        # Asking torch's streams takes as long as a short run. Some answers are enough.
        self._others.append(wait_elsewhere(ask_streams=len(self._others) < SEVERAL))
        return in_time

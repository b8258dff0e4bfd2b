# SPDX-License-Identifier: BSD-3-Clause
"""What two events read by themselves, found on the device."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from .. import _native
from ..recorder import Recorder
from . import machine
from .held import CannotBeHeld
from .sampler import Times
from .samplers import EMPTY, read_samples, times_of

_PAIRS = 60
_PATIENCE = 0.3  # seconds; queuing them takes less than a thousandth of that

# Trains of calls, so long that a launch queue, of some 1,000 entries, holds them.
_TRAINS = (40, 240)
_ROUNDS = 7


def empty_pair() -> float:
    """Return what an empty pair of events reads on a stream that has work waiting, in seconds.

    Waits for the device. Raises RuntimeError where the stream cannot be held, or where events
    cannot be recorded.
    """
    recorder = Recorder(keep_samples=_PAIRS, share_boundaries=False)
    empty = recorder.scope(EMPTY)
    with _held():
        for _ in range(_PAIRS):
            with empty:
                pass
    return float(np.median(_read(recorder, EMPTY)[1:]))


def event_overhead_in_a_row() -> float:
    """Return by how much events read too much of runs that follow one another without a gap.

    In seconds. In such a row a reading exceeds what the run adds to the stream by more than an
    empty pair reads (2.0 us instead of 1.3 on an H100). That is found with a short kernel: read
    between events, and from what a longer train of it takes than a shorter one, without events.

    Takes some 20 ms. Waits for the device. Raises RuntimeError where the stream cannot be held.
    """
    work = machine.short_work()
    work()  # what is loaded at its first use would wait for the device
    found = []
    for _ in range(_ROUNDS):
        recorder = Recorder(keep_samples=_PAIRS, share_boundaries=False)
        run = recorder.scope("run")
        with _held():
            for _ in range(_PAIRS):
                with run:
                    work()
        short, long = (_train(recorder, work, calls) for calls in _TRAINS)
        added = (long - short) / (_TRAINS[1] - _TRAINS[0])
        # The mean, as the median of steps of 32 ns is one of them.
        found.append(float(_read(recorder, "run")[1:].mean()) - added)
    return statistics.median(found)


def _train(recorder: Recorder, work: machine.Call, calls: int) -> float:
    name = f"{calls} calls"
    with _held(), recorder.scope(name):
        for _ in range(calls):
            work()
    return float(_read(recorder, name)[0])


@contextmanager
def _held() -> Iterator[None]:
    machine.synchronize()
    hold = _native.StreamHold(_PATIENCE)
    try:
        yield
    finally:
        in_time = hold.release()
    machine.synchronize()
    if not in_time:
        raise CannotBeHeld("a few hundred calls took longer to queue than a stream is held")


def _read(recorder: Recorder, name: str) -> Times:
    samples, _ = read_samples(recorder, 0, name)
    return times_of(samples)[0]

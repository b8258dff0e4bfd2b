# SPDX-License-Identifier: BSD-3-Clause
"""What timing itself reads: two events on a device, or a loop on the host."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from .. import _native
from ..recorder import Recorder
from ..stats import Times
from ..stats.outliers import middle_mean
from . import machine
from .batch import EMPTY, RUN, new_recorder, nothing, read_samples, times_of
from .held import CannotBeHeld
from .options import Method
from .samplers import open_sampler

_PAIRS = 60
_PATIENCE = 0.3  # seconds; queuing the pairs takes less than a thousandth of that

# The lengths of two trains of calls. A launch queue holds about 1,000 entries.
_TRAINS = (40, 240)
_ROUNDS = 7

_HOST_ROUNDS = 7
_HOST_RUNS = 500


def empty_pair() -> float:
    """Return what an empty pair of events reads on a stream with work waiting, in seconds.

    Waits for the device. Raises RuntimeError if the stream cannot be held or events cannot be
    recorded.
    """
    recorder = new_recorder(_PAIRS)
    empty = recorder.scope(EMPTY)
    with _held():
        for _ in range(_PAIRS):
            with empty:
                pass
    return float(np.median(_read(recorder, EMPTY)[1:]))


def event_overhead_in_a_row() -> float:
    """Return the event overhead in runs that follow each other without a gap, in seconds.

    In such a row a reading exceeds the time that the run adds to the stream by more than an empty
    pair reads: by 2.0 us instead of 1.3 on an H100. The excess is measured with a short kernel: its
    reading between events, minus the difference between a long and a short train of it, per call.

    Takes about 20 ms. Waits for the device. Raises RuntimeError if the stream cannot be held.
    """
    work = machine.short_work()
    work()  # loading the kernel at its first use would wait for the device
    found = []
    for _ in range(_ROUNDS):
        recorder = new_recorder(_PAIRS)
        run = recorder.scope(RUN)
        with _held():
            for _ in range(_PAIRS):
                with run:
                    work()
        short, long = (_train(recorder, work, calls) for calls in _TRAINS)
        added = (long - short) / (_TRAINS[1] - _TRAINS[0])
        # The mean resolves less than the clock's step of 32 ns. A median would be a whole step.
        found.append(float(_read(recorder, RUN)[1:].mean()) - added)
    return statistics.median(found)


def loop_overhead(method: Method) -> float:
    """Return what the loop around a run on the host adds to each reading, in seconds.

    It is the reading of an empty function, minus the time of its call in a loop without timing. So
    an empty function reads the same afterwards as in `timeit`. Takes a few milliseconds.
    """
    readings, loops = [], []
    with open_sampler(nothing, method=method) as sampler:
        for _ in range(_HOST_ROUNDS):
            # The middle mean resolves less than a step of the clock.
            readings.append(float(middle_mean(sampler.take(_HOST_RUNS).times)))
            loops.append(machine.untimed_loop(nothing, _HOST_RUNS) / _HOST_RUNS)
    # Other programs only ever lengthen either, so the shortest are nearest to the truth.
    return max(0.0, min(readings) - min(loops))


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
        raise CannotBeHeld("a few hundred calls took longer to queue than a stream may be held")


def _read(recorder: Recorder, name: str) -> Times:
    samples, _ = read_samples(recorder, 0, name)
    return times_of(samples)[0]

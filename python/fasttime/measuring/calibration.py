# SPDX-License-Identifier: BSD-3-Clause
"""What two events add to a reading by themselves, found on the device."""

from __future__ import annotations

import statistics

from .. import _native
from ..recorder import Recorder
from . import machine
from .held import PATIENCE, CannotBeHeld

_PAIRS = 60
_TRAINS = (40, 240)  # calls; a launch queue holds some 1,000
_ROUNDS = 3


def floor_amid_work() -> float:
    """Return by how much a reading exceeds what a run adds to a stream that is busy, in seconds.

    For runs that follow one another without a gap, as in a loop of which the device is the
    bottleneck. A short kernel is read between events, and what it adds to the stream is found from
    two trains of it without events in between: the difference is the events' own.

    Takes some 10 ms. Waits for the device. Raises RuntimeError where the stream cannot be held.
    """
    work = machine.short_work()
    work()
    found = []
    for _ in range(_ROUNDS):
        recorder = Recorder(keep_samples=_PAIRS, share_boundaries=False)
        run, short, long = (recorder.scope(name) for name in ("run", "short", "long"))
        hold = _held()
        for _ in range(_PAIRS):
            with run:
                work()
        _release(hold)
        for scope, calls in zip((short, long), _TRAINS, strict=True):
            hold = _held()
            with scope:
                for _ in range(calls):
                    work()
            _release(hold)
        report = recorder.report(wait=True)
        readings = [sample.device_time or 0.0 for sample in recorder.samples("run")]
        trains = [report[name].time.mean for name in ("short", "long")]
        added = (trains[1] - trains[0]) / (_TRAINS[1] - _TRAINS[0])
        found.append(statistics.median(readings) - added)
    return statistics.median(found)


def empty_pair() -> float:
    """Return what an empty pair of events reads on a stream that has work waiting, in seconds.

    Waits for the device. Raises RuntimeError where the stream cannot be held.
    """
    recorder = Recorder(keep_samples=_PAIRS, share_boundaries=False)
    empty = recorder.scope("empty")
    hold = _held()
    for _ in range(_PAIRS):
        with empty:
            pass
    _release(hold)
    recorder.report(wait=True)
    read = [sample.device_time or 0.0 for sample in recorder.samples("empty")[1:]]
    return statistics.median(read)


def _held() -> _native.StreamHold:
    machine.synchronize()
    return _native.StreamHold(10 * PATIENCE)


def _release(hold: _native.StreamHold) -> None:
    if not hold.release():
        raise CannotBeHeld("queuing a few hundred calls took longer than a stream is held")
    machine.synchronize()

# SPDX-License-Identifier: BSD-3-Clause
"""What two events read by themselves, found on the device."""

from __future__ import annotations

import statistics

from .. import _native
from ..recorder import Recorder
from . import machine
from .held import CannotBeHeld

_PAIRS = 60
_PATIENCE = 0.3  # seconds; queuing them takes less than a thousandth of that


def empty_pair() -> float:
    """Return what an empty pair of events reads on a stream that has work waiting, in seconds.

    That is by how much the reading of a run exceeds what the run adds to a busy stream, to 0.2 us
    on an H100. Waits for the device. Raises RuntimeError where the stream cannot be held.
    """
    recorder = Recorder(keep_samples=_PAIRS, share_boundaries=False)
    empty = recorder.scope("empty")
    machine.synchronize()
    hold = _native.StreamHold(_PATIENCE)
    try:
        for _ in range(_PAIRS):
            with empty:
                pass
    finally:
        in_time = hold.release()
    machine.synchronize()
    if not in_time:
        raise CannotBeHeld(f"{2 * _PAIRS} events took longer to queue than a stream is held")
    recorder.report(wait=True)
    read = [sample.device_time or 0.0 for sample in recorder.samples("empty")[1:]]
    return statistics.median(read)

# SPDX-License-Identifier: BSD-3-Clause
"""What two events read by themselves, found on the device."""

from __future__ import annotations

import numpy as np

from .. import _native
from ..recorder import Recorder
from . import machine
from .held import CannotBeHeld
from .samplers import EMPTY, read_samples, times_of

_PAIRS = 60
_PATIENCE = 0.3  # seconds; queuing them takes less than a thousandth of that


def empty_pair() -> float:
    """Return what an empty pair of events reads on a stream that has work waiting, in seconds.

    That is by how much the reading of a run exceeds what the run adds to a busy stream, to 0.2 us
    on an H100. Waits for the device. Raises RuntimeError where the stream cannot be held, or
    where events cannot be recorded.
    """
    recorder = Recorder(keep_samples=_PAIRS, share_boundaries=False)
    empty = recorder.scope(EMPTY)
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
    samples, _ = read_samples(recorder, 0, EMPTY)
    times, _ = times_of(samples)
    return float(np.median(times[1:]))

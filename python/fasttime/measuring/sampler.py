# SPDX-License-Identifier: BSD-3-Clause
"""What `measure` and `compare` are made of: something that runs a callable and reads each run."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..timing_warning import TimingWarning
from .progress import ProgressBar

Times = npt.NDArray[np.float64]


class Batch(NamedTuple):
    """Some runs in a row, in seconds.

    Attributes:
        times: what the method read for each run, in the order in which they ran.
        host_times: how long the host was in the callable, for each run.
        duration: the whole batch, with the device idle at either end, without the drawing of a bar.
        backlog: how long the timed stream went on after the host had left the last run.
        work_was_waiting: whether no run had to wait for its work; None where that cannot be told,
            or was not looked at.
        others: how long other streams of the device went on after that.
        floors: readings of empty runs, taken behind a hold in between; empty where there are none.
        doubt: what the method itself has to say.
        kept_duration: what the runs that count took, from where the first of them could begin, with
            the device idle at the end; 0 where nobody asked, as behind a hold.
    """

    times: Times
    host_times: Times
    duration: float
    backlog: float = 0.0
    work_was_waiting: bool | None = None
    others: float = 0.0
    event_overheads: Times = np.empty(0)
    warning: TimingWarning | None = None
    kept_duration: float = 0.0


class Sampler(Protocol):
    """Runs one callable by one method. Opened once, then asked for batch after batch."""

    def take(self, runs: int, ignored: int = 0, bar: ProgressBar | None = None) -> Batch:
        """Run the callable so many times. Waits for the device before and after.

        The first `ignored` runs are warm-up: read like the others, but nothing is concluded from
        them. A bar, if given, shows how many are done.
        """
        ...

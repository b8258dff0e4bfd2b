# SPDX-License-Identifier: BSD-3-Clause
"""What `measure` and `compare` are made of: something that runs a callable and reads each run."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt


class Batch(NamedTuple):
    """Some runs in a row, in seconds.

    Attributes:
        times: what the method read for each run, in the order in which they ran.
        host_times: how long the host was in the callable, for each run.
        duration: the whole batch, with the device idle at either end.
    """

    times: npt.NDArray[np.float64]
    host_times: npt.NDArray[np.float64]
    duration: float


class Sampler(Protocol):
    """Runs one callable by one method. Opened once, then asked for batch after batch."""

    def take(self, runs: int) -> Batch:
        """Run the callable so many times. Waits for the device before and after."""
        ...

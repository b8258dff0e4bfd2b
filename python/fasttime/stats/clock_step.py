# SPDX-License-Identifier: BSD-3-Clause
"""The step of a clock, found in the readings."""

from __future__ import annotations

import numpy as np

from . import Times

# A gap is taken for a step of the clock if it is at most this share of the median, or at most this
# many seconds.
_COARSEST_SHARE = 0.1
_COARSEST_SECONDS = 1e-6

# All gaps must be whole numbers of steps, to within this part of a step. A reading of 100 ms by
# events is a float of 24 bits, and may be off by a quarter of a 32 ns step.
_OFF_STEP = 0.3


def clock_step(times: Times) -> float:
    """Return the step of the clock that read these times, in seconds; 0 if no step shows.

    A step shows if the same few values come again and again, all of them whole steps apart. A
    single reading apart from the others is a stray reading and shows no step.
    """
    values, counts = np.unique(times, return_counts=True)
    if values.size < 2 or values.size > len(times) / 2 or len(times) - counts.max() < 2:
        return 0.0
    gaps = np.diff(values)
    step = float(gaps.min())
    steps = gaps / step
    if not np.isfinite(steps).all() or np.abs(steps - np.rint(steps)).max() > _OFF_STEP:
        return 0.0
    coarsest = max(_COARSEST_SHARE * abs(float(np.median(times))), _COARSEST_SECONDS)
    return step if step <= coarsest else 0.0

# SPDX-License-Identifier: BSD-3-Clause
"""The step of a clock, found in the readings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import Times

# A gap is taken for a step of the clock if it is at most this share of the median, or at most this
# many seconds.
_COARSEST_SHARE = 0.1
_COARSEST_SECONDS = 1e-6

# All gaps must be whole numbers of steps, to within this part of a step. A reading of 100 ms by
# events is a float of 24 bits, and may be off by a quarter of a 32 ns step.
_OFF_STEP = 0.3

# Some clocks move in steps that are coarser than the unit of their readings: 10 ns, rounded to
# whole ns. Rounding moves each end of a run by up to one unit, so readings lie within two units of
# a step. A step of fewer units than this cannot be told from the unit.
_ROUNDED = 2.5
_FEWEST_UNITS = 5
_NEAR = 3.5  # steps


def clock_step(times: Times) -> float:
    """Return the step of the clock that read these times, in seconds; 0 if no step shows.

    A step shows if the same few values come again and again, all of them whole steps apart. Values
    that differ only by the rounding of the readings count as one. A single reading apart from the
    others is a stray reading and shows no step.
    """
    values, counts = np.unique(times, return_counts=True)
    if values.size < 2 or values.size > len(times) / 2 or len(times) - counts.max() < 2:
        return 0.0
    gaps = np.diff(values)
    if not np.isfinite(gaps).all():
        return 0.0
    coarsest = max(_COARSEST_SHARE * abs(float(np.median(times))), _COARSEST_SECONDS)
    for step in (_rounded_step(values, counts), _whole_step(gaps)):
        if 0 < step <= coarsest:
            return step
    return 0.0


def _whole_step(gaps: Times) -> float:
    """Return the smallest gap if all gaps are whole numbers of it, else 0."""
    step = float(gaps.min())
    steps = gaps / step
    if not np.isfinite(steps).all() or np.abs(steps - np.rint(steps)).max() > _OFF_STEP:
        return 0.0
    return step


def _rounded_step(values: Times, counts: npt.NDArray[np.int_]) -> float:
    """Return the step between groups of values that differ only by rounding; 0 without groups."""
    gaps = np.diff(values)
    unit = float(gaps.min())
    is_new_group = gaps > _ROUNDED * unit
    starts = np.concatenate(([0], np.flatnonzero(is_new_group) + 1))
    if not 2 <= len(starts) < len(values):
        return 0.0
    ends = np.concatenate((starts[1:], [len(values)])) - 1
    if (values[ends] - values[starts]).max() > _ROUNDED * unit:
        return 0.0
    runs = np.add.reduceat(counts, starts)
    if runs.sum() - runs.max() < 2:  # a stray reading
        return 0.0
    gaps = np.diff(np.add.reduceat(values * counts, starts) / runs)
    # The centres are only nearly whole steps apart, so wide gaps say nothing.
    gaps = gaps[gaps <= _NEAR * gaps.min()]
    if _whole_step(gaps) < _FEWEST_UNITS * unit:
        return 0.0
    return float(np.median(gaps / np.rint(gaps / gaps.min())))

# SPDX-License-Identifier: BSD-3-Clause
"""Warnings from the GPU's state: throttling, and a clock that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..environment.gpu_state import IDLE, GpuState
from ..text import format_change
from ..timing_warning import TimingWarning

# A clock that changed by more than this share changes times by as much. Boost clocks vary by less.
CLOCK_CHANGE = 0.05

# Sides of a comparison whose median clocks differ by more than this share differ in speed by about
# twice the usual margin. A step of the clock is less than 1 %.
_CLOCKS_DIFFER = 0.02

_TO_SPEED = "let it cool down, raise its power limit, or lock its clocks at a rate that it can hold"
_LOCK = "lock the clocks (nvidia-smi --lock-gpu-clocks)"


class ClockSample(NamedTuple):
    """The clock of the multiprocessors at one moment.

    Attributes:
        run: how many kept runs had ended.
        mhz: the clock in MHz.
    """

    run: int
    mhz: float


def median_clock(clocks: Sequence[ClockSample]) -> float | None:
    """Return the median clock in MHz; None if there is no sample."""
    return float(np.median([one.mhz for one in clocks])) if clocks else None


def clocks_differ(clocks: Mapping[str, float | None]) -> TimingWarning | None:
    """Return a warning if the sides of a comparison ran at different clocks.

    Args:
        clocks: the median SM clock of each side in MHz, by its name; None if unknown.
    """
    known = {name: clock for name, clock in clocks.items() if clock}
    if len(known) < 2:
        return None
    slow, fast = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    if known[fast] / known[slow] - 1 <= _CLOCKS_DIFFER:
        return None
    return TimingWarning(
        "clocks_differ",
        f"{slow} ran at {known[slow]:.0f} MHz and {fast} at {known[fast]:.0f} MHz "
        f"({format_change(known[slow] / known[fast] - 1)}), so ratios mix the code with the clock. "
        f"To compare the code alone, {_LOCK}.",
    )


def clock_warnings(before: GpuState | None, after: GpuState | None) -> tuple[TimingWarning, ...]:
    """Return the warnings from the GPU's state before and after the kept runs.

    Args:
        before: after the warm-up and before the first kept run; None if unknown.
        after: after the last run; None if unknown.

    Clocks are not compared if the GPU was idle in either state, because an idle GPU has another
    clock than a busy one.
    """
    states = _known((before, after))
    warnings = []
    if cause := _throttling(states):
        warnings.append(
            TimingWarning(
                "throttled",
                f"The GPU was throttled ({cause}), so times are longer than at full speed. To get "
                f"full speed, {_TO_SPEED}.",
            )
        )
    clocks = _clocks(states)
    if len(clocks) == 2 and abs(clocks[1] / clocks[0] - 1) > CLOCK_CHANGE:
        old, new = clocks
        warnings.append(
            TimingWarning(
                "clock_changed",
                f"The GPU clock went from {old:.0f} MHz to {new:.0f} MHz "
                f"({format_change(new / old - 1)}) between the first kept run and the last, so "
                f"times mix clock rates. Warm up for longer, or {_LOCK}.",
            )
        )
    return tuple(warnings)


def clock_warnings_of_rounds(found: Sequence[GpuState | None]) -> tuple[TimingWarning, ...]:
    """Return the warnings from the GPU's states before, between and after the rounds of `compare`.

    If all candidates of a round slow down alike, their ratio does not change. So these warnings are
    milder than in `clock_warnings`. But a lower clock slows down computation more than memory
    traffic, and a power limit slows down the work that draws most power.

    Args:
        found: the states in order; None for an unknown state.
    """
    states = _known(found)
    warnings = []
    if cause := _throttling(states):
        times = sum(bool(state.slowdowns) for state in states)
        warnings.append(
            TimingWarning(
                "throttled",
                f"The GPU was throttled at {times} of {len(states)} checks between rounds "
                f"({cause}), so times and ratios come from a throttled GPU, which slows down "
                f"computation most. To compare at full speed, {_TO_SPEED}.",
            )
        )
    clocks = _clocks(states)
    if clocks and max(clocks) / min(clocks) - 1 > CLOCK_CHANGE:
        low, high = min(clocks), max(clocks)
        warnings.append(
            TimingWarning(
                "clock_changed",
                f"The GPU clock varied between {low:.0f} MHz and {high:.0f} MHz "
                f"({format_change(low / high - 1)}) over the rounds, so medians mix clock rates, "
                "and ratios are only right if all candidates slow down alike. To be sure, "
                f"{_LOCK}.",
            )
        )
    return tuple(warnings)


def _known(states: Sequence[GpuState | None]) -> list[GpuState]:
    return [state for state in states if state is not None]


def _throttling(states: Sequence[GpuState]) -> str:
    """Return what throttled the GPU in any state, with temperature and power in the last state."""
    reasons = dict.fromkeys(reason for state in states for reason in state.slowdowns)
    return f"{', '.join(reasons)}{_heat(states[-1])}" if reasons else ""


def _clocks(states: Sequence[GpuState]) -> list[int]:
    """Return the SM clocks in MHz of the states in which the GPU was at work."""
    return [
        state.sm_clock_mhz
        for state in states
        if state.sm_clock_mhz and IDLE not in state.throttle_reasons
    ]


def _heat(state: GpuState) -> str:
    parts = []
    if state.temperature_c is not None:
        parts.append(f"{state.temperature_c:.0f} °C")
    if state.power_w is not None:
        parts.append(f"{state.power_w:.0f} W")
    return f"; {', '.join(parts)} at the end" if parts else ""

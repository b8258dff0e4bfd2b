# SPDX-License-Identifier: BSD-3-Clause
"""Doubts that rest on the device's state between runs: throttling, another clock."""

from __future__ import annotations

from collections.abc import Sequence

from ..environment.gpu_state import IDLE, GpuState
from ..text import format_change
from ..timing_warning import TimingWarning

# A clock that changed by more than this changes times by as much; boost clocks move by less by
# themselves.
CLOCK_CHANGE = 0.05


def clock_warnings(before: GpuState | None, after: GpuState | None) -> tuple[TimingWarning, ...]:
    """Return what two looks at the device say against the times measured in between.

    Args:
        before: the GPU's state after the warm-up and before the first kept run; None where it was
            not looked at.
        after: the same after the last run.

    An idle device's clock says nothing about the one at work, so that clocks are not compared where
    either look found the device idle.
    """
    looks = _taken((before, after))
    warnings = []
    if held_back := _held_back(looks):
        warnings.append(
            TimingWarning(
                "throttled",
                f"the device was held back ({held_back}), so that times are longer than it could "
                "do; let it cool down, raise its power limit, or lock its clocks at what it can "
                "hold",
            )
        )
    clocks = _clocks(looks)
    if len(clocks) == 2 and abs(clocks[1] / clocks[0] - 1) > CLOCK_CHANGE:
        old, new = clocks
        warnings.append(
            TimingWarning(
                "clock_changed",
                f"the device's clock went from {old:.0f} MHz to {new:.0f} MHz "
                f"({format_change(new / old - 1)}) between the first run and the last; warm up for "
                "longer, or lock the clocks (nvidia-smi --lock-gpu-clocks)",
            )
        )
    return tuple(warnings)


def clock_warnings_of_rounds(found: Sequence[GpuState | None]) -> tuple[TimingWarning, ...]:
    """Return what looks at the device between rounds say against the ratios found in them.

    What slows all candidates of a round down alike is in no ratio. So the doubt is a smaller one
    than that of `clock_doubts`, and another: a clock does not slow down alike what waits for memory
    and what computes, and a limit of power does not slow down alike what draws more and less.

    Args:
        found: the GPU's state before the first round, in between, and after the last; None where it
            could not be told.
    """
    looks = _taken(found)
    warnings = []
    if held_back := _held_back(looks):
        times = sum(bool(look.slowdowns) for look in looks)
        warnings.append(
            TimingWarning(
                "throttled",
                f"the device was held back at {times} of {len(looks)} looks between rounds "
                f"({held_back}): times and ratios are those of a device held back, which slows "
                "down most what computes most; to compare at full speed let it cool down, raise "
                "its power limit, or lock its clocks at what it can hold",
            )
        )
    clocks = _clocks(looks)
    if clocks and max(clocks) / min(clocks) - 1 > CLOCK_CHANGE:
        low, high = min(clocks), max(clocks)
        warnings.append(
            TimingWarning(
                "clock_changed",
                f"the device's clock lay between {low:.0f} MHz and {high:.0f} MHz "
                f"({format_change(low / high - 1)}) from round to round: medians are of no one "
                "clock, and ratios are free of it only where it slows all candidates down alike; "
                "lock the clocks (nvidia-smi --lock-gpu-clocks)",
            )
        )
    return tuple(warnings)


def _taken(looks: Sequence[GpuState | None]) -> list[GpuState]:
    return [look for look in looks if look is not None]


def _held_back(looks: Sequence[GpuState]) -> str:
    """Return what held the device back at any look, and its heat at the last one, in words."""
    reasons = dict.fromkeys(reason for look in looks for reason in look.slowdowns)
    return f"{', '.join(reasons)}{_heat(looks[-1])}" if reasons else ""


def _clocks(looks: Sequence[GpuState]) -> list[int]:
    """Return the clocks of a device at work. An idle one's says nothing about it."""
    return [
        look.sm_clock_mhz
        for look in looks
        if look.sm_clock_mhz and IDLE not in look.throttle_reasons
    ]


def _heat(look: GpuState) -> str:
    parts = []
    if look.temperature_c is not None:
        parts.append(f"{look.temperature_c:.0f} °C")
    if look.power_w is not None:
        parts.append(f"{look.power_w:.0f} W")
    return f"; {', '.join(parts)} at the end" if parts else ""

# SPDX-License-Identifier: BSD-3-Clause
"""Doubts that rest on the device's state before and after: throttling, another clock."""

from __future__ import annotations

from ..gpu_state import IDLE, GpuState
from ..units import format_change
from .doubts import Doubt

# A clock that changed by more than this changes times by as much; boost clocks move by less by
# themselves.
CLOCK_CHANGE = 0.05


def clock_doubts(before: GpuState | None, after: GpuState | None) -> tuple[Doubt, ...]:
    """Return what two looks at the device say against the times measured in between.

    Args:
        before: the GPU's state after the warm-up and before the first kept run; None where it was
            not looked at.
        after: the same after the last run.

    An idle device's clock says nothing about the one at work, so that clocks are not compared where
    either look found the device idle.
    """
    looks = [look for look in (before, after) if look is not None]
    doubts = []
    if held_back := list(dict.fromkeys(reason for look in looks for reason in look.slowdowns)):
        doubts.append(
            Doubt(
                "throttled",
                f"the device was held back ({', '.join(held_back)}{_heat(looks[-1])}), so that "
                "times are longer than it could do; let it cool down, raise its power limit, "
                "or lock its clocks at what it can hold",
            )
        )
    old, new = (None if look is None else look.sm_clock_mhz for look in (before, after))
    is_idle = any(IDLE in look.throttle_reasons for look in looks)
    if old and new and not is_idle and abs(new / old - 1) > CLOCK_CHANGE:
        doubts.append(
            Doubt(
                "clock_changed",
                f"the device's clock went from {old:.0f} MHz to {new:.0f} MHz "
                f"({format_change(new / old - 1)}) between the first run and the last; warm up for "
                "longer, or lock the clocks (nvidia-smi --lock-gpu-clocks)",
            )
        )
    return tuple(doubts)


def _heat(look: GpuState) -> str:
    parts = []
    if look.temperature_c is not None:
        parts.append(f"{look.temperature_c:.0f} °C")
    if look.power_w is not None:
        parts.append(f"{look.power_w:.0f} W")
    return f"; {', '.join(parts)} at the end" if parts else ""

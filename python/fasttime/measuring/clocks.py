# SPDX-License-Identifier: BSD-3-Clause
"""Doubts that rest on the device's state before and after: throttling, another clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..units import format_change
from .doubts import Doubt

# A clock that changed by more than this changes times by as much; boost clocks move by less by
# themselves.
CLOCK_CHANGE = 0.05

# These say why a clock is as it is, not that it is held back from what it could be.
_HARMLESS = {"", "none", "idle", "gpuidle", "applicationsclockssetting", "displayclocksetting"}


def clock_doubts(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[Doubt, ...]:
    """Return what two looks at the device say against the times measured in between.

    Args:
        before: the device's state after the warm-up and before the first kept run, by name:
            ``sm_clock_mhz``, ``throttle_reasons`` (a tuple of texts), ``power_w`` and
            ``temperature_c``, each of which may be missing or None. None where it was not looked.
        after: the same after the last run.

    An idle device's clock says nothing about the one at work, so that clocks are not compared where
    either look found the device idle.
    """
    before, after = before or {}, after or {}
    doubts = []
    reasons = dict.fromkeys((*_reasons(before), *_reasons(after)))
    if held_back := [reason for reason in reasons if _bare(reason) not in _HARMLESS]:
        doubts.append(
            Doubt(
                "throttled",
                f"the device was held back ({', '.join(held_back)}{_heat(after)}), so that times "
                "are longer than it could do; let it cool down, raise its power limit, or lock its "
                "clocks at what it can hold",
            )
        )
    old, new = before.get("sm_clock_mhz"), after.get("sm_clock_mhz")
    is_idle = any(_bare(reason) in ("idle", "gpuidle") for reason in reasons)
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


def _reasons(state: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(state.get("throttle_reasons") or ())


def _bare(reason: str) -> str:
    return "".join(letter for letter in reason.lower() if letter.isalnum())


def _heat(state: Mapping[str, Any]) -> str:
    parts = []
    if (temperature := state.get("temperature_c")) is not None:
        parts.append(f"{temperature:.0f} °C")
    if (power := state.get("power_w")) is not None:
        parts.append(f"{power:.0f} W")
    return f"; {', '.join(parts)} at the end" if parts else ""

# SPDX-License-Identifier: BSD-3-Clause
"""Durations and changes in words for people."""

from __future__ import annotations

import math

_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))


def format_seconds(seconds: float) -> str:
    """Return a duration, given in seconds, with four significant digits and the unit that suits it.

    >>> format_seconds(0.0477)
    '47.70 ms'
    """
    # Rounded first, so that 999.97 us is written as 1.000 ms and not as 1000 us.
    rounded = float(f"{seconds:.3e}")
    if not math.isfinite(seconds) or seconds == 0 or abs(rounded) >= 1e4:
        return f"{seconds + 0.0:.0f} s"  # without the sign that 0 can have
    unit, scale = next((pair for pair in _UNITS if abs(rounded) >= pair[1]), _UNITS[-1])
    digits = f"{rounded / scale:#.4g}"
    return f"{digits.rstrip('.')} {unit}"


def format_change(change: float) -> str:
    """Return a relative change with its sign, in per cent.

    >>> format_change(0.4147)
    '+41.5 %'
    """
    return f"{round(100 * change, 1) + 0.0:+.1f} %"

# SPDX-License-Identifier: BSD-3-Clause
"""Host or device: which of them decides how long the callable takes, and by how much."""

from __future__ import annotations

import math

from ..bottleneck import Bottleneck
from ..text import format_seconds

# Host and device time closer than this to one another leave it open which of them decides.
_CLOSE = 0.1


def judge(host_time: float, device_time: float, work_was_waiting: bool | None) -> Bottleneck:
    """Return the bottleneck.

    Args:
        host_time: what issuing takes, in seconds, where nothing holds the host back.
        device_time: what a run takes on the device; with the device's waits for the host in it,
            unless work was waiting.
        work_was_waiting: when `device_time` was read; None where that cannot be told.
    """
    figures = f"{format_seconds(host_time)} to issue, {format_seconds(device_time)} on the device"
    if work_was_waiting:
        ratio = host_time / device_time if device_time > 0 else math.inf
        if ratio > 1 + _CLOSE:
            return Bottleneck(
                "host-bound", f"the device could go {_times(ratio)} faster ({figures})", ratio
            )
        if ratio < 1 / (1 + _CLOSE):
            headroom = 1 / ratio if ratio > 0 else math.inf
            return Bottleneck(
                "device-bound",
                f"the host could issue {_times(headroom)} faster ({figures})",
                headroom,
            )
        return Bottleneck("unclear", f"too close to call ({figures})", ratio)
    if work_was_waiting is False:
        return Bottleneck(
            "host-bound",
            f"the device had nothing left to do when the host was through ({figures}, its waits "
            "for the host included), which says nothing of how fast the device could go",
        )
    return Bottleneck(
        "unclear",
        f"whether the device waited for the host is told only behind a held stream ({figures}, any "
        "such waits included)",
    )


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if math.isfinite(ratio) else "any number of times"

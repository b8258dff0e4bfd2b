# SPDX-License-Identifier: BSD-3-Clause
"""The bottleneck of a measured callable: host or device, and by what factor."""

from __future__ import annotations

import math

from ..bottleneck import Bottleneck
from ..text import format_seconds

# Host and device times within this share of each other leave the bottleneck unclear.
_CLOSE = 0.1


def judge(host_time: float, device_time: float, work_was_waiting: bool | None) -> Bottleneck:
    """Return the bottleneck. Times are in seconds per run.

    Args:
        host_time: how long the host takes to issue a run if nothing makes the host wait.
        device_time: how long the device takes for a run. Includes the device's waits for the host
            unless work was waiting.
        work_was_waiting: whether work was waiting on the stream at each run; None if unknown.
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
            f"the device was idle by the time the host had issued the last run ({figures}, waits "
            "for the host included); only hold=True shows how fast the device could go",
        )
    return Bottleneck(
        "unclear",
        f"only hold=True shows whether the device waited for the host ({figures}, any such waits "
        "included)",
    )


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if math.isfinite(ratio) else "any number of times"

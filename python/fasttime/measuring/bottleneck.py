# SPDX-License-Identifier: BSD-3-Clause
"""Host or device: which of them decides how long the callable takes, and by how much."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from ..text import for_stdout, format_seconds

# Host and device time closer than this to one another leave it open which of them decides.
_CLOSE = 0.1


class Bottleneck(NamedTuple):
    """Whether the host or the device decides how long a callable takes.

    Attributes:
        bound: ``host-bound``: issuing the work takes longer than the work, so that a faster device
            changes nothing; ``device-bound``: the work takes longer; ``unclear``: too close to
            call, or not to be told from what was measured.
        headroom: by what factor the other one could go faster than the bottleneck: 8.0 on a
            host-bound callable says that the device is idle for 7/8 of the time; None if unknown.
        reason: the same in a sentence, with its figures.
    """

    bound: Literal["host-bound", "device-bound", "unclear"]
    headroom: float | None
    reason: str

    def __str__(self) -> str:
        return for_stdout(f"{self.bound}: {self.reason}")


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
                "host-bound", ratio, f"the device could go {_times(ratio)} faster ({figures})"
            )
        if ratio < 1 / (1 + _CLOSE):
            headroom = 1 / ratio if ratio > 0 else math.inf
            return Bottleneck(
                "device-bound",
                headroom,
                f"the host could issue {_times(headroom)} faster ({figures})",
            )
        return Bottleneck("unclear", ratio, f"too close to call ({figures})")
    if work_was_waiting is False:
        return Bottleneck(
            "host-bound",
            None,
            f"the device had nothing left to do when the host was through ({figures}, its waits "
            "for the host included), which says nothing of how fast the device could go",
        )
    return Bottleneck(
        "unclear",
        None,
        f"whether the device waited for the host is told only behind a held stream ({figures}, any "
        "such waits included)",
    )


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if math.isfinite(ratio) else "any number of times"

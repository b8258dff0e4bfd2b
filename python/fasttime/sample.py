# SPDX-License-Identifier: BSD-3-Clause
"""One pass through a scope."""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["ok", "host_only", "dropped", "captured", "failed"]
STATUSES: tuple[Status, ...] = ("ok", "host_only", "dropped", "captured", "failed")


class Sample(NamedTuple):
    """What became of one scope. Times are in seconds.

    Attributes:
        path: the names from the root to the scope, joined by ``/``.
        status: ``ok``: host and device time; ``host_only``: CUDA was not up when it began, or there
            is none; ``dropped``: there was no room for it, or it was never ended; ``captured``: its
            stream was capturing a CUDA graph; ``failed``: CUDA answered an error.
        host_begin: when the host began it, on the clock of ``time.perf_counter``, to about 10 us.
        host_time: from begin to end on the host; None where it was never ended.
        device_time: from begin to end on the stream; None unless the status is ``ok``.
        shares_boundary: one of its two events serves a neighbouring scope as well.
    """

    path: str
    status: Status
    host_begin: float
    host_time: float | None
    device_time: float | None
    shares_boundary: bool

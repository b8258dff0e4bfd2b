# SPDX-License-Identifier: BSD-3-Clause
"""One sample: the times of one scope."""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["ok", "host_only", "dropped", "captured", "failed"]
STATUSES: tuple[Status, ...] = ("ok", "host_only", "dropped", "captured", "failed")


class Sample(NamedTuple):
    """The times of one scope, in seconds.

    Attributes:
        path: the names from the root to the scope, joined by ``/``.
        status: how the scope ended. ``ok``: it has host time and device time. ``host_only``: CUDA
            had not started when it began, or there is no CUDA. ``dropped``: fasttime had no room
            for it, or it never ended. ``captured``: its stream was capturing a CUDA graph.
            ``failed``: a CUDA call failed.
        host_begin: when the host began the scope, on the clock of ``time.perf_counter``, to
            about 1 µs. For a scope inside a CUDA graph: when the device began it, on that clock.
        host_time: from begin to end on the host; None if the scope never ended, or lies inside a
            CUDA graph.
        device_time: from begin to end on the stream; None unless the status is ``ok``.
        shares_boundary: whether the scope uses an event that was recorded for a neighbour.
    """

    path: str
    status: Status
    host_begin: float
    host_time: float | None
    device_time: float | None
    shares_boundary: bool

# SPDX-License-Identifier: BSD-3-Clause
"""One scope on a timeline."""

from __future__ import annotations

from typing import NamedTuple

from ..sample import Status


def stream_name(handle: int) -> str:
    """Return the name of a stream for tracks and legends."""
    return "default" if handle == 0 else f"{handle:#x}"


class Span(NamedTuple):
    """One pass through a scope: when it ran on the host and when on the device.

    Times are in seconds. All four moments are on the clock of ``time.perf_counter``, including
    the two of the device.

    Attributes:
        path: the names from the root to the scope, joined by ``/``.
        name: the scope's own name, the last part of the path.
        parent: the path of the scope around this scope; None at the root.
        depth: how many scopes are around this scope.
        status: how the scope ended; see `Sample.status`.
        thread: the native id of the thread that began the scope.
        thread_name: the thread's name; None if Python did not know the thread.
        device: the device's index; None without a device.
        stream: the handle of the CUDA stream, 0 for the default stream; None without a device.
        host_begin: when the host began the scope. Inside a CUDA graph: like `device_begin`.
        host_end: when the host ended the scope; None if the scope never ended, or lies inside a
            CUDA graph.
        device_begin: when the stream reached the scope's beginning. None unless the status is
            ``ok`` and fasttime could compare the clocks of host and device.
        device_end: when the stream reached the scope's end; None like `device_begin`.
        uncertainty: the largest error of `device_begin` and `device_end`, in seconds. Both have the
            same error, so their difference is exact. None like `device_begin`.
        shares_boundary: whether the scope uses an event that was recorded for a neighbour.
    """

    path: str
    name: str
    parent: str | None
    depth: int
    status: Status
    thread: int
    thread_name: str | None
    device: int | None
    stream: int | None
    host_begin: float
    host_end: float | None
    device_begin: float | None
    device_end: float | None
    uncertainty: float | None
    shares_boundary: bool

    @property
    def host_time(self) -> float | None:
        """Seconds from begin to end on the host; None if `host_end` is None."""
        return None if self.host_end is None else self.host_end - self.host_begin

    @property
    def device_time(self) -> float | None:
        """Seconds from begin to end on the stream; None if unknown."""
        if self.device_begin is None or self.device_end is None:
            return None
        return self.device_end - self.device_begin

    @property
    def stream_name(self) -> str | None:
        """The stream's handle in hexadecimal, or ``default`` for the default stream."""
        return None if self.stream is None else stream_name(self.stream)

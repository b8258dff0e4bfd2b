# SPDX-License-Identifier: BSD-3-Clause
"""One scope on a timeline."""

from __future__ import annotations

from typing import NamedTuple

from ..sample import Status


def stream_name(handle: int) -> str:
    """Return what a stream is called in tracks and legends."""
    return "default" if handle == 0 else f"{handle:#x}"


class Span(NamedTuple):
    """One pass through a scope, with where it lies on host and device. Times are in seconds.

    All four moments are on the clock of ``time.perf_counter``, those of the device too.

    Attributes:
        path: the names from the root to the scope, joined by ``/``.
        name: the last of them.
        parent: the path of the scope that it is nested in; None at the root.
        depth: how many scopes it is nested in.
        status: what became of it; see `Sample.status`.
        thread: the native id of the thread that began it.
        thread_name: that thread's name, where Python knew one when the recording stopped.
        device: the index of its device; None where it is on none.
        stream: the handle of its CUDA stream, 0 for the default stream; None where it is on none.
        host_begin: when the host began it.
        host_end: when the host ended it; None where it was never ended.
        device_begin: when its stream reached its beginning; None unless the status is ``ok`` and
            the clocks of host and device could be compared.
        device_end: when its stream reached its end, likewise.
        uncertainty: by how many seconds `device_begin` and `device_end` may be off, together: their
            difference is not touched by it. None where they are.
        shares_boundary: one of its two events serves a neighbouring scope as well.
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
        """Seconds from begin to end on the host; None where it was never ended."""
        return None if self.host_end is None else self.host_end - self.host_begin

    @property
    def device_time(self) -> float | None:
        """Seconds from begin to end on the stream; None where they are not known."""
        if self.device_begin is None or self.device_end is None:
            return None
        return self.device_end - self.device_begin

    @property
    def stream_name(self) -> str | None:
        """The stream's handle in hexadecimal, ``default`` for the default stream."""
        return None if self.stream is None else stream_name(self.stream)

# SPDX-License-Identifier: BSD-3-Clause
"""Checks that a test leaves nothing behind."""

from __future__ import annotations

from fasttime import _C


def pool_is_whole(device: int = 0) -> bool:
    """Return whether all events of the device are back in their pool."""
    created, free = _C.event_pool(device) or (0, 0)
    return created == free


def no_stream_is_held(room: int = 64) -> bool:
    """Return whether `room` holds fit side by side. Raises RuntimeError if a hold is missing."""
    holds = [_C.StreamHold(60.0) for _ in range(room)]
    return all(hold.release() for hold in holds)

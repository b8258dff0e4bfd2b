# SPDX-License-Identifier: BSD-3-Clause
"""Whether anything is left behind."""

from __future__ import annotations

from fasttime import _C


def pool_is_whole(device: int = 0) -> bool:
    """Whether every event of the device is back in its pool, once its recorders are gone."""
    created, free = _C.event_pool(device) or (0, 0)
    return created == free


def no_stream_is_held(room: int = 64) -> bool:
    """Whether as many streams can be held side by side as ever; raises RuntimeError if not."""
    holds = [_C.StreamHold(60.0) for _ in range(room)]
    return all(hold.release() for hold in holds)

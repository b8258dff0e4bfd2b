# SPDX-License-Identifier: BSD-3-Clause
"""Whether anything is left behind."""

from __future__ import annotations

from fasttime import _C


def pool_is_whole(device: int = 0) -> bool:
    """Whether every event of the device is back in its pool, once its recorders are gone."""
    created, free = _C.event_pool(device) or (0, 0)
    return created == free

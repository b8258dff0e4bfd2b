# SPDX-License-Identifier: BSD-3-Clause
"""Scopes as ranges in other tools: NVTX ranges and ranges of torch.profiler."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch


class _Mark(NamedTuple):
    nvtx_range: int | None
    profiler_range: Any  # a torch.autograd.profiler.record_function, or None


def _has_nvtx() -> bool:
    # Without NVTX, torch.cuda.nvtx can be imported, but its functions raise.
    return hasattr(torch._C, "_nvtx")


def begin(name: str) -> _Mark:
    """Begin a range in NVTX, and in torch.profiler while it records. Return the token for `end`.

    Uses start and end instead of push and pop, because scopes of tasks and threads may not nest.
    """
    # NVTX reads UTF-8 up to the first NUL.
    printable = name.replace("\0", " ").encode("utf-8", "replace").decode()
    nvtx_range = torch.cuda.nvtx.range_start(printable) if _has_nvtx() else None
    profiler_range: Any = None
    if torch.autograd.profiler._is_profiler_enabled:
        profiler_range = torch.autograd.profiler.record_function(printable)
        profiler_range.__enter__()
    return _Mark(nvtx_range, profiler_range)


def end(mark: _Mark) -> None:
    """End the ranges that `begin` began."""
    if mark.profiler_range is not None:
        mark.profiler_range.__exit__(None, None, None)
    if mark.nvtx_range is not None:
        torch.cuda.nvtx.range_end(mark.nvtx_range)

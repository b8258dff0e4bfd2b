# SPDX-License-Identifier: BSD-3-Clause
"""Marks on the timelines of other tools: NVTX ranges, and torch.profiler's own."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch


class _Mark(NamedTuple):
    nvtx_range: int | None
    profiler_range: Any  # a torch.autograd.profiler.record_function, or None


def _has_nvtx() -> bool:
    # torch.cuda.nvtx can be imported without it, and raises when called.
    return hasattr(torch._C, "_nvtx")


def begin(name: str) -> _Mark:
    """Open a range on each timeline that somebody may be recording; returns what `end` takes.

    By start and end rather than push and pop: scopes of tasks and threads need not nest.
    """
    # NVTX takes UTF-8, up to the first NUL.
    printable = name.replace("\0", " ").encode("utf-8", "replace").decode()
    nvtx_range = torch.cuda.nvtx.range_start(printable) if _has_nvtx() else None
    profiler_range: Any = None
    if torch.autograd.profiler._is_profiler_enabled:
        profiler_range = torch.autograd.profiler.record_function(printable)
        profiler_range.__enter__()
    return _Mark(nvtx_range, profiler_range)


def end(mark: _Mark) -> None:
    """Close what `begin` opened."""
    if mark.profiler_range is not None:
        mark.profiler_range.__exit__(None, None, None)
    if mark.nvtx_range is not None:
        torch.cuda.nvtx.range_end(mark.nvtx_range)

# SPDX-License-Identifier: BSD-3-Clause
"""Accelerators other than CUDA, such as mps, xpu and npu: waited for, but not timed by events."""

from __future__ import annotations

from typing import Literal

import torch

from ..timing_warning import TimingWarning

ON_CPU = TimingWarning(
    "cpu",
    "CUDA was not in use, so all work was done when the call returned. On the CPU, naive, sync and "
    "event always agree.",
)


def in_use() -> str | None:
    """Return the type of this process's accelerator, unless it is CUDA. Starts nothing."""
    try:
        found = torch.accelerator.current_accelerator()
    except RuntimeError:  # torch 2.6 raises if there is no accelerator
        return None
    if found is None or found.type == "cuda" or not torch.accelerator.is_available():
        return None
    # Backends such as xpu start with the first use. Others, such as mps, cannot tell.
    is_started = getattr(getattr(torch, found.type, None), "is_initialized", None)
    return found.type if is_started is None or is_started() else None


def synchronize() -> None:
    """Wait for the current accelerator, if there is one other than CUDA and it is in use."""
    if in_use() is not None:
        torch.accelerator.synchronize()


def without_cuda(method: Literal["naive", "sync", "event"]) -> TimingWarning:
    """Return the warning of a method that read the host's clock because CUDA was not in use."""
    accelerator = in_use()
    if accelerator is None:
        return ON_CPU
    if method == "sync":
        return TimingWarning(
            "accelerator",
            f"fasttime has no events on {accelerator}, so times are the host's and include the "
            "round trip to the device. Only the current device was waited for; put more work into "
            "each call to make the round trip matter less.",
        )
    return TimingWarning(
        "accelerator",
        f"fasttime has no events on {accelerator}, so times only say how long the host took to "
        "queue the work. Use method='sync', which waits for the current device.",
    )

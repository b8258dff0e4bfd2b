# SPDX-License-Identifier: BSD-3-Clause
"""The clock and the device under every measurement. Tests replace both with scripted ones."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from ..environment.describe import Environment, GpuState, describe
from ..environment.describe import gpu_state as look_at_gpu

Call = Callable[[], object]

clock = time.perf_counter


def cuda_is_up() -> bool:
    """Return whether torch has started CUDA. Does not start CUDA."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def is_capturing() -> bool:
    """Return whether the current stream is capturing a CUDA graph, which forbids waiting."""
    return cuda_is_up() and torch.cuda.is_current_stream_capturing()


def synchronize() -> None:
    """Wait for the current device, if CUDA is up."""
    if cuda_is_up():
        torch.cuda.synchronize()


def synchronize_stream() -> None:
    """Wait for the current stream, if CUDA is up."""
    if cuda_is_up():
        torch.cuda.current_stream().synchronize()


def mark() -> torch.cuda.Event | None:
    """Record an event on the current stream and return it; None if CUDA is not up."""
    if not cuda_is_up():
        return None
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def device_name() -> str:
    """Return the name of the current device, or ``cpu`` if CUDA is not up."""
    if not cuda_is_up():
        return "cpu"
    device = torch.cuda.current_device()
    return f"cuda:{device} {torch.cuda.get_device_name(device)}"


def environment() -> Environment:
    """Return the machine and the versions, with the current device if CUDA is up."""
    return describe("cuda" if cuda_is_up() else "cpu")


def gpu_state() -> GpuState | None:
    """Return clocks, power and throttle reasons of the current device; None if unknown."""
    return look_at_gpu(torch.cuda.current_device()) if cuda_is_up() else None


def untimed_loop(call: Call, runs: int) -> float:
    """Return the duration of a loop without timing, in seconds. Waits at both ends only."""
    synchronize()
    start = clock()
    for _ in range(runs):
        call()
    synchronize()
    return clock() - start


def cache_clearer() -> Call:
    """Return a function that queues a write which clears the current device's L2 cache.

    The function writes to a buffer of twice the cache's size, so the cache is full of that buffer
    afterwards. nvbench and triton's do_bench clear the cache in the same way.
    """
    device = torch.cuda.current_device()
    size = torch.cuda.get_device_properties(device).L2_cache_size
    return torch.empty(2 * size, dtype=torch.int8, device=f"cuda:{device}").zero_


def short_work() -> Call:
    """Return a function that queues about the shortest kernel that torch has."""
    device = torch.cuda.current_device()
    few = torch.zeros(16, device=f"cuda:{device}")
    return lambda: few.add_(1)

# SPDX-License-Identifier: BSD-3-Clause
"""The clock and the device under every measurement. Tests replace both with scripted ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from .. import _native
from ..environment.describe import Environment, GpuState, describe
from ..environment.describe import gpu_state as look_at_gpu
from ..streams import sparing_captures
from . import accelerators

Call = Callable[[], object]

# Seconds on the host clock of the scopes. A program that patches or freezes the module `time` does
# not change this clock.
clock = _native.clock


def cuda_is_up() -> bool:
    """Return whether torch has started CUDA. Does not start CUDA."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def is_capturing() -> bool:
    """Return whether the current stream is capturing a CUDA graph, which forbids waiting."""
    return cuda_is_up() and torch.cuda.is_current_stream_capturing()


def synchronize() -> None:
    """Wait for every device that this process uses.

    Captures of other threads survive on streams that torch owns. `csrc/cuda/waits.h` says how.
    ``torch.cuda.set_sync_debug_mode`` does not see these waits.
    """
    if cuda_is_up():
        _wait(_native.wait_for_devices)
    else:
        accelerators.synchronize()


def synchronize_stream() -> None:
    """Wait for the current stream, if CUDA is up."""
    if cuda_is_up():
        _wait(_native.wait_for_stream)


def synchronize_device(device: int) -> None:
    """Wait for one device. CUDA must be up."""
    _wait(lambda: _native.wait_for_device(device))


def _wait(wait: Callable[[], None]) -> None:
    if _native.is_bound():
        try:
            wait()
        except RuntimeError:
            if _native.is_bound():
                raise
        else:
            return
    # The device is lost, or fasttime cannot use CUDA here. Torch raises its own error in the first
    # case. In the second case no scope is timed, and only the sync and naive methods wait.
    torch.cuda.synchronize()
    for device in range(torch.cuda.device_count()):
        if torch._C._cuda_hasPrimaryContext(device):  # type: ignore[attr-defined]
            torch.cuda.synchronize(device)


def current_device() -> int:
    """Return the current device. CUDA must be up."""
    return torch.cuda.current_device()


def devices_in_use() -> Sequence[int]:
    """Return the CUDA devices that this process has started."""
    return _native.devices_in_use() if cuda_is_up() and _native.is_bound() else ()


def busy_streams() -> Sequence[tuple[int, int]]:
    """Return device and handle of torch's streams with unfinished work. Never waits.

    Leaves out the current stream, and streams that capture.
    """
    return _native.busy_streams() if cuda_is_up() and _native.is_bound() else ()


def mark() -> torch.cuda.Event | None:
    """Record an event on the current stream and return it; None if CUDA is not up."""
    if not cuda_is_up():
        return None
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def device_name() -> str:
    """Return the name of the current device, such as ``cuda:0 NVIDIA H200``, ``mps`` or ``cpu``."""
    if not cuda_is_up():
        return accelerators.in_use() or "cpu"
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
    with sparing_captures():
        return torch.empty(2 * size, dtype=torch.int8, device=f"cuda:{device}").zero_


def short_work() -> Call:
    """Return a function that queues about the shortest kernel that torch has."""
    device = torch.cuda.current_device()
    with sparing_captures():
        few = torch.zeros(16, dtype=torch.float32, device=f"cuda:{device}")
    return lambda: few.add_(1)

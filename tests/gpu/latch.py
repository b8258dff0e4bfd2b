# SPDX-License-Identifier: BSD-3-Clause
"""A latch that holds a stream, and long work."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Latch:
    """Hold a stream, without a kernel, from `hold` until `release`.

    The stream waits until a value in pinned memory becomes 1. Any thread may call `release`, which
    only stores that value.
    """

    def __init__(self) -> None:
        self._wait = ctypes.CDLL("libcuda.so.1").cuStreamWaitValue32_v2
        self._wait.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint]
        self._value = torch.zeros(1, dtype=torch.int32, pin_memory=True)

    def hold(self, stream: torch.cuda.Stream) -> None:
        self._value[0] = 0
        status = self._wait(stream.cuda_stream, self._value.data_ptr(), 1, 0)
        assert status == 0, f"cuStreamWaitValue32_v2 returned {status}"

    def release(self) -> None:
        self._value[0] = 1


@contextmanager
def host_must_not_wait_for(latch: Latch) -> Iterator[None]:
    """Fail instead of hanging: a timer releases the latch after a minute."""
    timer = threading.Timer(60, latch.release)
    timer.start()
    try:
        yield
        assert timer.is_alive(), "the host waited until the timer released the latch"
    finally:
        timer.cancel()
        timer.join()


def long_work() -> None:
    """Queue a few milliseconds of device work on the current stream, at least 1 ms at any clock."""
    torch.cuda._sleep(10_000_000)

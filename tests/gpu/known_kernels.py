# SPDX-License-Identifier: BSD-3-Clause
"""Kernels of known length, and the time they add to a stream, found without fasttime."""

from __future__ import annotations

import ctypes
import functools
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from latch import Latch

SOURCE = Path(__file__).parent / "spin.cu"


@functools.cache
def _library() -> ctypes.CDLL:
    compiler = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    major, minor = torch.cuda.get_device_capability()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "spin.so"
        # torch has loaded the shared runtime too, so both use one context.
        command = [compiler, "-shared", "-Xcompiler", "-fPIC", "-cudart", "shared"]
        command += [f"-arch=sm_{major}{minor}", str(SOURCE), "-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        loaded = ctypes.CDLL(str(library))
    loaded.launch_spin.argtypes = [ctypes.c_void_p, ctypes.c_ulonglong]
    return loaded


def kernel(length_ns: int, stream: ctypes.c_void_p | None = None) -> Callable[[], None]:
    """Return a function that launches a kernel of this length on a stream, or the current one."""
    torch.cuda.init()
    launch, stream_of = _library().launch_spin, torch._C._cuda_getCurrentRawStream
    device = torch.cuda.current_device()

    def fn() -> None:
        if status := launch(stream or stream_of(device), length_ns):
            raise RuntimeError(f"the kernel could not be launched: {status}")

    return fn


def stream_time(fn: Callable[[], None], lengths: tuple[int, int] = (40, 240)) -> float:
    """Return the time that a call adds to a busy stream, in seconds.

    Two trains with different numbers of calls run behind a latch. Their difference is due to the
    calls alone: events and gaps at both ends cancel. The result is the median of nine differences.
    """
    latch, stream = Latch(), torch.cuda.current_stream()

    def train(calls: int) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        latch.hold(stream)
        begin.record()
        for _ in range(calls):
            fn()
        end.record()
        latch.release()
        end.synchronize()
        return begin.elapsed_time(end) * 1e-3

    for calls in lengths:  # the first launch loads the kernel, which a held stream would block
        fn()
        torch.cuda.synchronize()
        train(calls)
    short, long = lengths
    found = [(train(long) - train(short)) / (long - short) for _ in range(9)]
    return statistics.median(found)

# SPDX-License-Identifier: BSD-3-Clause
"""CUDA streams: their names in messages, torch's pools of them, and captures on them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from . import _native
from .text import format_count

# A stream: the index of its device and its handle. Handle 0 is the default stream of the device.
# Device -1 means any device, or the current one.
Stream = tuple[int, int]

_PER_POOL = 32  # torch hands out this many streams per device and priority, one after another
_RELAXED = 2  # cudaStreamCaptureModeRelaxed


def describe_stream(device: int, handle: int) -> str:
    """Return the name of a stream for a message, with the handle as torch prints it.

    >>> describe_stream(1, 0x5581C0)
    'stream 0x5581c0 of cuda:1'
    >>> describe_stream(0, 0)
    'the default stream of cuda:0'
    """
    return (
        f"the default stream of cuda:{device}"
        if handle == 0
        else f"stream {handle:#x} of cuda:{device}"
    )


def describe_streams(streams: Iterable[Stream], most: int = 3) -> str:
    """Return the names of streams for a message, of `most` streams at most.

    >>> describe_streams([(0, 0), (0, 0x10)])
    'the default stream of cuda:0 and stream 0x10 of cuda:0'
    >>> describe_streams([(1, handle) for handle in range(16, 22)], most=2)
    'stream 0x10 of cuda:1, stream 0x11 of cuda:1 and 4 others'
    """
    found = [describe_stream(*stream) for stream in streams]
    names, left = found[:most], len(found) - most
    if left > 0:
        names.append(format_count(left, "other"))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def stream_from(stream: Any) -> Stream:
    """Return the device and handle of a torch.cuda.Stream, or (-1, handle) for a raw handle.

    Raises TypeError for anything else.
    """
    if hasattr(stream, "cuda_stream"):
        return int(stream.device_index), int(stream.cuda_stream)
    try:
        return -1, operator.index(stream)
    except TypeError:
        raise TypeError(
            f"expected a torch.cuda.Stream or a raw CUDA stream handle (int), got {stream!r}"
        ) from None


def pooled_streams(device: int) -> list[int]:
    """Return the handles of torch's streams on a device: the default stream and both pools.

    Creates the streams if no one has used the pools yet. The device must be in use. Leaves the
    order in which torch hands out streams as it was. Captures of other threads survive.
    """
    handles = [torch.cuda.default_stream(device).cuda_stream]
    with sparing_captures():
        for priority in (0, -1):
            for _ in range(_PER_POOL):  # a whole turn, so the next stream is the same as before
                stream = torch.cuda.Stream(device, priority=priority)  # type: ignore[no-untyped-call]
                handles.append(stream.cuda_stream)
    return handles


_native.set_stream_finder(pooled_streams)


@contextmanager
def sparing_captures() -> Iterator[None]:
    """Let calls in the block, such as allocations, not destroy captures of other threads."""
    is_up: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    if not (is_up and _native.is_bound()):
        yield
        return
    before = _native.exchange_capture_mode(_RELAXED)
    try:
        yield
    finally:
        _native.exchange_capture_mode(before)

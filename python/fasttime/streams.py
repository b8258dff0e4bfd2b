# SPDX-License-Identifier: BSD-3-Clause
"""Names for CUDA streams, the same in every message."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import torch

from .text import format_count

# A stream: the index of its device and its handle. Handle 0 is the default stream of the device.
# Device -1 means any device, or the current one.
Stream = tuple[int, int]

_PER_POOL = 32  # torch hands out this many streams per device and priority, one after another


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


def pooled_streams(device: int) -> Iterable[Stream]:
    """Return the default stream of a device and all streams of torch's pools for it.

    Creates the streams if no one has used the pools yet. The device must be in use. Leaves the
    order in which torch hands out streams as it was.
    """
    found = {(device, 0)}
    for priority in (0, -1):
        for _ in range(_PER_POOL):
            made = torch.cuda.Stream(device, priority=priority)  # type: ignore[no-untyped-call]
            found.add((device, int(made.cuda_stream)))
    return found

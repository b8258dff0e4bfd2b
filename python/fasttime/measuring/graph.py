# SPDX-License-Identifier: BSD-3-Clause
"""A callable as a CUDA graph, so that its replays can be timed."""

from __future__ import annotations

import torch

from . import machine
from .calls import call_once
from .machine import Call

# torch asks for runs on another stream before a capture, so that what is set up lazily is set up.
_RUNS_BEFORE = 3


def captured(call: Call) -> Call:
    """Capture `call` into a CUDA graph and return what replays it. Waits for the device.

    Raises RuntimeError where there is no CUDA, and where the callable cannot be captured: it waits
    for the device, or depends on values that are there.
    """
    if not machine.cuda_is_up():
        raise RuntimeError(
            "method='graph' times the replays of a CUDA graph, and CUDA is not in use; move the "
            "work to a device, or use method='event'"
        )
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call_once(call)
        for _ in range(_RUNS_BEFORE - 1):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            call()
    except Exception as error:
        raise RuntimeError(
            f"the callable cannot be captured into a CUDA graph: {error}. It must not wait for the "
            "device (.item(), .cpu(), prints, shapes that depend on values), nor draw from a "
            "generator of its own; time it with method='event'"
        ) from error
    return graph.replay

# SPDX-License-Identifier: BSD-3-Clause
"""A callable as a CUDA graph, so that its replays can be timed."""

from __future__ import annotations

import torch

from . import machine
from .calls import call_once
from .machine import Call

# torch requires runs on a side stream before a capture, so that lazy set-up is done by then.
_RUNS_BEFORE = 3


def captured(call: Call) -> Call:
    """Capture `call` into a CUDA graph and return the graph's replay. Waits for the device.

    Calls `call` three times, and a fourth time for the capture. Raises RuntimeError if CUDA is not
    in use, or if the callable cannot be captured.
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
            "device (.item(), .cpu(), prints, shapes that depend on values) or use a random "
            "generator of its own; to time it without a graph, use method='event'"
        ) from error
    return graph.replay

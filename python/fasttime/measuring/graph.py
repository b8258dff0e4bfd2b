# SPDX-License-Identifier: BSD-3-Clause
"""A callable as a CUDA graph, so that its replays can be timed."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..streams import sparing_captures
from ..timing_warning import TimingWarning
from . import machine
from .calls import call_once
from .elsewhere import outside_capture
from .machine import Call

# torch requires runs on a side stream before a capture, so that lazy set-up is done by then.
_RUNS_BEFORE = 3
_REPLAYS = 3

# After a call has returned, the device may work for this much longer than a replay takes, in
# seconds and as a share of the replay. If the graph lacked nothing, it would not work for longer
# than a replay, because all the work of the call is in the replay.
_LATE = 50e-6
_LATE_SHARE = 0.25


class _Timed(NamedTuple):
    """How long devices took for a call: from its beginning, and from its return, in seconds."""

    whole: float
    after_return: float


def captured(call: Call) -> tuple[Call, TimingWarning | None]:
    """Capture `call` into a CUDA graph. Return the graph's replay, and a warning about lost work.

    Calls `call` three times, and a fourth time for the capture. Waits for all devices. The capture
    is thread-local: other threads may pin memory or query events, and their captures go on.

    Raises RuntimeError if CUDA is not in use, or if the callable cannot be captured.
    """
    if not machine.cuda_is_up():
        raise RuntimeError(
            "method='graph' times the replays of a CUDA graph, and CUDA is not in use; move the "
            "work to a device, or use method='event'"
        )
    with sparing_captures():
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call_once(call)
        real = min(_timed(call) for _ in range(_RUNS_BEFORE - 1))
    torch.cuda.current_stream().wait_stream(stream)
    machine.synchronize()
    others_work = bool(machine.busy_streams())  # other threads, so later work may be theirs
    graph = torch.cuda.CUDAGraph()
    try:
        # Not torch.cuda.graph(): it waits for the device, which destroys captures of other threads.
        with torch.cuda.stream(stream):
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                call()
                was_busy = bool(machine.busy_streams())
            finally:
                graph.capture_end()
    except Exception as error:
        raise RuntimeError(
            f"the callable cannot be captured into a CUDA graph: {error}. It must not wait for the "
            "device (.item(), .cpu(), prints, shapes that depend on values) or use a random "
            "generator of its own; to time it without a graph, use method='event'"
        ) from error
    graph.replay()  # the first replay uploads the graph
    replay = min(_timed(graph.replay) for _ in range(_REPLAYS))
    latest = (1 + _LATE_SHARE) * replay.whole + _LATE
    if (was_busy and not others_work) or real.after_return > latest:
        return graph.replay, outside_capture(real.whole, replay.whole)
    return graph.replay, None


def _timed(call: Call) -> _Timed:
    machine.synchronize()
    start = machine.clock()
    call()
    returned = machine.clock()
    machine.synchronize()
    end = machine.clock()
    return _Timed(end - start, end - returned)

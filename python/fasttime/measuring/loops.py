# SPDX-License-Identifier: BSD-3-Clause
"""The loop that is timed, by each of the three methods, and the clock and device it stands on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from ..recorder import Recorder
from .doubts import ON_CPU, Doubt, judge_naive, judge_samples
from .measurement import Method

Call = Callable[[], object]

# --- what the loops stand on; tests put a scripted clock and device in their place ---

_clock = time.perf_counter


def _cuda_is_up() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def is_capturing() -> bool:
    """Say whether the current stream records a CUDA graph, in which nothing can be waited for."""
    return _cuda_is_up() and torch.cuda.is_current_stream_capturing()


def _synchronize() -> None:
    if _cuda_is_up():
        torch.cuda.synchronize()


def _mark() -> torch.cuda.Event | None:
    """Record an event on the current stream, between two runs; None while CUDA is not up."""
    if not _cuda_is_up():
        return None
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def device_name() -> str:
    """Return a name for the current device, or ``cpu`` while CUDA is not up."""
    if not _cuda_is_up():
        return "cpu"
    device = torch.cuda.current_device()
    return f"cuda:{device} {torch.cuda.get_device_name(device)}"


# --- the loops ---


def untimed_loop(call: Call, repeat: int) -> float:
    """Return what the loop takes, in seconds, without timing in it. Waits at either end only."""
    _synchronize()
    start = _clock()
    for _ in range(repeat):
        call()
    _synchronize()
    return _clock() - start


class Readings(NamedTuple):
    times: list[float]  # of every run, warm-up included; seconds
    host_times: list[float]
    loop_time: float
    doubt: Doubt | None


def _naive_loop(call: Call, warmup: int, repeat: int) -> Readings:
    times: list[float] = []
    _synchronize()
    start = _clock()
    for run in range(repeat):
        if run == warmup:
            first = _mark()
        begin = _clock()
        call()
        times.append(_clock() - begin)
    last = _mark()
    left = _clock()
    _synchronize()
    end = _clock()
    kept = times[warmup:]
    if last is None:
        doubt = ON_CPU
    elif first is None:
        doubt = Doubt("cuda_started", "not checked against the device, as fn itself started CUDA")
    else:
        device_time = first.elapsed_time(last) * 1e-3 / len(kept)
        doubt = judge_naive(float(np.median(kept)), device_time, backlog=end - left)
    return Readings(times, times, end - start, doubt)


def _sync_loop(call: Call, warmup: int, repeat: int) -> Readings:
    times: list[float] = []
    host_times: list[float] = []
    _synchronize()
    start = _clock()
    for _ in range(repeat):
        _synchronize()
        begin = _clock()
        call()
        issued = _clock()
        _synchronize()
        end = _clock()
        times.append(end - begin)
        host_times.append(issued - begin)
    return Readings(times, host_times, end - start, None if _cuda_is_up() else ON_CPU)


def _event_loop(call: Call, warmup: int, repeat: int) -> Readings:
    # Two events for each run, so that all runs are timed alike.
    recorder = Recorder(keep_samples=repeat, share_boundaries=False)
    scope = recorder.scope("run")
    try:
        _synchronize()
        start = _clock()
        for _ in range(repeat):
            with scope:
                call()
        _synchronize()
        loop_time = _clock() - start
        report = recorder.report(wait=True)
        samples = sorted(recorder.samples("run"), key=lambda sample: sample.host_begin)
    finally:
        # An exception keeps this frame; it must not keep the recorder's events from their pool.
        del recorder, scope
    doubt = judge_samples(samples, warmup, report, _cuda_is_up())
    host_times = [sample.host_time or 0.0 for sample in samples]
    times = [
        host_time if sample.device_time is None else sample.device_time
        for sample, host_time in zip(samples, host_times, strict=True)
    ]
    return Readings(times, host_times, loop_time, doubt)


LOOPS: dict[Method, Callable[[Call, int, int], Readings]] = {
    "naive": _naive_loop,
    "sync": _sync_loop,
    "event": _event_loop,
}

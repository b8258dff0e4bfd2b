# SPDX-License-Identifier: BSD-3-Clause
"""Samplers that leave the stream alone: naive, sync and event. `open_sampler` picks one of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..recorder import Recorder
from ..stats import Times
from ..timing_warning import TimingWarning
from . import machine
from .batch import RUN, Batch, Sampler, nothing, read_samples, times_of
from .calls import Calls
from .graph import captured
from .held import HeldSampler
from .machine import Call
from .options import Cache, Method
from .waiting import work_was_waiting
from .warnings import ON_CPU, judge_coverage, judge_naive


@contextmanager
def open_sampler(
    call: Call, *, method: Method, hold: bool = False, cache: Cache = "warm"
) -> Iterator[Sampler]:
    """Yield a sampler for a callable.

    Args:
        call: what to run.
        method: see `fasttime.measure`. ``graph`` captures the callable here.
        hold: whether to hold the stream while work is queued. Only for ``event`` and ``graph``.
        cache: ``cold`` clears the L2 cache before each run. Only for ``event`` and ``graph``.

    Raises RuntimeError if CUDA is not in use and ``cold`` or ``graph`` needs it, if the callable
    cannot be captured, or if the stream cannot be held.
    """
    if cache == "cold" and not machine.cuda_is_up():
        raise RuntimeError(
            "cache='cold' clears the L2 cache of a CUDA device, and CUDA is not in use; move the "
            "work to a device, or start CUDA with torch.cuda.init()"
        )
    if method == "graph":
        call = captured(call)
    if method == "naive":
        yield NaiveSampler(call)
    elif method == "sync":
        yield SyncSampler(call)
    elif hold:
        yield HeldSampler(call, cache)
    else:
        yield EventSampler(call, cache)


class NaiveSampler:
    """Reads the host's clock around each call, and never waits in between."""

    def __init__(self, call: Call) -> None:
        self._calls = Calls(call)

    def take(self, runs: int, ignored: int = 0) -> Batch:
        """Run the callable; see `Sampler`."""
        clock = machine.clock
        times: list[float] = []
        first, before = None, 0.0
        machine.synchronize()
        start = clock()
        for call in self._calls.times(runs):
            if len(times) == ignored:
                first, before = machine.mark(), clock() - start
            begin = clock()
            call()
            times.append(clock() - begin)
        last = machine.mark()
        left = clock()
        machine.synchronize_stream()
        reached = clock()
        machine.synchronize()
        end = clock()
        duration = end - start
        kept_duration = duration - before
        backlog, others = reached - left, end - reached
        kept = times[ignored:]
        if last is None:
            warning = ON_CPU
        elif first is None:
            warning = TimingWarning(
                "cuda_started",
                "fn started CUDA itself, so the naive reading was not checked against the device. "
                "Call torch.cuda.init() first.",
            )
        else:
            # Measured on the device, which may still be in the ignored runs when the host is done.
            on_stream = first.elapsed_time(last) * 1e-3
            kept_duration = on_stream + others
            device_time = on_stream / len(kept)
            if judge_coverage(device_time, others, runs) is not None:
                # Other streams count too. How much of their work belongs to the ignored runs is
                # unknown: the first figure includes that work, the second includes cold runs.
                device_time = min(kept_duration / len(kept), duration / runs)
                backlog += others
            warning = judge_naive(float(np.median(kept)), device_time, backlog)
        read = np.array(times)
        return Batch(
            read,
            read,
            duration,
            backlog,
            None if machine.cuda_is_up() else False,
            others=others,
            warning=warning,
            kept_duration=kept_duration,
        )


class SyncSampler:
    """Waits for the device before each reading of the host's clock."""

    def __init__(self, call: Call) -> None:
        self._calls = Calls(call)

    def take(self, runs: int, ignored: int = 0) -> Batch:
        """Run the callable; see `Sampler`."""
        clock, synchronize = machine.clock, machine.synchronize
        times: list[float] = []
        host_times: list[float] = []
        before = 0.0
        synchronize()
        start = clock()
        for call in self._calls.times(runs):
            synchronize()
            begin = clock()
            if len(times) == ignored:
                before = begin - start
            call()
            issued = clock()
            synchronize()
            end = clock()
            times.append(end - begin)
            host_times.append(issued - begin)
        duration = end - start
        return Batch(
            np.array(times),
            np.array(host_times),
            duration,
            work_was_waiting=False,
            warning=None if machine.cuda_is_up() else ON_CPU,
            kept_duration=duration - before,
        )


class EventSampler:
    """Records two events around each call, and reads them after the last call."""

    def __init__(self, call: Call, cache: Cache = "warm") -> None:
        self._calls = Calls(call)
        self._clear_cache = machine.cache_clearer() if cache == "cold" else nothing

    def take(self, runs: int, ignored: int = 0) -> Batch:
        """Run the callable; see `Sampler`.

        Raises RuntimeError if a run should have a device time and has none.
        """
        clock = machine.clock
        recorder = Recorder(keep_samples=runs, share_boundaries=False)
        scope = recorder.scope(RUN)
        try:
            machine.synchronize()
            start = clock()
            if self._clear_cache is nothing:
                for call in self._calls.times(runs):
                    with scope:
                        call()
            else:
                for call in self._calls.times(runs):
                    self._clear_cache()
                    with scope:
                        call()
            left = clock()
            machine.synchronize_stream()
            reached = clock()
            machine.synchronize()
            end = clock()
            samples, warning = read_samples(recorder, ignored)
        finally:
            # A traceback keeps this frame. It must not keep the recorder's events from their pool.
            del recorder, scope
        times, host_times = times_of(samples)
        begins = np.array([sample.host_begin for sample in samples])
        backlog = reached - left
        duration = end - start
        waiting: bool | None = False
        if machine.cuda_is_up():  # on the CPU, a call returns when its work is done
            waiting = work_was_waiting(times, begins, host_times, backlog, ignored)
        return Batch(
            times,
            host_times,
            duration,
            backlog,
            waiting,
            others=end - reached,
            warning=warning,
            kept_duration=duration - _until_kept(begins, times, ignored),
        )


def _until_kept(begins: Times, times: Times, ignored: int) -> float:
    """Return how long after the first run the first kept run could begin, in seconds.

    A run can begin once the host has issued it and the device has finished the run before.
    """
    done = begins[0]
    for begin, time in zip(begins[:ignored], times[:ignored], strict=True):
        done = max(begin, done) + time
    if ignored < len(begins):
        done = max(begins[ignored], done)
    return float(done - begins[0])

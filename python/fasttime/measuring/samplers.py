# SPDX-License-Identifier: BSD-3-Clause
"""Samplers that leave the stream alone: naive, sync and event. `open_sampler` picks one of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..recorder import Recorder
from ..sample import Sample
from ..stats import Times
from ..streams import sparing_captures
from ..timing_warning import TimingWarning
from . import accelerators, machine
from .batch import (
    RUN,
    Batch,
    BatchInterrupted,
    Sampler,
    new_recorder,
    nothing,
    read_samples,
    times_of,
)
from .calls import Calls
from .elsewhere import judge_elsewhere, wait_elsewhere
from .graph import captured
from .held import HeldSampler
from .machine import Call
from .options import Cache, Method
from .waiting import work_was_waiting
from .warnings import judge_naive


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
    lacks = None
    if method == "graph":
        call, lacks = captured(call)
    if method == "naive":
        yield NaiveSampler(call)
    elif method == "sync":
        yield SyncSampler(call)
    elif hold:
        yield HeldSampler(call, cache, lacks)
    else:
        yield EventSampler(call, cache, lacks)


class NaiveSampler:
    """Reads the host's clock around each call, and never waits in between."""

    def __init__(self, call: Call) -> None:
        self._calls = Calls(call)

    def take(self, runs: int, ignored: int = 0) -> Batch:
        """Run the callable; see `Sampler`."""
        clock = machine.clock
        times: list[float] = []
        first, before = None, 0.0
        interrupt = None
        machine.synchronize()
        start = clock()
        try:
            for call in self._calls.times(runs):
                if len(times) == ignored:
                    first, before = machine.mark(), clock() - start
                begin = clock()
                call()
                times.append(clock() - begin)
        except KeyboardInterrupt as error:
            if len(times) <= ignored:
                raise
            interrupt = error
        last = machine.mark()
        left = clock()
        machine.synchronize_stream()
        reached = clock()
        elsewhere = wait_elsewhere()
        end = clock()
        duration = end - start
        kept_duration = duration - before
        backlog = reached - left
        others = elsewhere.total
        kept = times[ignored:]
        reading = float(np.median(kept or times))
        if last is None:
            warning = _judge_on_host(reading, duration / len(times), end - left)
        elif first is None:
            warning = TimingWarning(
                "cuda_started",
                "fn started CUDA itself, so the naive reading was not checked against the device. "
                "Call torch.cuda.init() first.",
            )
        else:
            # Measured on the device, which may still be in the ignored runs when the host is done.
            with sparing_captures():  # torch also queries the events
                on_stream = first.elapsed_time(last) * 1e-3
            kept_duration = on_stream + others
            device_time = on_stream / len(kept)
            goes_on_elsewhere = bool(judge_elsewhere([elsewhere], device_time, len(times)))
            if goes_on_elsewhere:
                # Other streams count too. How much of their work belongs to the ignored runs is
                # unknown: the first figure includes that work, the second includes cold runs.
                device_time = min(kept_duration / len(kept), duration / len(times))
                backlog += others
            better = "sync" if goes_on_elsewhere else "event"
            warning = judge_naive(reading, device_time, backlog, better)
        read = np.array(times)
        batch = Batch(
            read,
            read,
            duration,
            backlog,
            None if machine.cuda_is_up() else False,
            others=elsewhere,
            warning=warning,
            kept_duration=kept_duration,
        )
        if interrupt is not None:
            raise BatchInterrupted(batch) from interrupt
        return batch


def _judge_on_host(reading: float, run_time: float, backlog: float) -> TimingWarning:
    """Return what a naive reading is worth without CUDA. All times are in seconds."""
    if accelerators.in_use() is None:
        return accelerators.without_cuda("naive")
    return judge_naive(reading, run_time, backlog, "sync")


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
        interrupt = None
        synchronize()
        start = end = clock()
        try:
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
        except KeyboardInterrupt as error:
            if len(host_times) <= ignored:
                raise
            interrupt = error
        duration = end - start
        batch = Batch(
            np.array(times[: len(host_times)]),
            np.array(host_times),
            duration,
            work_was_waiting=False,
            warning=None if machine.cuda_is_up() else accelerators.without_cuda("sync"),
            kept_duration=duration - before,
        )
        if interrupt is not None:
            raise BatchInterrupted(batch) from interrupt
        return batch


class EventSampler:
    """Records two events around each call, and reads them after the last call."""

    def __init__(
        self, call: Call, cache: Cache = "warm", warning: TimingWarning | None = None
    ) -> None:
        """Prepare to run `call`. Each batch carries `warning`, if it has none of its own."""
        self._calls = Calls(call)
        self._clear_cache = machine.cache_clearer() if cache == "cold" else nothing
        self._warning = warning

    def take(self, runs: int, ignored: int = 0) -> Batch:
        """Run the callable; see `Sampler`.

        Raises RuntimeError if a run should have a device time and has none.
        """
        clock = machine.clock
        recorder = new_recorder(runs)
        scope = recorder.scope(RUN)
        interrupt = None
        try:
            machine.synchronize()
            start = clock()
            try:
                if self._clear_cache is nothing:
                    for call in self._calls.times(runs):
                        with scope:
                            call()
                else:
                    for call in self._calls.times(runs):
                        self._clear_cache()
                        with scope:
                            call()
            except KeyboardInterrupt as error:
                interrupt = error
            left = clock()
            machine.synchronize_stream()
            reached = clock()
            others = wait_elsewhere()
            end = clock()
            samples, warning = _read(recorder, ignored, interrupt)
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
        batch = Batch(
            times,
            host_times,
            duration,
            backlog,
            waiting,
            others=others,
            warning=warning or self._warning,
            kept_duration=duration - _until_kept(begins, times, ignored),
        )
        if interrupt is not None:
            raise BatchInterrupted(batch) from interrupt
        return batch


def _read(
    recorder: Recorder, ignored: int, interrupt: KeyboardInterrupt | None
) -> tuple[list[Sample], TimingWarning | None]:
    """Return the complete runs. Raises the interrupt if no kept run is complete."""
    if interrupt is None:
        return read_samples(recorder, ignored)
    recorder.report(wait=True)
    # The last run may be the one that Ctrl-C ended.
    if len(recorder.samples(RUN)) <= ignored + 1:
        raise interrupt
    samples, warning = read_samples(recorder, ignored)
    return samples[:-1], warning


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

# SPDX-License-Identifier: BSD-3-Clause
"""The loop that is timed, by each of the methods that let the device run freely."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..recorder import Recorder
from ..sample import Sample
from ..timing_warning import TimingWarning
from . import machine
from .calls import Calls
from .machine import Call
from .measurement import Cache, Method
from .progress import ProgressBar
from .run_progress import RunProgress, moment_of
from .sampler import Batch, Sampler, Times
from .waiting import work_was_waiting
from .warnings import ON_CPU, judge_coverage, judge_naive, judge_samples

# Two events for each run, so that all runs are timed alike.
RUN, EMPTY = "run", "empty"


def nothing() -> None:
    """Do nothing: what stands for a cache that is left as it is."""


@contextmanager
def open_sampler(
    call: Call, *, method: Method, hold: bool = False, cache: Cache = "warm"
) -> Iterator[Sampler]:
    """Yield a sampler for a callable.

    Args:
        call: what to run.
        method: as for `fasttime.measure`. ``graph`` captures the callable here.
        hold: whether the stream is held while work is queued. Only for ``event`` and ``graph``.
        cache: ``cold`` clears the L2 cache before each run. The same.

    Raises RuntimeError where that cannot be had.
    """
    if cache == "cold" and not machine.cuda_is_up():
        raise RuntimeError(
            "cache='cold' clears the L2 cache of a CUDA device, and CUDA is not in use; move the "
            "work to a device, or start CUDA with torch.cuda.init()"
        )
    if method == "graph":
        from .graph import captured

        call = captured(call)
    if method == "naive":
        yield NaiveSampler(call)
    elif method == "sync":
        yield SyncSampler(call)
    elif hold:
        from .held import HeldSampler

        yield HeldSampler(call, cache)
    else:
        yield EventSampler(call, cache)


class NaiveSampler:
    """Reads the host's clock around each call, and nothing else."""

    def __init__(self, call: Call) -> None:
        self._calls = Calls(call)

    def take(self, runs: int, ignored: int = 0, bar: ProgressBar | None = None) -> Batch:
        """Run the callable; see `Sampler`.

        With CUDA the bar stands still: what the method reads hangs on how full the launch queue is.
        """
        clock = machine.clock
        times: list[float] = []
        first, before = None, 0.0
        progress = RunProgress(bar, runs, lambda: "busy" if machine.cuda_is_up() else "idle")
        machine.synchronize()
        start = clock()
        for stretch in progress.stretches():
            for call in self._calls.times(stretch):
                if len(times) == ignored:
                    first, before = machine.mark(), clock() - start - progress.pauses.total
                begin = clock()
                call()
                times.append(clock() - begin)
        last = machine.mark()
        left = clock()
        machine.synchronize_stream()
        reached = clock()
        machine.synchronize()
        end = clock()
        duration = end - start - progress.pauses.total
        kept_duration = duration - before
        backlog, others = reached - left, end - reached
        kept = times[ignored:]
        if last is None:
            warning = ON_CPU
        elif first is None:
            warning = TimingWarning(
                "cuda_started", "not checked against the device, as fn itself started CUDA"
            )
        else:
            # On the device, where the ignored runs may be under way when the host is through.
            on_stream = first.elapsed_time(last) * 1e-3
            kept_duration = on_stream + others
            device_time = on_stream / len(kept)
            if judge_coverage(device_time, others, runs) is not None:
                # Then all streams together. What others had left of the ignored runs is not known:
                # it is in the one figure, cold runs are in the other.
                device_time = min(kept_duration / len(kept), duration / runs)
                backlog += others
            warning = judge_naive(float(np.median(kept)), device_time, backlog)
        read = np.array(times)
        kept_up = None if machine.cuda_is_up() else False
        return Batch(
            read,
            read,
            duration,
            backlog,
            kept_up,
            others=others,
            warning=warning,
            kept_duration=kept_duration,
        )


class SyncSampler:
    """Waits for the device before it reads the host's clock, at either end of each call."""

    def __init__(self, call: Call) -> None:
        self._calls = Calls(call)

    def take(self, runs: int, ignored: int = 0, bar: ProgressBar | None = None) -> Batch:
        """Run the callable; see `Sampler`."""
        clock, synchronize = machine.clock, machine.synchronize
        times: list[float] = []
        host_times: list[float] = []
        before = 0.0
        progress = RunProgress(bar, runs)
        synchronize()
        start = clock()
        for stretch in progress.stretches():
            for call in self._calls.times(stretch):
                synchronize()
                begin = clock()
                if len(times) == ignored:
                    before = begin - start - progress.pauses.total
                call()
                issued = clock()
                synchronize()
                end = clock()
                times.append(end - begin)
                host_times.append(issued - begin)
        warning = None if machine.cuda_is_up() else ON_CPU
        read, issuing = np.array(times), np.array(host_times)
        duration = end - start - progress.pauses.total
        return Batch(
            read,
            issuing,
            duration,
            work_was_waiting=False,
            warning=warning,
            kept_duration=duration - before,
        )


class EventSampler:
    """Records two events around each call, and reads them after the last one."""

    def __init__(self, call: Call, cache: Cache = "warm") -> None:
        self._calls = Calls(call)
        self._clear_cache = machine.cache_clearer() if cache == "cold" else nothing

    def take(self, runs: int, ignored: int = 0, bar: ProgressBar | None = None) -> Batch:
        """Run the callable; see `Sampler`.

        Raises RuntimeError where a run has no device time that should have one.
        """
        clock = machine.clock
        recorder = Recorder(keep_samples=runs, share_boundaries=False)
        scope = recorder.scope(RUN)
        progress = RunProgress(bar, runs, functools.partial(moment_of, recorder))
        pauses = progress.pauses
        try:
            machine.synchronize()
            start = clock()
            for stretch in progress.stretches():
                if self._clear_cache is nothing:
                    for call in self._calls.times(stretch):
                        with scope:
                            call()
                else:
                    for call in self._calls.times(stretch):
                        self._clear_cache()
                        with scope:
                            call()
            left = clock()
            progress.wait_for_most(recorder)
            machine.synchronize_stream()
            reached = clock()
            machine.synchronize()
            end = clock()
            samples, warning = read_samples(recorder, ignored)
        finally:
            # An exception keeps this frame; it must not keep the recorder's events from their pool.
            del recorder, scope, progress
        times, host_times = times_of(samples)
        begins = pauses.taken_out_of(np.array([sample.host_begin for sample in samples]))
        backlog = reached - left
        duration = end - start - pauses.total
        waiting: bool | None = False
        if machine.cuda_is_up():  # without, all is done when a call returns, however busy the host
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
    """Return how long after the first run the first one that counts could begin, in seconds.

    That is where the host issued it, or where the device was done with those before, each of which
    began once it was issued and the one before it was done.
    """
    done = begins[0]
    for begin, time in zip(begins[:ignored], times[:ignored], strict=True):
        done = max(begin, done) + time
    if ignored < len(begins):
        done = max(begins[ignored], done)
    return float(done - begins[0])


def read_samples(
    recorder: Recorder, ignored: int, path: str = RUN
) -> tuple[list[Sample], TimingWarning | None]:
    """Return the runs in the order in which they began. Waits; raises as `judge_samples` does."""
    report = recorder.report(wait=True)
    samples = sorted(recorder.samples(path), key=lambda sample: sample.host_begin)
    return samples, judge_samples(samples, ignored, report, machine.cuda_is_up())


def times_of(samples: list[Sample]) -> tuple[Times, Times]:
    """Return device times, or the host's where there are none, and host times."""
    host_times = np.array([sample.host_time or 0.0 for sample in samples])
    times = [
        host_time if sample.device_time is None else sample.device_time
        for sample, host_time in zip(samples, host_times, strict=True)
    ]
    return np.array(times), host_times

# SPDX-License-Identifier: BSD-3-Clause
"""Time one callable."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from ..bottleneck import Bottleneck
from ..timing_warning import TimingWarning
from . import machine
from .arguments import (
    check_call,
    check_options,
    check_runs,
    check_seconds,
    label_of,
)
from .bottleneck import judge
from .clocks import clock_warnings
from .distribution import judge_times
from .held import MOST_HELD
from .measurement import (
    Auto,
    Cache,
    Measurement,
    Method,
)
from .progress import ProgressBar
from .runner import (
    Options,
    RunResult,
    find_event_overhead,
    run_auto,
    run_counted,
)
from .tensors import ArgumentVersions
from .warnings import arguments_changed, judge_coverage, judge_resolution, judge_work, raw_times


def measure(
    fn: Callable[..., object],
    /,
    *args: object,
    method: Method = "event",
    warmup: int | Auto = "auto",
    repeat: int | Auto = "auto",
    hold: bool | None = None,
    cache: Cache = "warm",
    budget: float = 1.0,
    precision: float = 0.005,
    **kwargs: object,
) -> Measurement:
    """Call ``fn(*args, **kwargs)`` many times and return how long it takes, in seconds.

    Three times come of it: what a call takes on the device, what it takes the host to issue it, and
    what it takes in all when calls follow one another; and with them which of the two, host or
    device, is the bottleneck.

    Args:
        fn: what to time. Its results are dropped. One that takes an argument called method, warmup,
            repeat, hold, cache, budget or precision itself goes into a lambda.
        method: ``event``: CUDA events around each call, read after the last one, so that nothing
            waits in between; ``sync``: the host waits for the device before it reads its clock, at
            either end of each call; ``naive``: the host's clock around the call and nothing else;
            ``graph``: the callable is called three times, captured into a CUDA graph in a fourth
            call, and replays are timed by events.
        warmup: how many runs at the beginning are ignored, at least 0; ``auto``: until three
            batches in a row take the same time to within 5 %, for a quarter of `budget` at most.
        repeat: how many runs there are, the ignored ones included if their number is given, and
            then no other call of `fn` is made but those with which ``graph`` and `hold` begin;
            ``auto``: until the median is known to within `precision`, or `budget` is spent.
        hold: whether the stream waits while a run is queued, and then does it without a gap, so
            that launch latency is not in the device time. None: where `warmup` or `repeat` is
            ``auto``, except for calls of many milliseconds of which the device decides. Calls `fn`
            once more to begin with, or twice if that takes over half a second. A stream that is
            held too long is let go: then times are taken without holding, and a warning says so.
        cache: ``warm``: the device's L2 cache is what the last run left; ``cold``: it is cleared
            before each timed run.
        budget: seconds for runs that count, if `repeat` is ``auto``; warming up has a quarter of it
            beside. A single run may take longer.
        precision: half the width of the median's 95 % interval, as a part of the median.

    With work waiting at each run, because the stream was held or the device is the bottleneck, what
    the events read by themselves in that state is taken off (`Measurement.floor`): an empty pair of
    them behind a held stream, a little more in a row of runs. What is left is what a call adds to a
    busy stream. Otherwise, and where a row of runs is too short or host and device are too alike to
    tell, readings stay as they are. `Measurement.is_calibrated` says which, and nothing is cut off
    at zero.

    Waits for the device between batches of runs; the sync method twice a call. Never starts CUDA.
    Without CUDA all methods read the host's clock. Shows progress on a terminal's stderr after two
    seconds. That never falls into what is timed, and changes no result: where a pause of the host
    would, as in a row of runs with which the device barely keeps up, the bar waits.

    Raises TypeError where `fn` cannot be called, is a function of coroutines or generators or
    returns one, or an argument has the wrong type; ValueError where one is out of range;
    RuntimeError where a run has no device time that should have one, the stream cannot be held or
    the callable not be captured as asked, and while a CUDA graph is captured. What `fn` raises
    passes unchanged.

    >>> times = measure(sorted, [3, 1, 2], warmup=2, repeat=12)
    >>> len(times)
    10
    """
    check_call("measure", fn)
    check_options(method, hold, cache)
    warmup, repeat = check_runs(warmup, repeat)
    budget = check_seconds("budget", budget, most=86_400.0)
    precision = check_seconds("precision", precision, most=1.0)
    if hold and isinstance(repeat, int) and repeat > MOST_HELD:
        raise ValueError(
            f"hold=True makes at most {MOST_HELD:,} runs, got repeat={repeat:,}; give fewer"
        )
    options = Options(method, warmup, repeat, hold, cache, budget, precision)
    with ProgressBar(label_of(fn)) as bar:
        return take_measurement(fn, args, kwargs, options, bar)


def take_measurement(
    fn: Callable[..., object],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    options: Options,
    bar: ProgressBar,
) -> Measurement:
    """Do what `measure` does, whose arguments these are, with a bar that somebody else has."""
    versions = ArgumentVersions(args, kwargs)
    call: machine.Call = functools.partial(fn, *args, **kwargs)
    method = options.method
    if method == "graph":
        from .graph import captured

        call = captured(call)
        options = dataclasses.replace(options, method="event")
    if isinstance(options.warmup, int) and isinstance(options.repeat, int):
        found = run_counted(call, options, options.warmup, options.repeat, bar)
    else:
        found = run_auto(call, options, bar)
    found.warnings += clock_warnings(found.gpu_before, machine.gpu_state())
    if changed := versions.changed():
        found.warnings.append(arguments_changed(changed))
    event_overhead = find_event_overhead(options, found)
    on_device = options.method == "event" and machine.cuda_is_up()
    is_calibrated = on_device and event_overhead is not None and found.device_was_busy
    taken_off = event_overhead if is_calibrated and event_overhead is not None else 0.0
    bottleneck = _judge(found, taken_off) if on_device else None
    found.warnings += _warnings(found, on_device, event_overhead)
    found.warnings += judge_times(found.times)
    return Measurement(
        times=found.times - taken_off,
        warmup_times=found.warmup_times,
        host_times=found.host_times,
        loop_time=found.loop_time,
        method=method,
        label=label_of(fn),
        device=machine.device_name(),
        warmup=len(found.warmup_times),
        repeat=len(found.warmup_times) + len(found.times),
        warnings=tuple(found.warnings),
        wall_time=found.wall_time,
        held=found.held,
        cache=options.cache,
        event_overhead=event_overhead,
        is_calibrated=is_calibrated,
        ended_by=found.ended_by,
        environment=machine.environment(),
        bottleneck=bottleneck,
    )


def _judge(found: RunResult, event_overhead: float) -> Bottleneck:
    # A launch queue that is full holds the host back, so the quickest is nearest to issuing alone.
    held_back = found.device_was_busy and not found.held
    host_time = float(np.min(found.host_times) if held_back else np.median(found.host_times))
    return judge(
        host_time,
        float(np.median(found.times)) - event_overhead,
        found.held or found.work_was_waiting,
    )


def _warnings(
    found: RunResult, on_device: bool, event_overhead: float | None
) -> list[TimingWarning]:
    reading = float(np.median(found.times))
    warnings: list[TimingWarning | None] = []
    if on_device and not found.device_was_busy:
        host_time = float(np.median(found.host_times))
        warnings.append(raw_times(host_time, it_waited=found.work_was_waiting is False))
    if on_device and found.device_was_busy and event_overhead is not None:
        no_work = judge_work(reading - event_overhead, event_overhead, found.others)
        if no_work is not None:
            return [no_work]  # which says of other streams what there is to say
    if event_overhead is not None and not any(warnings):
        warnings.append(judge_resolution(reading, event_overhead))
    if on_device:
        warnings.append(judge_coverage(reading, found.others, found.runs_in_a_row))
    return [warning for warning in warnings if warning is not None]

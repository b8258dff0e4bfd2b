# SPDX-License-Identifier: BSD-3-Clause
"""The warnings of a measurement: when each one is given, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from ..sample import Sample
from ..text import format_change, format_count, format_seconds
from ..timing_warning import TimingWarning
from .accelerators import ON_CPU

if TYPE_CHECKING:
    from ..reports.report import Report

WarningKind = Literal[
    "cpu",
    "accelerator",
    "cuda_started",
    "queued_only",
    "launch_queue_full",
    "host_bound",
    "unclear",
    "few_samples",
    "few_processes",
    "rare_cost",
    "wall_time",
    "outliers",
    "drift",
    "correlated",
    "two_modes",
    "throttled",
    "clock_changed",
    "clocks_differ",
    "environments_differ",
    "not_held",
    "raw",
    "no_device_work",
    "other_streams",
    "other_devices",
    "outside_capture",
    "below_resolution",
    "unsteady",
    "below_min_time",
    "flops_uncounted",
    "arguments_changed",
    "first_run",
    "traced",
    "interrupted",
    "option_passed_on",
]

# What each kind means:
# ``cpu``: CUDA was not in use, so all methods agree;
# ``accelerator``: the device is not a CUDA device, so the host timed the runs;
# ``cuda_started``: the callable started CUDA itself, so the host timed some runs;
# ``queued_only``: the naive method read how long the host took to queue the work;
# ``launch_queue_full``: the naive method is right, but only by accident;
# ``host_bound``: the naive method is right, because the device kept up with the host;
# ``unclear``: it is unknown which of these three holds for the naive method;
# ``few_samples``: there are too few runs;
# ``few_processes``: there are two processes, too few to show how much processes differ;
# ``rare_cost``: the mean exceeds the median, because rare runs take much longer;
# ``wall_time``: calls in a row take longer than the timed runs explain;
# ``outliers``: more runs than chance allows lie far from the others;
# ``drift``: times became longer, or shorter, from the first run to the last;
# ``correlated``: times wander so slowly that the interval of the median may be too narrow;
# ``two_modes``: times fall into two groups;
# ``throttled``: heat or a power limit slowed the GPU down;
# ``clock_changed``: the GPU clock changed during the measurement, or between rounds;
# ``clocks_differ``: the sides of a comparison ran at different GPU clocks;
# ``environments_differ``: merged measurements come from different environments;
# ``not_held``: the stream was not held, so times include launch latency;
# ``raw``: times include the device's waits for the host, or may include them, or include an
# unknown event overhead;
# ``no_device_work``: the timed stream saw no work;
# ``other_streams``: other streams kept working after the timed stream was done;
# ``other_devices``: other devices kept working after the timed stream was done;
# ``outside_capture``: a CUDA graph lacks work of the callable;
# ``below_resolution``: a run reads hardly more than an empty run;
# ``unsteady``: times had not settled when the warm-up ended;
# ``below_min_time``: the kept runs do not add up to the minimum time;
# ``flops_uncounted``: torch does not count all floating-point operations of the call;
# ``arguments_changed``: the callable changes what it works on, so each run works on different data;
# ``first_run``: the first run took far longer than the others;
# ``traced``: a trace function, a profile function or a profiler was active;
# ``interrupted``: Ctrl-C ended the runs;
# ``option_passed_on``: a keyword argument of the callable resembles an option.


# A naive reading agrees with the device if it is at least this share of the device time.
_AGREES = 0.9

# A backlog up to this long, in seconds or as a share of a run, is only launch latency.
_LATENCY = 20e-6
_LATENCY_SHARE = 0.05


def judge_naive(
    reading: float, device_time: float, backlog: float, better: str = "event"
) -> TimingWarning:
    """Return what a naive reading is worth. All times are in seconds.

    Args:
        reading: the median reading.
        device_time: the time of a run on the stream, with its idle gaps.
        backlog: how long the device kept working after the host had left the loop.
        better: the method that reads this work right.
    """
    figures = (
        f"the host read {format_seconds(reading)} per run, the device took "
        f"{format_seconds(device_time)} and had {format_seconds(backlog)} of work left at the end"
    )
    # A backlog of up to one run may be just the last kernels. If the reading agrees and the backlog
    # is larger, the launch queue was full.
    is_behind = backlog > max(_LATENCY, _LATENCY_SHARE * device_time)
    agrees = reading >= _AGREES * device_time
    if not agrees and is_behind:
        below = format_change(reading / device_time - 1)
        return TimingWarning(
            "queued_only",
            f"The naive reading is wrong by {below}, because it is the time that the host took to "
            f"queue the work: {figures}. Use method={better!r}.",
        )
    if agrees and backlog >= device_time and is_behind:
        return TimingWarning(
            "launch_queue_full",
            "The naive reading is right only by accident, because the launch queue was full and "
            f"made the host wait: {figures}. Use method={better!r}.",
        )
    if agrees and not is_behind:
        return TimingWarning(
            "host_bound",
            f"The naive reading is right, because the device kept up with the host: {figures}. "
            "The host is the bottleneck, or the callable waits for the device itself.",
        )
    if agrees:
        return TimingWarning(
            "unclear",
            "The naive reading is right here, but it is unknown why: through a full launch queue, "
            f"a wait in the callable or a slow host ({figures}). Use method={better!r}.",
        )
    return TimingWarning(
        "unclear",
        "The naive reading is unreliable, because there is too little work to tell host and device "
        f"apart: {figures}. Use method={better!r}.",
    )


def judge_samples(
    samples: Sequence[Sample], warmup: int, report: Report, cuda_is_up: bool
) -> TimingWarning | None:
    """Return a warning if the host timed some runs; raise RuntimeError if a kept run is affected.

    Args:
        samples: of all runs, in the order of the runs.
        warmup: how many of the runs are ignored.
        report: the recorder's report after the last run.
        cuda_is_up: whether torch had started CUDA after the last run.
    """
    for run, sample in enumerate(samples):
        if sample.status in ("captured", "dropped", "failed"):
            cause = {
                "captured": "a CUDA graph was being captured; call measure() outside the capture",
                "dropped": "there was no room to keep it; use a smaller repeat or method='sync'",
                "failed": f"{report.last_failure}; fix that, or use method='sync'",
            }
            raise RuntimeError(
                f"run {run} has no device time (status {sample.status!r}): {cause[sample.status]}"
            )
    host_only = [run for run, sample in enumerate(samples) if sample.status == "host_only"]
    if not host_only:
        return None
    last = host_only[-1]
    if report.backend == "host":
        if not cuda_is_up:
            return ON_CPU
        raise RuntimeError(
            f"CUDA is up, but fasttime cannot use it: {report.backend_reason}; use method='sync', "
            "which needs no events"
        )
    if last >= warmup:
        raise RuntimeError(
            f"run {last} has no device time, because fn started CUDA itself in that run, and it is "
            f"not a warm-up run (warmup={warmup}); use a larger warmup, or call torch.cuda.init() "
            "first"
        )
    return TimingWarning(
        "cuda_started",
        f"fn started CUDA itself in run {last}, so warm-up times up to that run are the host's. "
        "The kept runs are not affected.",
    )


# A reading below this multiple of the event overhead is more overhead than work.
_RESOLUTION = 3.0

MORE_WORK = "Do more work in each call."


def longer_runs(calls: int, has_setup: bool) -> str:
    """Return what makes a run of `measure` longer."""
    if has_setup:  # the arguments are for one call
        return MORE_WORK
    return f"Pass calls={100 * calls}: a run then makes so many calls, and times are per call."


def judge_resolution(
    reading: float, event_overhead: float, subtracted: float, remedy: str
) -> TimingWarning | None:
    """Return a warning if a reading is mostly event overhead. Times are in seconds.

    Args:
        reading: the median reading of a run.
        event_overhead: what an empty run reads.
        subtracted: the part of the event overhead that is subtracted from the reported times.
        remedy: what makes a run longer.
    """
    if reading >= _RESOLUTION * event_overhead:
        return None
    time, overhead = format_seconds(reading - subtracted), format_seconds(event_overhead)
    if subtracted:
        what = f"A run takes {time} after the event overhead of {overhead} is subtracted, so most "
        what += "of the reading was overhead"
    else:
        what = f"A run reads {time} and an empty run {overhead}, so most of the reading is overhead"
    return TimingWarning("below_resolution", f"{what}. {remedy}")


# On the host, a run below this multiple of the loop's own cost may be off by several per cent.
_HOST_RESOLUTION = 50.0


def judge_host_resolution(time: float, loop_overhead: float, remedy: str) -> TimingWarning | None:
    """Return a warning if a host time is not far above the loop's own cost. Times are in seconds.

    Args:
        time: the median time of a run, without the loop's own cost.
        loop_overhead: the loop's own cost per run.
        remedy: what makes a run longer.
    """
    if time >= _HOST_RESOLUTION * loop_overhead:
        return None
    return TimingWarning(
        "below_resolution",
        f"A run takes {format_seconds(time)}. The loop's own cost of "
        f"{format_seconds(loop_overhead)} is subtracted, but only known to within a few "
        f"nanoseconds. {remedy}",
    )


def unsteady(runs: int) -> TimingWarning:
    """Return the warning about times that went on changing after a warm-up of `runs` runs."""
    return TimingWarning(
        "unsteady",
        f"Times had not settled to within 5 % when the warm-up ended after "
        f"{format_count(runs, 'run')}, and the kept runs still changed. Use a larger budget, or "
        "keep other work off the machine.",
    )


# Calls in a row may exceed the timed runs by this share, and by this many event overheads. It takes
# up to three times as long to record a pair of events as the pair reads.
_WALL_SHARE = 0.10
_WALL_OVERHEADS = 3.0


def below_min_time(seconds: float, min_time: float) -> TimingWarning:
    """Return the warning about kept runs that do not add up to the minimum, in seconds."""
    return TimingWarning(
        "below_min_time",
        f"The kept runs add up to only {format_seconds(seconds)} and not to min_time={min_time:g}, "
        "because a run takes far longer than the time it reads. Do more work in each call, or pass "
        "calls=.",
    )


def judge_wall_time(
    wall_time: float | None, explained: float, event_overhead: float | None
) -> TimingWarning | None:
    """Return a warning if calls in a row take longer than the runs explain. Times are in seconds.

    Args:
        wall_time: per call in a row of calls; None if unknown.
        explained: the mean time of a run, or what the host needs to issue it if that is longer.
        event_overhead: see `fasttime.Measurement`.
    """
    most = (1 + _WALL_SHARE) * explained + _WALL_OVERHEADS * (event_overhead or 0.0)
    if wall_time is None or wall_time <= most:
        return None
    return TimingWarning(
        "wall_time",
        f"In a row of calls, a call takes {format_seconds(wall_time)}, "
        f"{100 * (wall_time / explained - 1):.0f} % more than the timed runs explain, so the "
        "median leaves out part of the cost. For totals and rates, use wall_time.",
    )


def not_held(why: str) -> TimingWarning:
    """Return the warning about times that should have been taken behind a held stream."""
    return TimingWarning(
        "not_held",
        f"The stream was not held, so times include launch latency: {why}. Compare them only with "
        "other times measured without a hold.",
    )


def raw_times(host_time: float, *, device_waited: bool) -> TimingWarning:
    """Return the warning about device times that include waits for the host, or may do so.

    Args:
        host_time: how long the host takes to issue a call, in seconds.
        device_waited: False if that is unknown.
    """
    what = (
        "The device waited for the host, and times include that wait"
        if device_waited
        else "It is unknown whether the device waited for the host, so times may include that wait "
        "and the event overhead"
    )
    return TimingWarning(
        "raw",
        f"{what} (issuing a call takes {format_seconds(host_time)}). Use hold=True to read the "
        "device's own time.",
    )


def unknown_event_overhead(why: str) -> TimingWarning:
    """Return the warning about device times that include an unknown event overhead."""
    return TimingWarning(
        "raw",
        "Times include the event overhead, about a microsecond per run, which could not be "
        f"measured: {why}. Compare them only with times that include it too.",
    )

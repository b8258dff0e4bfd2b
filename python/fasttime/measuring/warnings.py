# SPDX-License-Identifier: BSD-3-Clause
"""Doubts: what to know about a measurement before its numbers are used, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ..reports.report import Report
from ..sample import Sample
from ..text import format_change, format_count, format_seconds
from ..timing_warning import TimingWarning

WarningKind = Literal[
    "cpu",
    "cuda_started",
    "queued_only",
    "launch_queue_full",
    "host_bound",
    "unclear",
    "few_samples",
    "few_processes",
    "outliers",
    "drift",
    "two_modes",
    "throttled",
    "clock_changed",
    "environments_differ",
    "not_held",
    "raw",
    "no_device_work",
    "other_streams",
    "below_resolution",
    "unsteady",
    "arguments_changed",
]

# What each kind means:
# ``cpu``: there was no CUDA, so all methods agree by nature;
# ``cuda_started``: the callable itself started CUDA, so that some runs are timed by the
# host only;
# ``queued_only``: the naive method read how long queueing the work took;
# ``launch_queue_full``: the naive method is right, but by accident;
# ``host_bound``: the naive method is right, as the device kept up with the host;
# ``unclear``: which of these holds for the naive method cannot be told;
# ``few_samples``: there are too few runs to judge by;
# ``few_processes``: there are two, which is too few to say by how much processes differ;
# ``outliers``: more runs than chance allows lie far from the others;
# ``drift``: times became longer, or shorter, from the first run to the last;
# ``two_modes``: times fall into two groups;
# ``throttled``: the device was held back by heat or by a power limit;
# ``clock_changed``: the device's clock was another at the end, or in other rounds;
# ``environments_differ``: what was merged was not measured under the same conditions;
# ``not_held``: the stream could not be held, so launch latency is in the times;
# ``raw``: the device waited for the host, and that is in the times, or it cannot be told
# whether it did; or what the events read by themselves is in them, as it is not known;
# ``no_device_work``: the timed stream saw no work;
# ``other_streams``: work went on on other streams after the timed one was done;
# ``below_resolution``: hardly more than what is read where there is nothing to time;
# ``unsteady``: times had not settled when the time for warming up was over;
# ``arguments_changed``: the callable, or one of those that are compared, changes what it
# is given, so that each run works on other data.


ON_CPU = TimingWarning(
    "cpu",
    "CUDA was not in use; on the CPU the work is done when the call returns, so naive, sync and "
    "event agree by nature",
)


def judge_naive(reading: float, device_time: float, backlog: float) -> TimingWarning:
    """Say what a naive reading is worth.

    Args:
        reading: the median, in seconds.
        device_time: what a run took on the stream, its idle gaps included, in seconds.
        backlog: how long the device went on after the host had left the loop, in seconds.
    """
    figures = (
        f"the host read {format_seconds(reading)} a run, the device took "
        f"{format_seconds(device_time)}, and had {format_seconds(backlog)} of work left at the end"
    )
    # Less than this is launch latency. Up to a whole run may be the last kernels alone; more than
    # that is left only where the queue was full, if the host did not run ahead in its readings.
    is_behind = backlog > max(20e-6, 0.05 * device_time)
    agrees = reading >= 0.9 * device_time
    if not agrees and is_behind:
        below = format_change(reading / device_time - 1)
        return TimingWarning(
            "queued_only",
            f"wrong by {below}, as it measured how long the host took to queue the work: {figures}",
        )
    if agrees and backlog >= device_time and is_behind:
        return TimingWarning(
            "launch_queue_full",
            f"right by accident, as the launch queue was full and held the host back: {figures}",
        )
    if agrees and not is_behind:
        return TimingWarning(
            "host_bound",
            "right, as the device kept up (the host is the bottleneck, or the callable waits for "
            f"the device itself): {figures}",
        )
    why = (
        "right here, but whether through a full launch queue, a wait inside the callable or a slow "
        "host cannot be told"
        if agrees
        else "not to be relied on, as there is too little work to tell host and device apart"
    )
    return TimingWarning("unclear", f"{why}: {figures}")


def judge_samples(
    samples: Sequence[Sample], warmup: int, report: Report, cuda_is_up: bool
) -> TimingWarning | None:
    """Say which runs are timed by the host; raise RuntimeError where that will not do.

    Args:
        samples: of all runs, in the order in which they ran.
        warmup: how many of them are ignored.
        report: made after the last one; it says what stood behind the samples.
        cuda_is_up: what torch says after the last one.
    """
    for run, sample in enumerate(samples):
        if sample.status in ("captured", "dropped", "failed"):
            mend = {
                "captured": "a CUDA graph was being captured; call measure() outside of captures",
                "dropped": "there was no room to keep it; use a smaller repeat or method='sync'",
                "failed": f"{report.last_failure}; mend that, or use method='sync'",
            }
            raise RuntimeError(
                f"run {run} has no device time, its status is {sample.status!r}: "
                f"{mend[sample.status]}"
            )
    host_only = [run for run, sample in enumerate(samples) if sample.status == "host_only"]
    if not host_only:
        return None
    if report.backend == "host":
        if not cuda_is_up:
            return ON_CPU
        raise RuntimeError(
            f"CUDA is up, but fasttime cannot time with it: {report.backend_reason}; method='sync' "
            "does without"
        )
    if host_only[-1] >= warmup:
        raise RuntimeError(
            f"run {host_only[-1]} has no device time, as fn itself started CUDA in it, and it is "
            f"not among the warm-up runs (warmup={warmup}); give more of these, or start CUDA "
            "before with torch.cuda.init()"
        )
    return TimingWarning(
        "cuda_started",
        f"fn itself started CUDA in run {host_only[-1]}; up to there the warm-up times are the "
        "host's",
    )


# A reading below so many times the floor is more floor than reading.
_RESOLUTION = 3.0

# Less than this beside an empty pair is no work: no kernel is as short.
_NO_WORK = 0.5e-6

# The host may take so long to go on when the device is done.
_WAKING_UP = 200e-6


def judge_work(times: float, event_overhead: float, others: float) -> TimingWarning | None:
    """Say where the timed stream saw no work.

    Args:
        times: the median reading, without the floor, in seconds.
        floor: what an empty run reads.
        others: how long other streams went on after the timed one, in seconds.
    """
    if abs(times) >= _NO_WORK:
        return None
    elsewhere = (
        f"other streams of the device went on for {format_seconds(others)}: fn puts its work there"
        if others > _WAKING_UP
        else "fn puts none on the device, or it puts it on another stream or device"
    )
    return TimingWarning(
        "no_device_work",
        f"the timed stream saw no work beside the events' own {format_seconds(event_overhead)}; "
        f"{elsewhere}. Make its stream the current one (torch.cuda.stream), or use method='sync'",
    )


def judge_coverage(times: float, others: float, runs: int) -> TimingWarning | None:
    """Say where other streams were busy after the timed one.

    Args:
        times: the median of a run, in seconds.
        others: how long they went on, in seconds.
        runs: how many runs came before that was looked at.
    """
    if others <= max(_WAKING_UP, 0.05 * times * runs):
        return None
    return TimingWarning(
        "other_streams",
        f"other streams of the device went on for {format_seconds(others)} after the timed one was "
        "done, which is in none of the times; let the current stream wait for them in fn, or use "
        "method='sync'",
    )


def judge_resolution(reading: float, event_overhead: float) -> TimingWarning | None:
    """Say where a reading, the floor in it, is hardly more than the floor. Times are in seconds."""
    if reading >= _RESOLUTION * event_overhead:
        return None
    return TimingWarning(
        "below_resolution",
        f"a run reads {format_seconds(reading)}, and {format_seconds(event_overhead)} where there is "
        "nothing to time; put several calls into fn and divide",
    )


def unsteady(runs: int) -> TimingWarning:
    """Return the doubt about a callable whose times did not settle in so many runs."""
    return TimingWarning(
        "unsteady",
        "times had not settled to within 5 % when the time for warming up was over, after "
        f"{format_count(runs, 'run')}; give a larger budget, or quieten the machine",
    )


def not_held(why: str) -> TimingWarning:
    """Return the doubt about times that should have been taken behind a held stream."""
    return TimingWarning(
        "not_held", f"timed without holding the stream, launch latency included, as {why}"
    )


def raw_times(host_time: float, it_waited: bool) -> TimingWarning:
    """Return the doubt about device times in which the device waits for the host, or may do so.

    Args:
        host_time: what issuing a call takes, in seconds.
        it_waited: False where it cannot be told.
    """
    what = (
        "the device waited for the host, which is in these times"
        if it_waited
        else "whether the device waited for the host cannot be told, and if so that is in these "
        "times, as is what the events read by themselves"
    )
    return TimingWarning(
        "raw",
        f"{what} (issuing a call takes {format_seconds(host_time)}); behind a held stream, as by "
        "measure(hold=True), the device's own time is read",
    )


def unknown_event_overhead(why: str) -> TimingWarning:
    """Return the doubt about device times from which the events' own could not be taken off."""
    return TimingWarning(
        "raw",
        "what the events read by themselves, a microsecond or so a run, is in these times and not "
        f"known, as {why}",
    )


def arguments_changed(names: Sequence[str]) -> TimingWarning:
    """Return the doubt about a callable that changes its arguments."""
    return TimingWarning(
        "arguments_changed",
        f"fn changes {', '.join(names)} in place, so that each run works on other data; give it a "
        "clone if times depend on values",
    )


def shared_arguments_changed(changes: Mapping[str, Sequence[str]]) -> TimingWarning:
    """Return the doubt about candidates, by name, of which some change what all of them share."""
    who = "; ".join(f"{name} changes {', '.join(names)}" for name, names in changes.items())
    return TimingWarning(
        "arguments_changed",
        f"{who} in place, so that all candidates work on other data from then on; let it work on a "
        "clone if times depend on values",
    )

# SPDX-License-Identifier: BSD-3-Clause
"""The runs of one measurement: which samplers, in which order, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..environment.gpu_state import GpuState
from ..timing_warning import TimingWarning
from . import machine
from .calibration import empty_pair, event_overhead_in_a_row
from .held import CannotBeHeld, HeldSampler
from .machine import Call
from .measurement import (
    Auto,
    Cache,
    EndedBy,
    Method,
)
from .plan import Runs, run_until_known
from .progress import ProgressBar
from .sampler import Sampler, Times
from .samplers import nothing, open_sampler
from .warm_up import WarmUp, batch_time, warm_up
from .warnings import not_held, unknown_event_overhead, unsteady

# Of a budget, what warming up may take beside it.
_WARM_UP_PART = 0.25

_EMPTY_RUNS = 50

# So few runs follow one another too briefly for events to read more than an empty pair does.
_FEW_IN_A_ROW = 10


@dataclass(frozen=True)
class Options:
    """How a callable is to be timed; see `fasttime.measure`."""

    method: Method
    warmup: int | Auto
    repeat: int | Auto
    hold: bool | None = None
    cache: Cache = "warm"
    budget: float = 1.0
    precision: float = 0.005


@dataclass
class RunResult:
    """What the runs have found; times in seconds, as the method read them.

    Attributes, where they are not those of `Runs` or `fasttime.Measurement`:
        work_was_waiting: in runs that were not held; see `Batch`.
        runs_in_a_row: after how many runs `others` was looked at.
        gpu_before: the GPU's state after the warm-up; None where it was not looked at.
    """

    times: Times
    warmup_times: Times
    host_times: Times
    loop_time: float
    held: bool
    ended_by: EndedBy = "count"
    wall_time: float | None = None
    work_was_waiting: bool | None = None
    others: float = 0.0
    event_overheads: Times = field(default_factory=lambda: np.empty(0))
    warnings: list[TimingWarning] = field(default_factory=list)
    runs_in_a_row: int = 1
    gpu_before: GpuState | None = None

    @property
    def device_was_busy(self) -> bool:
        """Work is known to have been waiting on the stream whenever a run began."""
        return self.held or self.work_was_waiting is True


def run_counted(
    call: Call, options: Options, warmup: int, repeat: int, bar: ProgressBar
) -> RunResult:
    """Run exactly so often, in one loop."""
    warnings = []
    held = options.hold is True
    with open_sampler(call, method=options.method, hold=held, cache=options.cache) as sampler:
        try:
            batch = sampler.take(repeat, warmup, bar)
        except CannotBeHeld as error:
            warnings.append(not_held(str(error)))
            held = False
            with open_sampler(call, method=options.method, cache=options.cache) as free:
                batch = free.take(repeat, warmup, bar)
    if batch.warning is not None:
        warnings.append(batch.warning)
    return RunResult(
        times=batch.times[warmup:],
        warmup_times=batch.times[:warmup],
        host_times=batch.host_times[warmup:],
        loop_time=batch.duration,
        held=held,
        # What clears the cache is in the loop, and there is none without.
        wall_time=None
        if held or options.cache == "cold"
        else batch.kept_duration / (repeat - warmup),
        work_was_waiting=batch.work_was_waiting,
        others=batch.others,
        runs_in_a_row=1 if held else repeat,
        event_overheads=batch.event_overheads,
        warnings=warnings,
    )


def run_auto(call: Call, options: Options, bar: ProgressBar) -> RunResult:
    """Warm up, and run until the median is known or time is up."""
    start = machine.clock()
    with open_sampler(call, method=options.method, cache=options.cache) as free:
        bar.doing, doing = "warming up", bar.doing
        if isinstance(options.warmup, int):
            warm = _warm_up_counted(free, options.warmup, bar)
        else:
            warm = warm_up(free, batch_time(options.budget), _WARM_UP_PART * options.budget, bar)
        bar.doing = doing
        gpu_before = machine.gpu_state()
        runs, held, warnings = _run(call, options, free, warm, bar)
    if not warm.is_steady:
        warnings.append(unsteady(len(warm.times)))
    if warm.warning is not None:
        warnings.append(warm.warning)
    return RunResult(
        times=np.concatenate(runs.times),
        warmup_times=warm.times,
        host_times=np.concatenate(runs.host_times),
        loop_time=machine.clock() - start,
        held=held,
        ended_by=runs.ended_by,
        wall_time=float(np.median(runs.wall_times)),
        work_was_waiting=runs.work_was_waiting,
        others=float(np.median(runs.others)),
        runs_in_a_row=1 if held else int(np.median([len(times) for times in runs.times])),
        event_overheads=np.concatenate(runs.event_overheads),
        warnings=warnings,
        gpu_before=gpu_before,
    )


def _warm_up_counted(free: Sampler, runs: int, bar: ProgressBar) -> WarmUp:
    # One more, which is not ignored, so that there is something to plan from.
    batch = free.take(runs + 1, runs, bar)
    return WarmUp(batch.times[:runs], batch.kept_duration, batch, True, batch.warning)


def _run(
    call: Call, options: Options, free: Sampler, warm: WarmUp, bar: ProgressBar
) -> tuple[Runs, bool, list[TimingWarning]]:
    kept = None
    if isinstance(options.repeat, int):
        kept = options.repeat - (options.warmup if isinstance(options.warmup, int) else 0)

    def run(held: Sampler | None) -> Runs:
        return run_until_known(
            call,
            free,
            held,
            warm,
            kept=kept,
            precision=options.precision,
            budget=options.budget,
            bar=bar,
        )

    warnings = []
    if _wants_hold(options, warm):
        try:
            return run(HeldSampler(call, options.cache)), True, []
        except CannotBeHeld as error:
            warnings.append(not_held(str(error)))
        except RuntimeError as error:
            if options.hold or not str(error).startswith("the stream cannot be held"):
                raise
            warnings.append(not_held(str(error)))
    return run(None), False, warnings


def _wants_hold(options: Options, warm: WarmUp) -> bool:
    if options.hold is not None or options.method != "event":
        return bool(options.hold)
    if not machine.cuda_is_up() or warm.last.warning is not None:
        return False
    # A single run that fills a batch is long, and holding it takes as long again. Nothing was in
    # front of it, so that what is left after issuing says whether the device decides.
    is_long = len(warm.last.times) == 1
    return not is_long or warm.last.backlog <= float(warm.last.host_times[0])


def find_event_overhead(options: Options, found: RunResult) -> float | None:
    """Return what is read where there is nothing to time, in seconds; None if it cannot be known.

    For events that is what two of them read of their own where work is waiting. Where that should
    be taken off and is not known, a doubt is added to what was found.
    """
    if len(found.event_overheads):
        return float(np.median(found.event_overheads))
    if options.method == "event" and machine.cuda_is_up():
        try:
            in_a_row = found.work_was_waiting and found.runs_in_a_row > _FEW_IN_A_ROW
            return event_overhead_in_a_row() if in_a_row else empty_pair()
        except RuntimeError as error:  # a device whose streams cannot be held
            if found.device_was_busy:
                found.warnings.append(unknown_event_overhead(str(error)))
            return None
    with open_sampler(nothing, method=options.method) as sampler:
        return float(np.median(sampler.take(_EMPTY_RUNS).times))

# SPDX-License-Identifier: BSD-3-Clause
"""The runs of one measurement: which samplers, in which order, and what to do if one fails."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..environment.gpu_state import GpuState
from ..stats import Times
from ..stats.steadiness import drift
from ..timing_warning import TimingWarning
from . import machine
from .adaptive import Runs, run_until_known
from .batch import BatchInterrupted, Sampler, nothing
from .calibration import empty_pair, event_overhead_in_a_row, loop_overhead
from .clocks import ClockSample
from .elsewhere import Elsewhere
from .held import CannotBeHeld, HeldSampler
from .machine import Call
from .options import EndedBy, Options
from .prepared import Fresh
from .progress import ProgressBar
from .samplers import open_sampler
from .warm_up import WarmUp, batch_time, warm_up
from .warnings import below_min_time, not_held, unknown_event_overhead, unsteady

# The warm-up may take this share of the budget, in addition to the budget.
_WARM_UP_PART = 0.25

_EMPTY_RUNS = 50

# After a warm-up that did not settle, a weaker sign of a drift than usual is enough.
_STILL_CHANGING_P = 0.05

# Up to this many runs in a row, the event overhead equals the reading of an empty pair.
_FEW_IN_A_ROW = 10


@dataclass
class RunResult:
    """What the runs returned. Times are in seconds, as the method read them.

    Attributes that `Runs` and `fasttime.Measurement` do not describe:
        work_was_waiting: in the runs that were not held; see `Batch`.
        others: how long work elsewhere went on after the timed stream was done, per batch or hold.
        event_overheads: one per held run; empty if no run was held.
        runs_in_a_row: how many runs came before `others` was checked.
        gpu_before: the GPU's state after the warm-up; None if unknown.
        clocks: the SM clock between the batches of kept runs.
    """

    times: Times
    warmup_times: Times
    host_times: Times
    loop_time: float
    held: bool
    ended_by: EndedBy = "count"
    wall_time: float | None = None
    work_was_waiting: bool | None = None
    others: list[Elsewhere] = field(default_factory=list)
    event_overheads: Times = field(default_factory=lambda: np.empty(0))
    warnings: list[TimingWarning] = field(default_factory=list)
    runs_in_a_row: int = 1
    gpu_before: GpuState | None = None
    clocks: tuple[ClockSample, ...] = ()

    @property
    def device_was_busy(self) -> bool:
        """Whether work is known to have been waiting on the stream each time a run began."""
        return self.held or self.work_was_waiting is True

    def per_call(self, calls: int) -> RunResult:
        """Return the same with all times divided by the number of calls in a run."""
        if calls == 1:
            return self
        return replace(
            self,
            times=self.times / calls,
            warmup_times=self.warmup_times / calls,
            host_times=self.host_times / calls,
            wall_time=None if self.wall_time is None else self.wall_time / calls,
            event_overheads=self.event_overheads / calls,
            runs_in_a_row=self.runs_in_a_row * calls,
        )


def run_counted(call: Call, options: Options, warmup: int, repeat: int) -> RunResult:
    """Make exactly `repeat` runs in one loop. The first `warmup` runs are ignored."""
    warnings = []
    held = options.hold is True
    ended_by: EndedBy = "count"
    with open_sampler(call, method=options.method, hold=held, cache=options.cache) as sampler:
        try:
            try:
                batch = sampler.take(repeat, warmup)
            except CannotBeHeld as error:
                warnings.append(not_held(str(error)))
                held = False
                with open_sampler(call, method=options.method, cache=options.cache) as free:
                    batch = free.take(repeat, warmup)
        except BatchInterrupted as interrupted:
            batch, ended_by = interrupted.batch, "interrupt"
    if batch.warning is not None:
        warnings.append(batch.warning)
    # Holds, clearing the cache, making arguments and an interrupted run would be part of it.
    has_wall_time = not (
        held or options.cache == "cold" or isinstance(call, Fresh) or ended_by == "interrupt"
    )
    clock = machine.sm_clock()
    return RunResult(
        times=batch.times[warmup:],
        warmup_times=batch.times[:warmup],
        host_times=batch.host_times[warmup:],
        loop_time=batch.duration,
        held=held,
        ended_by=ended_by,
        wall_time=batch.kept_duration / (len(batch.times) - warmup) if has_wall_time else None,
        work_was_waiting=batch.work_was_waiting,
        others=[batch.others],
        runs_in_a_row=1 if held else len(batch.times),
        event_overheads=batch.event_overheads,
        warnings=warnings,
        clocks=() if clock is None else (ClockSample(len(batch.times) - warmup, clock),),
    )


def run_auto(call: Call, options: Options, bar: ProgressBar) -> RunResult:
    """Warm up, then run until the median is known, time is up, or enough runs are kept.

    Raises KeyboardInterrupt if Ctrl-C comes before the first kept batch is complete.
    """
    start = machine.clock()
    with open_sampler(call, method=options.method, cache=options.cache) as free:
        bar.doing, doing = "warming up", bar.doing
        if isinstance(options.warmup, int):
            warm = _warm_up_counted(free, options.warmup)
        else:
            warm = warm_up(free, batch_time(options.budget), _WARM_UP_PART * options.budget, bar)
        bar.doing = doing
        gpu_before = machine.gpu_state()
        runs, held, warnings = _run(call, options, free, warm, bar)
    times = np.concatenate(runs.times)
    # Noise alone can keep a few long runs from agreeing to within 5 %. What matters is whether the
    # kept runs go on changing.
    if not warm.is_steady and drift(times, _STILL_CHANGING_P) is not None:
        warnings.append(unsteady(len(warm.times)))
    if warm.warning is not None:
        warnings.append(warm.warning)
    if runs.ended_by != "interrupt" and runs.seconds < options.min_time:
        warnings.append(below_min_time(runs.seconds, options.min_time))
    return RunResult(
        times=times,
        warmup_times=warm.times,
        host_times=np.concatenate(runs.host_times),
        loop_time=machine.clock() - start,
        held=held,
        ended_by=runs.ended_by,
        wall_time=float(np.median(runs.wall_times)) if runs.wall_times else None,
        work_was_waiting=runs.work_was_waiting,
        others=runs.others,
        runs_in_a_row=1 if held else int(np.median([len(times) for times in runs.times])),
        event_overheads=np.concatenate(runs.event_overheads),
        warnings=warnings,
        gpu_before=gpu_before,
        clocks=tuple(runs.clocks),
    )


def _warm_up_counted(free: Sampler, runs: int) -> WarmUp:
    # One more run, which is not ignored, tells how long a batch takes.
    batch = free.take(runs + 1, runs)
    return WarmUp(batch.times[:runs], batch.kept_duration, batch, True, batch.warning)


def _run(
    call: Call, options: Options, free: Sampler, warm: WarmUp, bar: ProgressBar
) -> tuple[Runs, bool, list[TimingWarning]]:
    """Return the runs, whether the stream was held, and warnings."""
    kept = None
    if isinstance(options.repeat, int):
        kept = options.repeat - (options.warmup if isinstance(options.warmup, int) else 0)

    def run(held: Sampler | None) -> Runs:
        runs = Runs()
        try:
            return run_until_known(
                call,
                free,
                held,
                warm,
                kept=kept,
                precision=options.precision,
                budget=options.budget,
                min_time=options.min_time,
                bar=bar,
                runs=runs,
            )
        except KeyboardInterrupt:
            if not runs.event_overheads:  # they come last in a round
                raise
            runs.ended_by = "interrupt"
            return runs

    warnings = []
    if _wants_hold(call, options, warm):
        try:
            return run(HeldSampler(call, options.cache)), True, []
        except CannotBeHeld as error:
            warnings.append(not_held(str(error)))
        except RuntimeError as error:
            if options.hold or not str(error).startswith("the stream cannot be held"):
                raise
            warnings.append(not_held(str(error)))
    return run(None), False, warnings


def _wants_hold(call: Call, options: Options, warm: WarmUp) -> bool:
    if options.hold is not None or options.method != "event":
        return bool(options.hold)
    if not machine.cuda_is_up() or warm.last.warning is not None:
        return False
    # A single run that fills a batch is long, and a hold doubles its time. Such a run is held only
    # if it is host-bound. The stream was empty before the run, so the backlog shows that. Making
    # fresh arguments may empty the stream before each run.
    is_long = len(warm.last.times) == 1 and not isinstance(call, Fresh)
    return not is_long or warm.last.backlog <= float(warm.last.host_times[0])


def find_event_overhead(options: Options, found: RunResult) -> float | None:
    """Return what the method reads for an empty run, in seconds; None if unknown.

    For events it is the reading of an empty pair of events on a stream with work waiting. Without
    CUDA it is the cost of the loop itself. If the
    event overhead should be subtracted and is unknown, a warning is added to `found`.
    """
    if len(found.event_overheads):
        return float(np.median(found.event_overheads))
    if options.method == "event" and machine.cuda_is_up():
        try:
            in_a_row = found.work_was_waiting and found.runs_in_a_row > _FEW_IN_A_ROW
            return event_overhead_in_a_row() if in_a_row else empty_pair()
        except RuntimeError as error:  # the streams of this device cannot be held
            if found.device_was_busy:
                found.warnings.append(unknown_event_overhead(str(error)))
            return None
    if not machine.cuda_is_up():
        return loop_overhead(options.method)
    with open_sampler(nothing, method=options.method) as sampler:
        return float(np.median(sampler.take(_EMPTY_RUNS).times))

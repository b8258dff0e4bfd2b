# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime.measure`: time one callable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ..bottleneck import Bottleneck
from ..environment.origin import origin_now
from ..rates.peaks import peaks_of
from ..rates.rate import Amount, Work, mean_work
from ..text import format_count
from ..timing_warning import TimingWarning
from ..torch_compile.not_compiled import not_compiled
from . import machine
from .arguments import (
    check_call,
    check_calls,
    check_options,
    check_runs,
    check_seconds,
    label_of,
)
from .batch import BatchInterrupted
from .bottleneck import judge
from .clocks import clock_warnings
from .distribution import judge_times
from .elsewhere import judge_elsewhere, judge_work
from .graph import captured
from .held import MOST_HELD
from .interrupted import Interrupted, interrupted_after
from .measurement import Measurement
from .option_names import note_near_misses, options_of, warn_of_near_misses
from .options import Auto, Cache, Method, Options
from .prepared import (
    Arguments,
    Fresh,
    Setup,
    check_inputs,
    check_preparation,
    examples_of,
    in_a_row,
    prepared,
)
from .process_state import judge_process
from .progress import ProgressBar
from .runner import RunResult, find_event_overhead, run_auto, run_counted
from .state import State, judge_first_run, state_changed
from .warnings import (
    judge_host_resolution,
    judge_resolution,
    judge_wall_time,
    longer_runs,
    raw_times,
)


@not_compiled
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
    min_time: float | None = None,
    calls: int = 1,
    setup: Setup | None = None,
    inputs: Sequence[Arguments] | None = None,
    bytes: Amount | None = None,
    flops: Amount | Literal["auto"] | None = None,
    items: Amount | None = None,
    **kwargs: object,
) -> Measurement:
    """Call ``fn(*args, **kwargs)`` many times and return how long a call takes, in seconds.

    You get three times: what a call takes on the device, how long the host takes to issue it, and
    how long it takes when calls follow each other. You also get the bottleneck, host or device.

    Args:
        fn: the callable to time. Its results are discarded. If `fn` itself takes an argument with
            the name of an option below, wrap it in a lambda.
        method: how runs are timed.
            ``event`` records a CUDA event before and after each call and reads the events at the
            end, so nothing waits in between.
            ``sync`` waits for the device before each reading of the host's clock.
            ``naive`` reads the host's clock around the call, and does nothing else.
            ``graph`` calls `fn` three times, captures a fourth call into a CUDA graph, and times
            replays of the graph by events. The capture is thread-local, so other threads may pin
            memory or capture graphs meanwhile.
        warmup: how many runs are ignored at the beginning, at least 0. ``auto``: runs until three
            batches in a row take the same time to within 5 %, for at most a quarter of `budget`.
        repeat: how many runs to make. If you give `warmup` too, `repeat` includes the ignored runs.
            `fn` is then called exactly that often, apart from the first calls that ``graph`` and
            `hold` need. ``auto``: until the median is known to within `precision`, or `budget` is
            spent.
        hold: True holds the stream while each run is queued and then executes the run without a
            gap, so times include no launch latency. None holds if `warmup` or `repeat` is ``auto``,
            except for device-bound calls of many milliseconds. Holding calls `fn` once more at the
            beginning, or twice if the first call takes over half a second. If a stream stays held
            for too long, it is released, runs are timed without holding, and a warning says so.
        cache: ``warm`` leaves the device's L2 cache alone; ``cold`` clears it before each run.
        budget: seconds for the kept runs if `repeat` is ``auto``. The warm-up may take a quarter of
            that on top. A single long run may exceed the budget.
        precision: half the width of the median's 95 % interval, as a share of the median.
        min_time: seconds that the kept runs must add up to, even beyond `budget`. Only with
            ``repeat="auto"``. After 20 times as many seconds, `measure` stops and warns you.
        calls: how many calls a run makes in a row. Times are per call.
        setup: a function that returns a tuple of fresh arguments for `fn`. It is called with `args`
            before each run, and its work is not timed, on the host or on the device. So `fn` may
            change its arguments in place: ``measure(torch.Tensor.add_, setup=lambda: (x.clone(),
            1))``. With `hold`, it runs before the stream is held, so it may wait for the device.
        inputs: a list of tuples of arguments. Each call takes the next one, and the list begins
            again at its end. With more data than the L2 cache holds, no call finds its data there.
        bytes, flops, items: the work of one call: a number, or a function of the call's arguments.
            `Measurement.rates` then has the work per second. ``flops="auto"`` calls `fn` once more
            (for each of `inputs`), and lets torch count. A warning says what torch cannot count.

    If the stream was held, or if the device is the bottleneck, work was waiting at each run. The
    event overhead in that state is then subtracted. The result is the time that a call adds to a
    busy stream. Otherwise, or if it is unknown whether work was waiting, nothing is subtracted.
    Without CUDA, the loop's own cost is subtracted, so an empty function reads as in `timeit`.
    `Measurement.is_calibrated` says whether it was. Times are never cut off at zero.

    Waits for all devices in use between batches of runs; the sync method waits twice per call.
    `times` of the event method are of the current stream. A warning says if work went on elsewhere.
    Waiting does not destroy captures of other threads, if torch owns the capturing stream. While
    such a capture goes on, streams that libraries made for themselves are not waited for.

    Never starts CUDA. Without CUDA, all methods read the host's clock. On other accelerators, only
    the sync method waits for the device. After two seconds, a terminal shows a
    progress bar on stderr. The bar is drawn between batches only, never during timed runs. There is
    no bar if you give both `warmup` and `repeat`.

    Raises TypeError if `fn` cannot be called, or if its first result is not there yet: a coroutine,
    generator, iterator, future, awaitable, or the handle of an asynchronous collective. Raises
    TypeError for an option of the wrong type, and ValueError for an option out of range or in
    conflict with another one. Raises RuntimeError if a run has no device time although CUDA is in
    use, and if the stream cannot be held or the callable cannot be captured as requested. Also
    raises RuntimeError while a CUDA graph is being captured.

    On Ctrl-C, raises `fasttime.Interrupted`, a KeyboardInterrupt that carries the complete runs.
    Inside a function that torch.compile compiles, `measure` breaks the graph.

    Exceptions from `fn` pass unchanged. If `fn` does not know a keyword argument that resembles an
    option, such as ``repeats=``, a note on the exception names the option (Python 3.11 and later).
    If `fn` takes any keyword argument, a warning names the option instead.

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
            f"hold=True allows at most {MOST_HELD:,} runs, got repeat={repeat:,}; use a smaller "
            "repeat or hold=False"
        )
    calls = check_calls(calls)
    least = 0.0 if min_time is None else check_seconds("min_time", min_time, most=86_400.0)
    if least and repeat != "auto":
        raise ValueError(f"repeat={repeat} already says how many runs to make; leave min_time out")
    check_preparation("measure", setup, inputs, method=method, calls=calls, has_args=bool(args))
    listed = None if inputs is None else check_inputs(inputs)
    options = Options(method, warmup, repeat, hold, cache, budget, precision, calls, least)
    call = prepared(fn, args, kwargs, setup, listed)
    works_on = (args, kwargs) if listed is None else ((), {"inputs": listed, **kwargs})
    near_misses = warn_of_near_misses("measure", fn, kwargs, options_of(measure))
    with ProgressBar(label_of(fn)) as bar:
        try:
            work = measured_work(call, bytes, flops, items)
            return take_measurement(
                fn, *works_on, options, bar, call=call, work=work, warnings=near_misses
            )
        except BatchInterrupted as error:  # in the warm-up, so there is nothing to keep
            raise KeyboardInterrupt from error
        except TypeError as error:
            note_near_misses("measure", error, kwargs, options_of(measure))
            raise


def take_measurement(
    fn: Callable[..., object],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    options: Options,
    bar: ProgressBar,
    *,
    call: machine.Call | None = None,
    work: MeasuredWork | None = None,
    warnings: Sequence[TimingWarning] = (),
) -> Measurement:
    """Do the work of `measure`, with the caller's progress bar and without checking options.

    Args:
        fn, args, kwargs: what to call, and what is watched for changes in place.
        options: how to time it.
        bar: drawn between batches.
        call: what to run instead of ``fn(*args, **kwargs)``, if arguments are prepared.
        work: the work of one call, if it is known.
        warnings: what is known before the runs.

    Raises Interrupted like `measure`.
    """
    state = State(fn, args, kwargs)
    call = prepared(fn, args, kwargs) if call is None else call
    has_setup = isinstance(call, Fresh)
    work = MeasuredWork() if work is None else work
    method = options.method
    lacks = None
    if method == "graph":
        call, lacks = captured(call)
        options = dataclasses.replace(options, method="event")
    call = in_a_row(call, options.calls)
    if isinstance(options.warmup, int) and isinstance(options.repeat, int):
        found = run_counted(call, options, options.warmup, options.repeat)
    else:
        found = run_auto(call, options, bar)
    found.warnings += clock_warnings(found.gpu_before, machine.gpu_state())
    if lacks is not None:
        found.warnings.append(lacks)
    if changed := state.changed():
        found.warnings.append(state_changed(changed))
    found.warnings += [*work.warnings, *warnings]
    event_overhead = find_event_overhead(options, found)
    event_overhead = None if event_overhead is None else event_overhead / options.calls
    found = found.per_call(options.calls)
    on_device = options.method == "event" and machine.cuda_is_up()
    is_calibrated = event_overhead is not None and (
        found.device_was_busy if on_device else not machine.cuda_is_up()
    )
    subtracted = event_overhead if is_calibrated and event_overhead is not None else 0.0
    bottleneck = _bottleneck(found, subtracted) if on_device else None
    remedy = longer_runs(options.calls, has_setup)
    found.warnings += _warnings(options, found, on_device, event_overhead, subtracted, remedy)
    found.warnings += judge_times(found.times - subtracted)
    if found.ended_by == "interrupt":
        found.warnings.append(interrupted_after(len(found.times)))
    measurement = Measurement(
        times=found.times - subtracted,
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
        origins=(origin_now(),),
        environment=machine.environment(),
        bottleneck=bottleneck,
        calls=options.calls,
        has_setup=has_setup,
        work=work.amounts,
        peaks=work.peaks,
        clocks=found.clocks,
    )
    if found.ended_by == "interrupt":
        raise Interrupted(measurement, format_count(len(measurement), "kept run"))
    return measurement


class MeasuredWork(NamedTuple):
    """The work of one call, the peaks that limit it, by kind, and warnings on how it was counted.

    An empty one stands for unknown work.
    """

    amounts: Mapping[str, float] = {}
    peaks: Mapping[str, float] = {}
    warnings: tuple[TimingWarning, ...] = ()


def measured_work(
    call: machine.Call,
    bytes: Amount | None,
    flops: Amount | Literal["auto"] | None,
    items: Amount | None,
) -> MeasuredWork:
    """Return the work of a call, as `measure` describes it."""
    if bytes is flops is items is None:
        return MeasuredWork()
    examples = examples_of(call)
    found: Work = mean_work({"bytes": bytes, "flops": flops, "items": items}, examples)
    peaks = peaks_of(examples[0].args, examples[0].keywords)
    known = {kind: peak for kind, peak in peaks.items() if kind in found.amounts}
    return MeasuredWork(found.amounts, known, found.warnings)


def _bottleneck(found: RunResult, subtracted: float) -> Bottleneck:
    # A full launch queue makes the host wait. The shortest host time is then nearest to the time
    # for issuing alone.
    queue_may_be_full = found.device_was_busy and not found.held
    host_time = np.min(found.host_times) if queue_may_be_full else np.median(found.host_times)
    return judge(
        float(host_time),
        float(np.median(found.times)) - subtracted,
        found.held or found.work_was_waiting,
    )


def _warnings(
    options: Options,
    found: RunResult,
    on_device: bool,
    event_overhead: float | None,
    subtracted: float,
    remedy: str,
) -> list[TimingWarning]:
    reading = float(np.median(found.times))
    host_time = float(np.median(found.host_times))
    first = found.warmup_times[0] if len(found.warmup_times) else found.times[0]
    warnings = [judge_process(), judge_first_run(float(first), max(reading, host_time))]
    overhead_matters = True
    if on_device and not found.device_was_busy:
        warnings.append(raw_times(host_time, device_waited=found.work_was_waiting is False))
        overhead_matters = False
    no_work = None
    if on_device and found.device_was_busy and event_overhead is not None:
        no_work = judge_work(reading - event_overhead, event_overhead, found.others)
    if no_work is not None:
        warnings.append(no_work)  # its message covers work elsewhere too
    else:
        if event_overhead is not None and overhead_matters:
            warnings.append(
                judge_resolution(reading, event_overhead, subtracted, remedy)
                if machine.cuda_is_up()
                else judge_host_resolution(reading - event_overhead, event_overhead, remedy)
            )
        beside = judge_elsewhere(found.others, reading, found.runs_in_a_row) if on_device else []
        warnings += beside
        if not any(beside) and (options.method != "naive" or not machine.cuda_is_up()):
            # A full launch queue lengthens host times, but never beyond the device's times.
            explained = max(float(found.times.mean()), host_time)
            warnings.append(judge_wall_time(found.wall_time, explained, event_overhead))
    return [warning for warning in warnings if warning is not None]

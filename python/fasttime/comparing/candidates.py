# SPDX-License-Identifier: BSD-3-Clause
"""Time several callables against each other: `fasttime.compare`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ..measuring import machine
from ..measuring.arguments import (
    check_call,
    check_choice,
    check_options,
    check_seconds,
    is_whole,
    label_of,
    what_is_no_callable,
)
from ..measuring.batch import BatchInterrupted
from ..measuring.held import CannotBeHeld
from ..measuring.interrupted import Interrupted, interrupted_after_rounds
from ..measuring.machine import Call
from ..measuring.measure import MeasuredWork, measured_work
from ..measuring.option_names import options_of
from ..measuring.options import Cache, EndedBy, Method
from ..measuring.prepared import Setup
from ..measuring.progress import ProgressBar
from ..measuring.warnings import not_held
from ..rates.rate import Amount
from ..text import format_count
from ..timing_warning import TimingWarning
from ..torch_compile.not_compiled import not_compiled
from .calling import Candidate, Inputs, call_each_once, candidates_of
from .checking import Check
from .comparison import STATISTICS, Comparison, Statistic
from .opening import Opened, naming, open_samplers
from .rounds import MOST_ROUNDS, Rounds, measurements_of
from .verdict import MARGIN, check_margin

# Options of compare_methods() and measure() that compare() does not take.
_OTHER_OPTIONS = ("methods", "warmup", "repeat", "precision", "min_time", "calls")
_OPTIONS_HELP = (
    "Its own options are method, hold, cache, budget, rounds, margin, statistic, setup, inputs, "
    "check, bytes, flops and items. It warms up by "
    "itself and stops when every verdict is clear; to stop earlier, pass a smaller budget or fewer "
    "rounds"
)


@not_compiled
def compare(
    candidates: Mapping[str, Callable[..., object]],
    /,
    *args: object,
    method: Method = "event",
    hold: bool | None = None,
    cache: Cache = "warm",
    budget: float = 5.0,
    rounds: int | None = None,
    margin: float = MARGIN,
    statistic: Statistic = "midmean",
    setup: Setup | None = None,
    inputs: Inputs | None = None,
    check: Check | None = None,
    bytes: Amount | None = None,
    flops: Amount | Literal["auto"] | None = None,
    items: Amount | None = None,
    **kwargs: object,
) -> Comparison:
    """Time several callables against each other and say which one is faster.

    ``compare({"a": f, "b": g}, *args, **kwargs)`` times ``f(*args, **kwargs)`` against
    ``g(*args, **kwargs)``. The first candidate is the baseline. Each other candidate gets a
    `Verdict`: faster, slower, the same, or can't tell. In a round each candidate runs one batch of
    up to 15 ms, in random order. The rounds end when every verdict is clear or the budget is spent.
    At most four interim analyses decide that. At most 5 % of comparisons contain a false verdict.

    Args:
        candidates: the callables by name, at least two.
        method: how runs are timed; see `fasttime.measure`.
        hold: whether the stream waits while work is queued; see `fasttime.measure`. None holds if
            every candidate can be held. If that fails later for any of them, everything starts
            again without holding, and a warning says so.
        cache: ``warm`` leaves the device's L2 cache alone, ``cold`` clears it before each run.
        budget: seconds for the rounds. The current round is finished; warming up is extra. A
            verdict on one, two or three candidates takes at least 6, 7 or 8 rounds.
        rounds: the most rounds to make, 1 to 1024; None for as many as the budget allows.
        margin: two candidates that differ by less are the ``same``; 0.01 is 1 %. A candidate is
            faster or slower only if it differs by more.
        statistic: which times the ratio compares. ``midmean`` is the mean of the middle half of a
            batch, the time of a typical run. ``mean`` counts rare long runs too; use it if you pay
            for the total time. It takes more rounds if long runs are rare. A warning tells you if
            the two lead to different ratios.
        setup: makes fresh arguments before each run; see `fasttime.measure`. It is called with the
            positional arguments, or with the candidate's own arguments from `inputs`.
        inputs: ``{"a": (x,), "b": (y,)}`` gives each candidate its own arguments. A list of tuples,
            for all candidates or for one of them, is cycled as in `fasttime.measure`.
        check: ``torch.testing.assert_close``, or another function of two results that raises an
            AssertionError or returns False if they differ. Before anything is timed, each candidate
            is called once, and its result is compared with the baseline's. Torch's random numbers
            are the same in each of these calls. If the candidates return None, the arguments that
            they wrote to are compared.
        bytes, flops, items: the work of one call; see `fasttime.measure`. ``flops="auto"`` counts
            the operations of the baseline. `Measurement.rates` of each candidate has the rates.

    Waits for all devices in use at both ends of each batch, like `fasttime.measure`. Shows progress
    like `fasttime.measure`. A warning tells you if the GPU was throttled or its clock changed
    between rounds.

    Raises TypeError, ValueError and RuntimeError like `fasttime.measure`; TypeError if `candidates`
    is not a mapping of names to callables; ValueError if there are fewer than two candidates or a
    number is out of range, and if the budget has no room for the fewest rounds that allow a
    verdict. The message then names a budget. Raises AssertionError if results differ, and
    RuntimeError if `check` fails. Both name the candidates. Exceptions from a candidate pass
    unchanged. A note on the exception names the candidate. If you passed an option of
    `compare_methods`, the note names the right options (Python 3.11 and later).

    On Ctrl-C, raises `fasttime.Interrupted`, a KeyboardInterrupt that carries the complete rounds.

    >>> print(compare({"sorted": sorted, "sum": sum}, [3, 1, 2]))  # doctest: +SKIP
    """
    _check_candidates(candidates)
    check_options(method, hold, cache)
    budget = check_seconds("budget", budget, most=86_400.0)
    rounds = None if rounds is None else _check_rounds(rounds)
    check_margin(margin)
    check_choice("statistic", statistic, STATISTICS)
    if check is not None and not callable(check):
        raise TypeError(f"check must be a function of two results, got {type(check).__name__}")
    given = candidates_of(candidates, args, kwargs, setup, inputs, method)
    calls = {name: candidate.call for name, candidate in given.items()}

    with ProgressBar(f"{len(calls)} candidates", "comparing") as bar:
        warnings = call_each_once(
            given, kwargs, check, options_of(compare), _OTHER_OPTIONS, _OPTIONS_HELP
        )
        work = _work(calls, bytes, flops, items)
        facts = {name: _facts(given[name], work[name]) for name in given}

        def run(opened: Opened) -> Comparison:
            counted = dict.fromkeys(one for each in work.values() for one in each.warnings)
            opened = opened._replace(warnings=(*opened.warnings, *warnings, *counted))
            made = Rounds(opened.samplers, bar, budget, rounds)
            return _run(made, opened, method, cache, rounds, margin, statistic, facts)

        try:
            with open_samplers(calls, method=method, hold=hold, cache=cache) as opened:
                try:
                    return run(opened)
                except CannotBeHeld as error:
                    # Held and free times cannot be compared, so every candidate starts again.
                    warning = not_held(str(error))
            with open_samplers(calls, method=method, hold=False, cache=cache) as opened:
                return run(opened._replace(warnings=(*opened.warnings, warning)))
        except BatchInterrupted:  # before the first round was complete
            raise KeyboardInterrupt from None


def _work(
    calls: Mapping[str, Call],
    bytes: Amount | None,
    flops: Amount | Literal["auto"] | None,
    items: Amount | None,
) -> dict[str, MeasuredWork]:
    """Return the work of each candidate. The baseline's operations stand for all of them."""
    found = {}
    for name, call in calls.items():
        with naming(name):
            found[name] = measured_work(call, bytes, flops, items)
            if flops == "auto":
                flops = found[name].amounts.get("flops")
    return found


def _facts(candidate: Candidate, work: MeasuredWork) -> dict[str, Any]:
    """Return the fields of a measurement that are known before the rounds."""
    return {"has_setup": candidate.has_setup, "work": work.amounts, "peaks": work.peaks}


def _run(
    made: Rounds,
    opened: Opened,
    method: Method,
    cache: Cache,
    rounds: int | None,
    margin: float,
    statistic: Statistic,
    facts: Mapping[str, Mapping[str, Any]],
) -> Comparison:
    analyses = made.plan()
    for analysis in analyses:
        in_budget = made.run(analysis.rounds)
        # If time is up, or on Ctrl-C, this analysis is the last one, and takes the last one's share
        # of errors. Ratios are only shown at the end, so Ctrl-C cannot depend on them.
        deciding = analysis if in_budget else analyses[-1]
        comparison = Comparison(
            measurements_of(made, opened, method, cache, facts),
            made.batch_runs,
            margin,
            1 - deciding.alpha,
            made.duration,
            statistic,
        )
        is_clear = all(verdict.verdict != "can't tell" for verdict in comparison.verdicts.values())
        if is_clear or not in_budget:
            break
    ended: EndedBy = "budget"
    if made.was_interrupted:
        stopped = _completed(comparison, "interrupt", interrupted_after_rounds(comparison.rounds))
        raise Interrupted(stopped, format_count(stopped.rounds, "round"))
    if is_clear:
        ended = "precision"
    elif in_budget and rounds == comparison.rounds:
        ended = "count"
    return _completed(comparison, ended)


def _completed(comparison: Comparison, ended_by: EndedBy, *warnings: TimingWarning) -> Comparison:
    """Return the comparison with facts that are only known at the end."""
    environment = machine.environment()
    measurements = {
        name: dataclasses.replace(
            measurement,
            ended_by=ended_by,
            environment=environment,
            warnings=(*measurement.warnings, *warnings),
        )
        for name, measurement in comparison.measurements.items()
    }
    return dataclasses.replace(comparison, measurements=measurements)


def _check_candidates(candidates: Mapping[str, Callable[..., object]]) -> None:
    if not isinstance(candidates, Mapping):
        needs = (
            'compare() takes a mapping of names to callables, such as compare({"a": f, "b": g}, x)'
        )
        if callable(candidates):
            label = label_of(candidates)
            raise TypeError(
                f"{needs}, got the callable {label}; to time {label} by the naive, sync and event "
                f"method, call compare_methods({label})"
            )
        raise TypeError(f"{needs}, got {what_is_no_callable(candidates)}")
    if len(candidates) < 2:
        raise ValueError(
            f"compare() takes at least two candidates, got {list(candidates)!r}; to time one "
            "callable by several methods, call compare_methods(fn)"
        )
    for name, candidate in candidates.items():
        check_candidate(name, candidate)
        with naming(name):
            check_call("compare", candidate)


def check_candidate(name: object, candidate: object) -> None:
    """Raise TypeError unless the name is a non-empty string and the candidate is callable."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"candidate names must be non-empty strings, got {name!r}")
    if not callable(candidate):
        raise TypeError(f"candidate {name!r} is not callable, got {what_is_no_callable(candidate)}")


def _check_rounds(rounds: object) -> int:
    if not is_whole(rounds):
        raise TypeError(f"rounds must be an int or None, got {rounds!r}")
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds must be at least 1 and at most {MOST_ROUNDS}, got {rounds}")
    return int(rounds)

# SPDX-License-Identifier: BSD-3-Clause
"""Time several callables against one another."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

from ..measuring import machine
from ..measuring.arguments import (
    check_call,
    check_options,
    check_seconds,
    is_whole,
    label_of,
    what_is_no_callable,
)
from ..measuring.calls import call_once
from ..measuring.held import CannotBeHeld
from ..measuring.options import Cache, EndedBy, Method
from ..measuring.progress import ProgressBar
from ..measuring.tensors import ArgumentVersions
from ..measuring.warnings import not_held, shared_arguments_changed
from ..timing_warning import TimingWarning
from .comparison import Comparison
from .opening import (
    Opened,
    naming,
    note_options,
    open_samplers,
)
from .results import measurements_of
from .rounds import MOST_ROUNDS, Running
from .verdict import MARGIN, check_margin

# What the comparison of methods takes, or measure(), and this does not.
_OF_METHODS = ("methods", "warmup", "repeat", "precision")
_MEND = (
    "of several callables it takes method, hold, cache, budget, rounds and margin, warms up by "
    "itself, and has rounds until all is told: less with a smaller budget, or fewer rounds"
)


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
    **kwargs: object,
) -> Comparison:
    """Time several callables against one another and tell which one is faster.

    ``compare({"a": f, "b": g}, *args, **kwargs)`` times ``f(*args, **kwargs)`` against
    ``g(*args, **kwargs)``. The first candidate is the baseline. Each other candidate gets a
    `Verdict`: faster, slower, the same, or can't tell. In a round each candidate runs one batch of
    about 15 ms, in random order. The rounds end when every verdict is clear or the budget is spent.
    At most four interim analyses decide that. In at most 5 % of comparisons is any verdict false.

    Args:
        candidates: the callables by name, at least two.
        method: how runs are timed; see `fasttime.measure`.
        hold: whether the stream waits while work is queued; see `fasttime.measure`. None: hold if
            every candidate can be held. If one turns out to be impossible to hold, everything
            starts again without holding, and a warning says so.
        cache: ``warm`` leaves the device's L2 cache alone, ``cold`` clears it before each run.
        budget: seconds for the rounds. The current round is finished; warming up is extra.
        rounds: the most rounds to make, 1 to 1024; None for as many as the budget allows.
        margin: two candidates that differ by less are the ``same``; 0.01 is 1 %.

    Waits for the device at both ends of each batch. Shows progress like `fasttime.measure`. A
    warning says if the GPU was throttled or its clock changed between rounds.

    Raises TypeError, ValueError and RuntimeError like `fasttime.measure`; TypeError if `candidates`
    is not a mapping of names to callables; ValueError if there are fewer than two or a number is out
    of range. Exceptions from a candidate pass unchanged; a note names the candidate, and names the
    right options if you passed one of `compare_methods` (Python 3.11 and later).

    >>> print(compare({"sorted": sorted, "sum": sum}, [3, 1, 2]))  # doctest: +SKIP
    """
    _check_candidates(candidates)
    check_options(method, hold, cache)
    budget = check_seconds("budget", budget, most=86_400.0)
    rounds = None if rounds is None else _check_rounds(rounds)
    check_margin(margin)
    calls = {name: functools.partial(fn, *args, **kwargs) for name, fn in candidates.items()}

    with ProgressBar(f"{len(calls)} candidates", "comparing") as bar:
        warnings = _call_each_once(calls, args, kwargs)

        def run(opened: Opened) -> Comparison:
            running = Running(opened.samplers, bar)
            opened = opened._replace(warnings=(*opened.warnings, *warnings))
            return _run(running, opened, method, cache, budget, rounds, margin)

        with open_samplers(calls, method=method, hold=hold, cache=cache) as opened:
            try:
                return run(opened)
            except CannotBeHeld as error:
                # Held and free times cannot be compared, so that all begins anew.
                warning = not_held(str(error))
        with open_samplers(calls, method=method, hold=False, cache=cache) as opened:
            return run(opened._replace(warnings=(warning,)))


def _call_each_once(
    calls: Mapping[str, Callable[[], object]],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> tuple[TimingWarning, ...]:
    """Pay for what is made but once, and say which candidates change what all of them are given."""
    changes = {}
    for name, call in calls.items():
        versions = ArgumentVersions(args, kwargs)
        with naming(name):
            try:
                call_once(call)
            except TypeError as error:
                note_options(error, kwargs, _OF_METHODS, _MEND)
                raise
        if changed := versions.changed():
            changes[name] = changed
    return (shared_arguments_changed(changes),) if changes else ()


def _run(
    running: Running,
    opened: Opened,
    method: Method,
    cache: Cache,
    budget: float,
    rounds: int | None,
    margin: float,
) -> Comparison:
    looks = running.plan(budget, rounds)
    for look in looks:
        in_budget = running.run(look.rounds, budget)
        # Where time is up, this look is the last, whenever it was planned for.
        deciding = look if in_budget else looks[-1]
        comparison = Comparison(
            measurements_of(running, opened, method, cache),
            running.runs,
            margin,
            1 - deciding.alpha,
            running.duration,
        )
        is_told = all(verdict.verdict != "can't tell" for verdict in comparison.verdicts.values())
        if is_told or not in_budget:
            break
    ended: EndedBy = "budget"
    if is_told:
        ended = "precision"
    elif in_budget and rounds == comparison.rounds:
        ended = "count"
    return _ended(comparison, ended)


def _ended(comparison: Comparison, ended_by: EndedBy) -> Comparison:
    environment = machine.environment()
    measurements = {
        name: dataclasses.replace(measurement, ended_by=ended_by, environment=environment)
        for name, measurement in comparison.measurements.items()
    }
    return dataclasses.replace(comparison, measurements=measurements)


def _check_candidates(candidates: Mapping[str, Callable[..., object]]) -> None:
    if not isinstance(candidates, Mapping):
        if callable(candidates):
            raise TypeError(
                "compare() takes a mapping of names to callables, such as "
                f'compare({{"a": f, "b": g}}, x), got the callable {label_of(candidates)}; to time '
                f"it by the naive, sync and event method, call compare_methods({label_of(candidates)})"
            )
        raise TypeError(
            "compare() takes a mapping of names to callables, such as "
            f'compare({{"a": f, "b": g}}, x), got {what_is_no_callable(candidates)}'
        )
    if len(candidates) < 2:
        raise ValueError(
            f"compare() takes at least two candidates, got {list(candidates)!r}; to time one "
            "callable by several methods, call compare_methods(fn)"
        )
    for name, candidate in candidates.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"candidate names must be strings, got {name!r}")
        if not callable(candidate):
            raise TypeError(
                f"candidate {name!r} cannot be called: {what_is_no_callable(candidate)}"
            )
        with naming(name):
            check_call("compare", candidate)


def _check_rounds(rounds: object) -> int:
    if not is_whole(rounds):
        raise TypeError(f"rounds must be an int or None, got {rounds!r}")
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds must be at least 1 and at most {MOST_ROUNDS}, got {rounds}")
    return int(rounds)

# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime.compare`: callables against one another, or the three methods side by side."""

from __future__ import annotations

import contextlib
import functools
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from ..measuring import machine
from ..measuring.arguments import (
    check_call,
    check_choice,
    check_runs,
    is_whole,
    label_of,
    what_is_no_callable,
)
from ..measuring.calls import call_once
from ..measuring.measure import take_measurement
from ..measuring.measurement import (
    METHODS,
    Cache,
    Measurement,
    Method,
)
from ..measuring.progress import ProgressBar
from ..measuring.runner import How
from .candidates import compare_candidates
from .comparison import Comparison
from .method_findings import Finding, judge_methods
from .opening import note_options

if TYPE_CHECKING:
    from rich.console import RenderableType

# What the comparison of callables takes, or measure(), and that of methods does not.
_OF_CANDIDATES = ("method", "hold", "cache", "budget", "margin", "precision")
_MEND = (
    "of one callable it takes methods, warmup, repeat and rounds; the others are for several: "
    'compare({"a": f, "b": g}, x, budget=1)'
)


@dataclass(frozen=True, eq=False, repr=False)
class MethodComparison:
    """One callable timed by several methods. All times are in seconds. Prints as a table.

    Attributes:
        measurements: by method, that of the round whose median is the middle one of all rounds.
        loop_times: what the whole loop took in each round, with the device idle at either end: by
            method, and under ``untimed`` without timing.
    """

    measurements: Mapping[Method, Measurement]
    loop_times: Mapping[str, Sequence[float]]

    @property
    def loop_change(self) -> dict[Method, float]:
        """By method, how much longer the loop took than without timing: 0.4 for 40 % longer.

        The median of each round's own ratio, so that a machine which becomes faster or slower from
        round to round does not show up as a difference between methods.
        """
        untimed = self.loop_times["untimed"]
        return {
            method: statistics.median(
                timed / bare for timed, bare in zip(self.loop_times[method], untimed, strict=True)
            )
            - 1
            for method in self.measurements
        }

    @property
    def findings(self) -> dict[Method, Finding]:
        """By method, whether its reading is right, and why."""
        return judge_methods(self.measurements, self.loop_change)

    def __str__(self) -> str:
        from .methods_table import as_text

        return as_text(self)

    __repr__ = __str__

    def __rich__(self) -> RenderableType:
        from .methods_table import as_renderable

        return as_renderable(self)


@overload
def compare(
    fn: Callable[..., object],
    /,
    *args: object,
    methods: Sequence[Method] | Method = ...,
    warmup: int = ...,
    repeat: int = ...,
    rounds: int = ...,
    **kwargs: object,
) -> MethodComparison: ...


@overload
def compare(
    fn: Mapping[str, Callable[..., object]],
    /,
    *args: object,
    method: Method = ...,
    hold: bool | None = ...,
    cache: Cache = ...,
    budget: float = ...,
    rounds: int | None = ...,
    margin: float = ...,
    **kwargs: object,
) -> Comparison: ...


def compare(fn: Any, /, *args: Any, **kwargs: Any) -> MethodComparison | Comparison:
    """Tell which of several callables is faster, or which method reads one callable right.

    ``compare({"a": f, "b": g}, *args, **kwargs)`` times ``f(*args, **kwargs)`` against
    ``g(*args, **kwargs)`` and returns a `Comparison`: whether each of the callables is faster or
    slower than the first, the same, or that it cannot be told, and what would tell. A round is one
    batch of each, about 15 ms long, in an order that is drawn anew each time. There are rounds
    until all is told, or the budget is spent; that is asked four times at most. All verdicts
    together are false in 5 % of comparisons or fewer. Where the GPU was held back, or its clock
    changed from round to round, a warning says so.

    Args:
        method: how runs are timed, as for `fasttime.measure`: ``event`` unless given.
        hold: whether the stream waits while work is queued, as for `fasttime.measure`. None, as it
            is unless given: wherever all of the callables can be held. Where one turns out not to
            be, all begins anew without holding, and a warning says so.
        cache: whether the device's L2 cache is left ``warm``, as it is unless given, or cleared
            before each run, ``cold``.
        budget: how many seconds the rounds may take, 5 unless given. The round in progress is
            finished; warming up comes on top.
        rounds: the most rounds there may be, from 1 to 1024.
        margin: up to which difference two are the ``same``, 0.01 for 1 % unless given.

    ``compare(fn, *args, **kwargs)`` times ``fn(*args, **kwargs)`` by each method, tells which
    reading is wrong and why, and returns a `MethodComparison`. A round is one loop for each method
    and one without timing, `repeat` runs each, in an order that is shuffled anew for each round and
    the same at each call.

    Args:
        fn: what to time; see `fasttime.measure`.
        methods: which methods, each of them once, or a single one; naive, sync and event unless
            given.
        warmup: how many runs of each timed loop are ignored, at least 0; 5 unless given. So many,
            and at least one, come before the first round as well.
        repeat: how many runs a loop has, the ignored ones included; more than `warmup`; 50 unless
            given.
        rounds: how many rounds, at least 1; 3 unless given.

    Waits for the device at either end of each loop or batch, and shows progress, as
    `fasttime.measure` does.

    Raises TypeError, ValueError and RuntimeError as `fasttime.measure` does, TypeError and
    ValueError where there are fewer than two candidates, one cannot be called, or a number is out
    of range, and ValueError where no method is given, or one twice. What a callable raises passes
    unchanged; with several, a note on the exception says which one it was, and with one that cannot
    do with another callable as its argument, how the two are compared; and where it was given an
    option of the other kind of comparison, what this one takes (from Python 3.11 on).

    >>> comparison = compare(sorted, [3, 1, 2], repeat=10)
    >>> comparison.findings["event"].reading
    'right'
    >>> print(compare({"sorted": sorted, "sum": sum}, [3, 1, 2]))  # doctest: +SKIP
    """
    if isinstance(fn, Mapping):
        return compare_candidates(fn, *args, **kwargs)
    if not callable(fn):
        raise TypeError(
            "compare() takes a callable, or a mapping of names to callables such as "
            f'{{"a": f, "b": g}}, got {what_is_no_callable(fn)}'
        )
    return _compare_methods(fn, *args, **kwargs)


def _compare_methods(
    fn: Callable[..., object],
    /,
    *args: object,
    methods: Sequence[Method] | Method = METHODS,
    warmup: int = 5,
    repeat: int = 50,
    rounds: int = 3,
    **kwargs: object,
) -> MethodComparison:
    check_call("compare", fn)
    methods = _check_methods(methods)
    warmup, repeat = _check_runs(warmup, repeat)
    if not is_whole(rounds):
        raise TypeError(f"rounds must be an int, got {rounds!r}")
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    call = functools.partial(fn, *args, **kwargs)
    measured: dict[Method, list[Measurement]] = {method: [] for method in methods}
    untimed: list[float] = []
    order: list[Method | None] = [None, *methods]
    shuffle = random.Random(0).shuffle
    with ProgressBar(f"{len(methods)} methods", "comparing") as bar:
        with _noting_what_was_meant(fn, args, kwargs):
            call_once(call)
        bar.update(0.0)
        for _ in range(warmup - 1):
            call()
            bar.update(0.0)
        for done in range(rounds * len(order)):
            step = done % len(order)
            if step == 0:
                shuffle(order)
            method = order[step]
            bar.begin_part(done, rounds * len(order))
            bar.update(0.0)
            if method is None:
                untimed.append(machine.untimed_loop(call, repeat))
            else:
                how = How(method=method, warmup=warmup, repeat=repeat)
                measured[method].append(take_measurement(fn, args, kwargs, how, bar))
    loop_times: dict[str, Sequence[float]] = {"untimed": tuple(untimed)}
    for method, found in measured.items():
        loop_times[method] = tuple(measurement.loop_time for measurement in found)
    return MethodComparison(
        {method: _middle(found) for method, found in measured.items()}, loop_times
    )


def _check_methods(methods: Sequence[Method] | Method) -> tuple[Method, ...]:
    names = (methods,) if isinstance(methods, str) else tuple(methods)
    for name in names:
        check_choice("method", name, METHODS)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"methods must name at least one, each of them once, got {methods!r}")
    return names


def _check_runs(warmup: object, repeat: object) -> tuple[int, int]:
    ignored, runs = check_runs(warmup, repeat)
    if ignored == "auto" or runs == "auto":
        raise TypeError(
            "compare() of methods runs each of them equally often, so that warmup and repeat must "
            f"be ints, got warmup={warmup!r}, repeat={repeat!r}; measure() takes 'auto'"
        )
    return ignored, runs


@contextlib.contextmanager
def _noting_what_was_meant(
    fn: object, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Iterator[None]:
    """Note on what the first call raises how several callables are compared (from Python 3.11 on).

    Only there: a callable may well be given to one that takes it, and then nothing is amiss.
    """
    try:
        yield
    except (TypeError, AttributeError) as error:
        if args and callable(args[0]) and hasattr(error, "add_note"):
            error.add_note(
                f"compare() called {label_of(fn)} with {label_of(args[0])} as its first argument; "
                'to time one against the other, name them in a mapping: compare({"a": f, "b": g}, '
                "x)"
            )
        note_options(error, kwargs, _OF_CANDIDATES, _MEND)
        raise


def _middle(measurements: list[Measurement]) -> Measurement:
    by_median = sorted(measurements, key=lambda measurement: measurement.median)
    return by_median[(len(by_median) - 1) // 2]

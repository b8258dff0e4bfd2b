# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime.compare`: callables against one another, or the three methods side by side."""

from __future__ import annotations

import contextlib
import functools
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..console import plain_text, terminal_width
from ..measuring import machine
from ..measuring.arguments import (
    check_call,
    check_choice,
    check_runs,
    is_whole,
    label_of,
)
from ..measuring.calls import call_once
from ..measuring.measure import take_measurement
from ..measuring.measurement import Measurement
from ..measuring.options import METHODS, Method, Options
from ..measuring.progress import ProgressBar
from ..text import for_stdout
from .method_findings import MethodFinding, judge_methods
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
    def findings(self) -> dict[Method, MethodFinding]:
        """By method, whether its reading is right, and why."""
        return judge_methods(self.measurements, self.loop_change)

    def __str__(self) -> str:
        from .methods_table import as_renderable

        return for_stdout(plain_text(as_renderable(self), terminal_width()))

    __repr__ = __str__

    def __rich__(self) -> RenderableType:
        from .methods_table import as_renderable

        return as_renderable(self)


def compare_methods(
    fn: Callable[..., object],
    /,
    *args: object,
    methods: Sequence[Method] | Method = METHODS,
    warmup: int = 5,
    repeat: int = 50,
    rounds: int = 3,
    **kwargs: object,
) -> MethodComparison:
    """Time one callable by the naive, the sync and the event method, and tell which reads right.

    A round is one loop per method and one loop without timing, in an order that is shuffled for
    each round and is the same in each call.

    Args:
        fn: the callable to time; see `fasttime.measure`.
        methods: the methods, each of them once, or a single one.
        warmup: how many runs of each timed loop are ignored, at least 0. The same number of runs,
            and at least one, comes before the first round.
        repeat: how many runs a loop has, with the ignored ones. It must exceed `warmup`.
        rounds: how many rounds, at least 1.

    Waits for the device at both ends of each loop, and in each run of the sync method. Shows
    progress like `fasttime.measure`.

    Raises TypeError, ValueError and RuntimeError like `fasttime.measure`, and ValueError if no
    method is given or one is given twice. Exceptions from `fn` pass unchanged. If `fn` fails because
    you passed a second callable, or an option of `fasttime.compare`, a note on the exception says
    what to write instead (Python 3.11 and later).

    >>> comparison = compare_methods(sorted, [3, 1, 2], repeat=10)
    >>> comparison.findings["event"].reading
    'right'
    """
    check_call("compare_methods", fn)
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
                options = Options(method=method, warmup=warmup, repeat=repeat)
                measured[method].append(take_measurement(fn, args, kwargs, options, bar))
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

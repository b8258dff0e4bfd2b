# SPDX-License-Identifier: BSD-3-Clause
"""One callable timed by several methods: `fasttime.compare_methods` and its result."""

from __future__ import annotations

import contextlib
import functools
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..documents import METHOD_COMPARISON, Fields, plain
from ..measuring import machine
from ..measuring.arguments import (
    check_call,
    check_choice,
    check_runs,
    is_whole,
    label_of,
)
from ..measuring.calls import call_once
from ..measuring.document import saved_content
from ..measuring.document import to_content as measurement_to_content
from ..measuring.measure import take_measurement
from ..measuring.measurement import Measurement
from ..measuring.measurement import from_content as measurement_from_content
from ..measuring.option_names import note_near_misses, options_of
from ..measuring.options import METHODS, Method, Options
from ..measuring.progress import ProgressBar
from ..tabular import TabularResult
from ..text import format_count, format_ratio, format_seconds
from ..timing_warning import TimingWarning
from ..torch_compile.not_compiled import not_compiled
from .method_findings import MethodFinding, judge_methods
from .opening import add_note, note_options
from .results import collect_warnings

_UNTIMED = "untimed"

# Options of compare() and measure() that compare_methods() does not take.
_OTHER_OPTIONS = ("method", "hold", "cache", "budget", "margin", "precision")
_OPTIONS_HELP = (
    "Its own options are methods, warmup, repeat and rounds. To compare callables, call "
    'compare({"a": f, "b": g}, x), which also takes method, hold, cache, budget and margin'
)


@dataclass(frozen=True, eq=False, repr=False)
class MethodComparison(TabularResult):
    """One callable timed by several methods. All times are in seconds.

    Attributes:
        measurements: one per method, from the round with the middle median.
        loop_times: how long the whole loop took in each round, by method, and without timing under
            ``untimed``. The device is idle at both ends of a loop.
    """

    _format = METHOD_COMPARISON
    _headings = (
        "method",
        "median\nper run",
        "mean\nper run",
        "whole\nloop",
        "vs\nuntimed",
        "reading",
    )

    measurements: Mapping[Method, Measurement]
    loop_times: Mapping[str, Sequence[float]]

    @property
    def loop_change(self) -> dict[Method, float]:
        """How much longer the loop took than without timing, by method: 0.4 for 40 % longer.

        This is the median of the ratios of the rounds. A machine that becomes faster or slower from
        round to round does not change it.
        """
        untimed = self.loop_times[_UNTIMED]
        return {
            method: statistics.median(
                timed / bare for timed, bare in zip(self.loop_times[method], untimed, strict=True)
            )
            - 1
            for method in self.measurements
        }

    @property
    def findings(self) -> dict[Method, MethodFinding]:
        """By method: whether it reads right, and why."""
        return judge_methods(self.measurements, self.loop_change)

    @property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """The warnings of all measurements, each kind once.

        A message names the methods unless it holds for all of them.
        """
        return collect_warnings(self.measurements)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that ``json.dumps`` accepts. `save` writes the same.

        NaN and infinities are the strings ``nan``, ``inf`` and ``-inf``. Raises ValueError if the
        numbers are inconsistent.
        """
        _check(self)
        content: dict[str, Any] = plain(
            {
                "measurements": [
                    {"method": method, "measurement": measurement_to_content(measurement)}
                    for method, measurement in self.measurements.items()
                ],
                "loop_times": {name: list(times) for name, times in self.loop_times.items()},
                "loop_change": dict(self.loop_change),
                "findings": {name: finding._asdict() for name, finding in self.findings.items()},
                "warnings": [warning.to_dict() for warning in self.warnings],
            }
        )
        return content

    def _to_save(self) -> dict[str, Any]:
        return saved_content(self.to_dict())

    def _records(self) -> list[dict[str, Any]]:
        """Return one row per method."""
        change, findings = self.loop_change, self.findings
        return [
            {
                "method": method,
                "median": measurement.median,
                "mean": measurement.mean,
                "runs": len(measurement),
                "loop_time": statistics.median(self.loop_times[method]),
                "loop_change": change[method],
                "reading": findings[method].reading,
                "reason": findings[method].reason,
            }
            for method, measurement in self.measurements.items()
        ]

    def _title(self) -> str:
        some = next(iter(self.measurements.values()))
        rounds = format_count(len(self.loop_times[_UNTIMED]), "round")
        runs = f"{rounds} of {format_count(some.repeat, 'run')}, {some.warmup} ignored"
        return f"{some.label} on {some.device}: {runs}"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        untimed = statistics.median(self.loop_times[_UNTIMED])
        yield (_UNTIMED, "-", "-", format_seconds(untimed), "-", "-")
        change, findings = self.loop_change, self.findings
        for method, measurement in self.measurements.items():
            yield (
                method,
                format_seconds(measurement.median),
                format_seconds(measurement.mean),
                format_seconds(statistics.median(self.loop_times[method])),
                format_ratio(1 + change[method]),
                findings[method].reading,
            )

    def _notes(self) -> list[str]:
        # One line per reason, with the methods that share it.
        by_finding: dict[MethodFinding, list[str]] = {}
        for method, finding in self.findings.items():
            by_finding.setdefault(finding, []).append(method)
        return [f"{', '.join(names)}: {finding.reason}" for finding, names in by_finding.items()]

    def _shown_warnings(self) -> tuple[TimingWarning, ...]:
        notes = "\n".join(self._notes())
        return collect_warnings(self.measurements, skip=lambda warning: warning.message in notes)


def from_content(fields: Fields) -> MethodComparison:
    """Return the comparison in a document. Raises ValueError if the content is not one."""
    items = fields.objects("measurements")
    measurements: dict[Method, Measurement] = {
        item.choice("method", METHODS): measurement_from_content(item.object("measurement"))
        for item in items
    }
    if len(measurements) < len(items):
        raise ValueError("two measurements have the same method")
    loops = fields.object("loop_times")
    comparison = MethodComparison(
        measurements, {name: tuple(loops.numbers(name)) for name in (_UNTIMED, *measurements)}
    )
    _check(comparison)
    return comparison


def _check(comparison: MethodComparison) -> None:
    if not comparison.measurements:
        raise ValueError("a comparison of methods has at least one measurement")
    for method, measurement in comparison.measurements.items():
        if measurement.method != method:
            raise ValueError(f"the measurement under {method!r} has method {measurement.method!r}")
    names = {_UNTIMED, *comparison.measurements}
    if set(comparison.loop_times) != names:
        raise ValueError(
            f"loop_times has {sorted(comparison.loop_times)}, but must have {sorted(names)}"
        )
    rounds = {name: len(times) for name, times in comparison.loop_times.items()}
    if len(set(rounds.values())) > 1 or not rounds[_UNTIMED]:
        raise ValueError(
            f"loop_times has {rounds} rounds, but all must have the same number, at least 1"
        )
    for name, times in comparison.loop_times.items():
        if not all(time >= 0 for time in times):
            raise ValueError(f"loop_times of {name} are {list(times)}, but must not be negative")
    if not all(comparison.loop_times[_UNTIMED]):
        raise ValueError("loop_times of untimed include 0, so there is no change of the loop")


@not_compiled
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
    """Time one callable by the naive, the sync and the event method, and say which reads right.

    A round is one loop per method and one loop without timing. Each round has a new random order.
    The orders are the same in every call.

    Args:
        fn: the callable to time; see `fasttime.measure`.
        methods: a list of methods, each of them once, or a single method.
        warmup: how many runs of each timed loop are ignored, at least 0. The same number of runs,
            and at least one, comes before the first round.
        repeat: how many runs a loop has, including the ignored ones. It must exceed `warmup`.
        rounds: how many rounds, at least 1.

    Waits for all devices in use at both ends of each loop, and in each run of the sync method.
    Shows progress like `fasttime.measure`.

    Raises TypeError, ValueError and RuntimeError like `fasttime.measure`, and ValueError if no
    method is given or one is given twice. Exceptions from `fn` pass unchanged. If you
    passed a second callable or an option of `fasttime.compare`, a note on the exception says what
    to write instead (Python 3.11 and later).

    >>> comparison = compare_methods(sorted, [3, 1, 2], repeat=10)
    >>> comparison.findings["event"].reading
    'right'
    """
    if isinstance(fn, Mapping):
        raise TypeError(
            "compare_methods() takes one callable, got a mapping; to compare the callables in it, "
            "call compare()"
        )
    check_call("compare_methods", fn)
    names = _check_methods(methods)
    warmup, repeat = _check_runs(warmup, repeat)
    if not is_whole(rounds):
        raise TypeError(f"rounds must be an int, got {rounds!r}")
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    call = functools.partial(fn, *args, **kwargs)
    measured: dict[Method, list[Measurement]] = {method: [] for method in names}
    untimed: list[float] = []
    order: list[Method | None] = [None, *names]
    shuffle = random.Random(0).shuffle
    with ProgressBar(f"{len(names)} methods", "comparing") as bar:
        with _noting_a_mix_up(fn, args, kwargs):
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
    loop_times: dict[str, Sequence[float]] = {_UNTIMED: tuple(untimed)}
    for method, of_rounds in measured.items():
        loop_times[method] = tuple(measurement.loop_time for measurement in of_rounds)
    return MethodComparison(
        {method: _middle(of_rounds) for method, of_rounds in measured.items()}, loop_times
    )


def _check_methods(methods: Sequence[Method] | Method) -> tuple[Method, ...]:
    names = (methods,) if isinstance(methods, str) else tuple(methods)
    for name in names:
        check_choice("method", name, METHODS)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"methods must name at least one method, each once, got {methods!r}")
    return names


def _check_runs(warmup: object, repeat: object) -> tuple[int, int]:
    ignored, runs = check_runs(warmup, repeat)
    if ignored == "auto" or runs == "auto":
        raise TypeError(
            "compare_methods() runs each method equally often, so warmup and repeat must be ints, "
            f"got warmup={warmup!r}, repeat={repeat!r}; measure() takes 'auto'"
        )
    return ignored, runs


@contextlib.contextmanager
def _noting_a_mix_up(
    fn: object, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Iterator[None]:
    """Add a note if the first call failed after a mix-up with `compare` (Python 3.11 and later).

    The note is only added after a failure, because `fn` may well take a callable.
    """
    try:
        yield
    except (TypeError, AttributeError) as error:
        if args and callable(args[0]):
            add_note(
                error,
                f"compare_methods() called {label_of(fn)} with {label_of(args[0])} as its first "
                'argument. To compare the two, call compare({"a": f, "b": g}, x)',
            )
        note_options(error, "compare_methods", kwargs, _OTHER_OPTIONS, _OPTIONS_HELP)
        note_near_misses("compare_methods", error, kwargs, options_of(compare_methods))
        raise


def _middle(measurements: list[Measurement]) -> Measurement:
    by_median = sorted(measurements, key=lambda measurement: measurement.median)
    return by_median[(len(by_median) - 1) // 2]

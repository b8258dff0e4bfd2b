# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime bench`` with several targets or with ``--arg``: a comparison or a sweep."""

from __future__ import annotations

import argparse
import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..comparing.candidates import compare
from ..comparing.comparison import Comparison
from ..measuring.interrupted import Interrupted
from ..rates.rate import KINDS
from ..signatures import refusal
from ..sweeping.result import Sweep
from ..sweeping.sweep import sweep
from . import target as targets
from .output import Failure, say
from .user_code import INTERRUPTED, is_message

# Options of `bench` that only a single measurement has.
_FOR_ONE = ("warmup", "repeat", "precision", "calls", "processes", "against", "build")
_OPTIONS = ("method", "budget", "hold", "cache")

Values = Mapping[str, Sequence[object]]


def check_many(options: argparse.Namespace) -> None:
    """Raise Failure for options that a comparison or a sweep does not have."""
    what = "--arg" if options.arg else "several targets"
    for name in _FOR_ONE:
        if getattr(options, name) is not None:
            raise Failure(f"--{name} is for a single measurement; leave out --{name} or {what}")
    twice = [name for name in options.targets if options.targets.count(name) > 1]
    if twice:
        raise Failure(f"{twice[0]} is named twice; name different targets")


def compare_targets(
    found: Sequence[targets.Target], options: argparse.Namespace
) -> tuple[Comparison, int]:
    """Compare the targets; the first is the baseline. Return the comparison and the exit code.

    After Ctrl-C, the comparison has the rounds that are complete.
    """
    with _messages_in_one_line():
        try:
            comparison = compare(
                {one.label: one.fn for one in found},
                setup=targets.find_setup(options.setup),
                inputs=None if options.setup else {one.label: one.arguments for one in found},
                **_given(options),
            )
        except Interrupted as interrupted:
            return interrupted.result, INTERRUPTED
    return comparison, 0


def sweep_targets(
    found: Sequence[targets.Target], values: Values, options: argparse.Namespace
) -> tuple[Sweep, int]:
    """Time the targets over all combinations of the values. Return the sweep and the exit code.

    After Ctrl-C, the sweep has the points that are done. Points that are in the output file already
    are not timed again.
    """
    setup = targets.find_setup(options.setup)
    for one in found:
        _check_takes(one.label if setup is None else options.setup, setup or one.fn, values)
    named = {one.label: one.fn if setup else _positional(one.fn, values) for one in found}
    tried: list[object] = []

    def make(**point: object) -> tuple[object, ...]:
        tried.append(point)
        return (point,) if setup else tuple(point.values())

    code = 0
    output = options.output
    with _messages_in_one_line():
        try:
            made = sweep(
                named,
                dict(values),
                make,
                setup=None if setup is None else lambda point: setup(**point),
                save_to=output,
                **_given(options),
            )
        except Interrupted as interrupted:
            made, code = interrupted.result, INTERRUPTED
    if not tried and output:
        say(f"{output} has all points already; delete it to time them again")
    failed = all(point.error for point in made)
    return made, code or int(failed)


def _positional(fn: Callable[..., object], values: Values) -> Callable[..., object]:
    """Return the target as a function of the values in the order of the axes.

    The target itself if it takes them in this order, because a wrapper would add its own cost.
    """
    names = tuple(values)
    try:
        in_order = tuple(inspect.signature(fn).parameters)[: len(names)] == names
        if in_order and not inspect.signature(fn).bind(**dict.fromkeys(names)).kwargs:
            return fn
    except (TypeError, ValueError, NameError):
        pass  # no signature, or the call fails by position

    def by_name(*point: object) -> object:
        return fn(**dict(zip(names, point, strict=True)))

    return by_name


def _check_takes(label: str, fn: Callable[..., object], values: Values) -> None:
    why = refusal(fn, **dict.fromkeys(values))
    if why:
        raise Failure(f"{label} is called with {', '.join(values)}, but: {why}")


def _given(options: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(options, name) for name in _OPTIONS}
    asked = {name: value for name, value in given.items() if value is not None}
    return asked | rates_asked(options)


def rates_asked(options: argparse.Namespace) -> dict[str, Any]:
    """Return the work of one call, by kind, as `measure` takes it."""
    given = {kind: getattr(options, kind) for kind in KINDS}
    return {
        kind: targets.find_callable(*targets.split(amount), takes_arguments=True).fn
        if isinstance(amount, str) and amount != "auto"
        else amount
        for kind, amount in given.items()
        if amount is not None
    }


@contextlib.contextmanager
def _messages_in_one_line() -> Iterator[None]:
    """Turn errors of fasttime into a Failure, and let errors of the targets pass."""
    try:
        yield
    except Exception as error:
        if is_message(error):
            code = 1 if isinstance(error, RuntimeError) else 2
            raise Failure(str(error), code=code) from error
        raise

# SPDX-License-Identifier: BSD-3-Clause
"""Time several callables over many sizes: `fasttime.sweep`."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from ..comparing.candidates import check_candidate, compare
from ..comparing.checking import Check
from ..comparing.comparison import Comparison
from ..comparing.rounds import BudgetTooSmall, rounded_up
from ..comparing.verdict import MARGIN, check_margin
from ..documents import SWEEP, Fields, read_document
from ..environment.differences import environment_differences
from ..measuring import machine
from ..measuring.arguments import check_options, check_seconds, label_of, what_is_no_callable
from ..measuring.interrupted import Interrupted
from ..measuring.measure import measure
from ..measuring.measurement import Measurement
from ..measuring.option_names import refusing_other_options
from ..measuring.options import Cache, Method
from ..measuring.prepared import Setup, check_preparation, examples_of, prepared
from ..rates.peaks import peaks_of
from ..rates.rate import Amount, check_amount, mean_work
from ..signatures import refusal
from .point import AxisValue, SweepPoint, dtype_as_name, failed, point_of
from .progress import SweepProgress
from .result import Option, Sweep, from_content

_MOST_POINTS = 100_000

# Points that differ in one of these options do not belong in one table.
_DECISIVE = ("method", "hold", "cache", "setup")


@refusing_other_options
def sweep(
    candidates: Callable[..., object] | Mapping[str, Callable[..., object]],
    /,
    axes: Mapping[str, Sequence[object]],
    make: Callable[..., object],
    *,
    bytes: Amount | None = None,
    flops: Amount | Literal["auto"] | None = None,
    items: Amount | None = None,
    method: Method = "event",
    hold: bool | None = None,
    cache: Cache = "warm",
    setup: Setup | None = None,
    check: Check | None = None,
    budget: float = 1.0,
    margin: float = MARGIN,
    save_to: str | os.PathLike[str] | None = None,
) -> Sweep:
    """Time callables over all combinations of some values, with a verdict per point.

        result = fasttime.sweep(
            {"triton": softmax, "torch": torch.softmax},
            axes={"n": [2**k for k in range(10, 20)], "dtype": [torch.float16, torch.float32]},
            make=lambda n, dtype: (torch.randn(256, n, dtype=dtype, device="cuda"), -1),
            bytes=lambda n, dtype: 2 * 256 * n * dtype.itemsize,
            save_to="softmax.json",
        )
        print(result.table("bytes"))
        result.plot("bytes").savefig("softmax.svg")

    At each point, `make` returns the arguments, and the candidates take turns as in
    `fasttime.compare`. A single callable is measured as by `fasttime.measure`.

    Args:
        candidates: a callable, or callables by name. The first is the baseline.
        axes: the values of each axis, by name. Values are numbers, strings, booleans or dtypes.
        make: a function that takes one value per axis as keyword arguments. It returns the tuple of
            arguments of the candidates, or a single argument. Making them is not timed.
        bytes, flops, items: the work of one call: a number, or a function of the values that
            returns one. ``flops="auto"`` lets torch count the operations of the baseline.
        method, hold, cache: see `fasttime.measure`.
        setup: makes fresh arguments before each run from those of `make`, such as
            ``lambda x: (x.clone(),)``; see `fasttime.measure`.
        check: compares the results of the candidates at each point before they are timed there; see
            `fasttime.compare`. A difference is noted at the point.
        budget: seconds per candidate and point.
        margin: candidates that differ by less are the ``same``; see `fasttime.compare`.
        save_to: a JSON file that receives each point as soon as it is known. If the file already
            holds a part of the same sweep, the sweep keeps these points and continues. It tries
            failed points again. A warning counts the kept points and names options that differ.

    If a point raises an exception, such as for lack of memory, the point keeps the message and the
    sweep goes on. On Ctrl-C, raises `fasttime.Interrupted`, a KeyboardInterrupt that carries the
    points so far. `save_to` holds them too. A terminal shows how many points are done and the time
    left.

    Waits for the device as `compare` does. Raises TypeError for wrong arguments, and ValueError if
    an axis is empty, if `make` or an amount takes other names than the axes, and if `save_to` holds
    another sweep, a sweep of another machine, or one with another method, hold, cache or setup.
    """
    named = _named(candidates)
    known = _known_axes(axes)
    amounts = {"bytes": bytes, "flops": flops, "items": items}
    _check_takes("make", make, known)
    for kind, amount in amounts.items():
        if callable(amount):
            _check_takes(kind, amount, known)
        elif amount is not None and (kind, amount) != ("flops", "auto"):
            check_amount(kind, amount)
    check_options(method, hold, cache)
    check_preparation("sweep", setup, None, method=method)
    if check is not None and len(named) < 2:
        raise ValueError("check= compares the results of several candidates, got one candidate")
    budget = check_seconds("budget", budget, most=86_400.0)
    check_margin(margin)
    made = Sweep(
        {name: tuple(map(_plain, values)) for name, values in known.items()},
        tuple(named),
        (),
        margin,
        machine.environment(),
        {
            "method": method,
            "hold": hold,
            "cache": cache,
            "setup": _described(setup),
            "check": _described(check),
            "budget": budget,
            **{kind: _described(amount) for kind, amount in amounts.items()},
        },
    )
    old = _saved(save_to, made)
    done = _by_values(old.points, tuple(known)) if old else {}
    options: dict[str, Any] = {"method": method, "hold": hold, "cache": cache, "setup": setup}
    combinations = {tuple(map(_plain, values.values())): values for values in _combinations(known)}
    points = dict(done)

    def so_far() -> Sweep:  # with all points of the file, also later ones
        return _with_points(made, [points[key] for key in combinations if key in points])

    def finished() -> Sweep:
        changed = _changed(old, made) if old else ()
        return dataclasses.replace(so_far(), reused=len(done), changed=changed)

    with SweepProgress(len(combinations), ", ".join(named)) as progress:
        try:
            for key, values in combinations.items():
                plain = dict(zip(known, key, strict=True))
                if key not in done:
                    timed = functools.partial(
                        _timed, named, make, amounts, options, check, budget, margin
                    )
                    points[key] = _try(timed, values, plain)
                    if save_to is not None:
                        so_far().save(save_to)
                progress.advance(plain, was_timed=key not in done)
        except KeyboardInterrupt:  # perhaps with the rounds or runs of a point
            if not points:
                raise KeyboardInterrupt from None
            parts = f"{len(points)} of {len(combinations)} points"
            saved_to = "" if save_to is None else os.fspath(save_to)
            raise Interrupted(finished(), parts, saved_to) from None
    return finished()


def _by_values(
    points: Sequence[SweepPoint], axes: Sequence[str]
) -> dict[tuple[AxisValue, ...], SweepPoint]:
    """Return the points that did not fail by their values, both in the order of the axes."""
    return {
        tuple(values.values()): dataclasses.replace(point, values=values)
        for point in points
        if not point.error
        for values in [{name: point.values[name] for name in axes}]
    }


def _with_points(made: Sweep, points: Sequence[SweepPoint]) -> Sweep:
    environment = made.environment if machine.cuda_is_up() is False else machine.environment()
    return dataclasses.replace(made, points=tuple(points), environment=environment)


def _described(option: object) -> Option:
    """Return the value of an option as JSON holds it."""
    if option is None or isinstance(option, str):
        return option
    return "function" if callable(option) else float(option)  # type: ignore[arg-type]


def _changed(old: Sweep, new: Sweep, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the options that differ, in words; of all options, or of some names."""
    return tuple(
        f"{name} was {old.options[name]!r}, is {value!r}"
        for name, value in new.options.items()
        if name in (names or old.options) and name in old.options and old.options[name] != value
    )


def _try(
    timed: Callable[..., SweepPoint], values: Mapping[str, object], plain: dict[str, AxisValue]
) -> SweepPoint:
    try:
        return timed(values, plain)
    except Exception as error:
        point = failed(plain, error)
    if machine.cuda_is_up():  # give the memory of the failed point back
        torch.cuda.empty_cache()
    return point


def _timed(
    named: Mapping[str, Callable[..., object]],
    make: Callable[..., object],
    amounts: Mapping[Any, Any],
    options: Mapping[str, Any],
    check: Check | None,
    budget: float,
    margin: float,
    values: Mapping[str, object],
    plain: dict[str, AxisValue],
) -> SweepPoint:
    arguments = make(**values)
    args = arguments if isinstance(arguments, tuple) else (arguments,)
    first, baseline = next(iter(named.items()))
    given = {
        kind: amount(**values) if callable(amount) else amount for kind, amount in amounts.items()
    }
    work = mean_work(given, examples_of(prepared(baseline, args, {}, options["setup"])))
    if len(named) > 1:
        try:
            result: Comparison | Measurement = compare(
                named, *args, budget=budget * len(named), margin=margin, check=check, **options
            )
        except BudgetTooSmall as error:
            needed = rounded_up(error.needed / len(named))
            raise ValueError(
                f"{error.why}; pass budget={needed:g} or more, the seconds per candidate and point"
            ) from None
    else:
        result = measure(baseline, *args, budget=budget, **options)
    point = point_of(plain, result, first, work.amounts, peaks_of(args))
    for warning in work.warnings:
        point.warnings[warning.kind] = warning.message  # type: ignore[index]
    return point


def _named(candidates: object) -> dict[str, Callable[..., object]]:
    if callable(candidates):
        return {label_of(candidates): candidates}
    if not isinstance(candidates, Mapping) or not candidates:
        raise TypeError(
            "sweep() takes a callable, or a mapping of names to callables, such as "
            f'{{"a": f, "b": g}}, got {what_is_no_callable(candidates)}'
        )
    for name, candidate in candidates.items():
        check_candidate(name, candidate)
    return dict(candidates)


def _known_axes(axes: Mapping[str, Sequence[object]]) -> dict[str, list[object]]:
    if not isinstance(axes, Mapping) or not axes:
        raise TypeError(f'axes must be a mapping such as {{"n": [1024, 4096]}}, got {axes!r}')
    known = {}
    for name, values in axes.items():
        if isinstance(values, (str, bytes_type)) or not hasattr(values, "__iter__"):
            raise TypeError(f"axis {name!r} must be a list of values, got {values!r}")
        known[str(name)] = list(values)
        if not known[str(name)]:
            raise ValueError(f"axis {name!r} has no values")
        plain = [_plain(value) for value in known[str(name)]]
        if len(set(plain)) < len(plain):
            raise ValueError(f"axis {name!r} has a value twice: {plain}")
    if (count := math.prod(map(len, known.values()))) > _MOST_POINTS:
        raise ValueError(
            f"the axes have {count:,} combinations; at most {_MOST_POINTS:,} are allowed"
        )
    return known


bytes_type = bytes  # `bytes` is an argument of sweep()


def _plain(value: object) -> AxisValue:
    """Return a value as JSON holds it; a data type becomes its name."""
    value = dtype_as_name(value)
    if hasattr(value, "item") and not isinstance(value, (int, float)):  # numpy's numbers
        value = value.item()
    if isinstance(value, (int, float, str)):
        return value
    raise TypeError(
        f"axis values must be numbers, strings, booleans or dtypes, got {value!r}; use a name and "
        "look the object up in `make`"
    )


def _combinations(axes: Mapping[str, Sequence[object]]) -> Iterator[dict[str, object]]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _check_takes(name: str, function: object, axes: Mapping[str, object]) -> None:
    if not callable(function):
        raise TypeError(f"{name} must be a function, got {type(function).__name__}")
    why = refusal(function, **dict.fromkeys(axes))
    if why:
        raise ValueError(
            f"{name} is called with the axes {', '.join(axes)} as keyword arguments, but: {why}"
        )


def _saved(save_to: str | os.PathLike[str] | None, made: Sweep) -> Sweep | None:
    """Return the sweep in the file if it is a part of the same sweep; None without a file."""
    if save_to is None:
        return None
    where = os.fspath(save_to)
    if os.path.splitext(where)[1].lower() not in ("", ".json"):
        raise ValueError(
            f"save_to must end in .json, got {where!r}; to write another format, call save() of "
            "the result"
        )
    if not Path(save_to).exists():
        return None
    document = read_document(save_to)
    if document["format"] != SWEEP:
        raise ValueError(f"{where} holds a {document['format']}, not a sweep; choose another name")
    old = from_content(Fields(document))
    remedy = "choose another name, or delete the file to start again"
    if (old.axes, old.candidates, old.margin) != (made.axes, made.candidates, made.margin):
        raise ValueError(f"{where} holds a sweep with other axes, candidates or margin; {remedy}")
    if changes := _changed(old, made, _DECISIVE):
        raise ValueError(
            f"{where} holds a sweep with other options: {', '.join(changes)}; {remedy}"
        )
    if old.environment is not None and old.environment.gpu and torch.cuda.is_available():
        torch.cuda.init()  # type: ignore[no-untyped-call] # to know which GPU this is
    if differences := environment_differences(old.environment, machine.environment()):
        raise ValueError(
            f"{where} was measured elsewhere: {'; '.join(map(str, differences))}; {remedy}"
        )
    return old

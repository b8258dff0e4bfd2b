# SPDX-License-Identifier: BSD-3-Clause
"""Checks of the arguments of `measure`, `compare` and `compare_methods`."""

from __future__ import annotations

import difflib
import functools
import inspect
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar, cast, get_args

import torch

from ..timing_warning import TimingWarning
from . import machine
from .options import Auto, Cache, Method

_F = TypeVar("_F", bound=Callable[..., Any])

# Names this close to an option are taken for it, by difflib's ratio. A note on an error may guess.
# A warning may not: `input_ids` is a common argument, and resembles `inputs` by 0.8.
_CLOSE = 0.75
_CLOSER = 0.82

# What triton, timeit and others call an option.
_ELSEWHERE = {
    "rep": "repeat",
    "iters": "repeat",
    "iterations": "repeat",
    "number": "calls",
    "n_warmup": "warmup",
    "args": "inputs",
}

_NAMES = ("x", "y", "z")  # of arguments in an example

_OF_TORCH = ("input",)  # an argument of torch's functions, not a misspelt `inputs`


def check_call(caller: str, fn: object) -> None:
    """Raise TypeError or RuntimeError unless `fn` can be called and timed here and now."""
    if not callable(fn):
        raise TypeError(f"{caller}() takes a callable, got {what_is_no_callable(fn)}")
    bare = unwrap(fn)
    if not inspect.isroutine(bare):  # an object with __call__, which is what a call runs
        bare = type(bare).__call__
    label = label_of(fn)
    if inspect.isasyncgenfunction(bare):
        raise TypeError(
            f"{label} is an async generator function, and a call only creates a generator; give "
            f"{caller}() a function that consumes it, or put fasttime.scope around what it awaits"
        )
    if inspect.iscoroutinefunction(bare):
        raise TypeError(
            f"{label} is a coroutine function, and a call only creates a coroutine; give "
            f"{caller}() a function that runs it, or put fasttime.scope around what it awaits"
        )
    if inspect.isgeneratorfunction(bare):
        raise TypeError(
            f"{label} is a generator function, and a call only creates a generator; give "
            f"{caller}() a function that consumes it, such as lambda: list({label}())"
        )
    if machine.is_capturing():
        raise RuntimeError(
            f"{caller}() has to wait for the device, and the current stream is capturing a CUDA "
            "graph; call it outside the capture"
        )


def what_is_no_callable(given: object) -> str:
    """Return a description of what was given instead of a callable, for an error message.

    The values of a tensor are not shown: reading them would wait for the device.
    """
    if isinstance(given, torch.Tensor):
        return "a Tensor; pass the callable and its arguments apart: (model, x), not (model(x))"
    return f"{given!r} of type {type(given).__name__}"


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise ValueError unless the value is one of the choices."""
    if value not in choices:
        close = difflib.get_close_matches(value, choices, 1) if isinstance(value, str) else []
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}{hint}")


def note_near_misses(
    caller: str, error: Exception, given: Iterable[str], options: Sequence[str]
) -> None:
    """Add a note to an error about a keyword argument that is nearly an option of `caller`.

    ``measure(f, repeats=5)`` passes ``repeats=5`` to ``f``, which may not know it. On Python 3.10,
    which has no notes, the error stays as it is.

    Args:
        caller: the function with the options.
        error: what the callable raised.
        given: the names of the keyword arguments that were passed to the callable.
        options: the names of the caller's options.
    """
    is_refusal = "keyword argument" in str(error) or "combination of arguments" in str(error)
    if not is_refusal or not hasattr(error, "add_note"):
        return
    for name in given:
        if close := close_option(name, options):
            error.add_note(f"{caller}() passed {name}= on to the callable; did you mean {close}=?")


def close_option(name: str, options: Sequence[str], cutoff: float = _CLOSE) -> str | None:
    """Return the option whose name resembles a given name most; None if there is none."""
    if cutoff == _CLOSE and _ELSEWHERE.get(name) in options:
        return _ELSEWHERE[name]
    close = difflib.get_close_matches(name, options, 1, cutoff=cutoff)
    return close[0] if close else None


def warn_of_near_misses(
    caller: str, fn: object, given: Iterable[str], options: Sequence[str]
) -> list[TimingWarning]:
    """Return a warning per keyword argument that is nearly an option, if `fn` takes any name.

    Such a callable refuses no name, so a misspelt option would go unnoticed.

    Args:
        caller, given, options: see `note_near_misses`.
        fn: the callable that gets the keyword arguments.
    """
    names = [name for name in given if name not in _OF_TORCH]
    if not names:
        return []
    # The call of a torch module takes anything and passes it to `forward`.
    takes = fn.forward if isinstance(fn, torch.nn.Module) else fn
    try:
        parameters = inspect.signature(takes).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):  # a builtin without a signature
        return []
    if all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return []
    warnings = []
    for name in names:
        close = close_option(name, options, _CLOSER)
        if close and name not in parameters:
            warnings.append(
                TimingWarning(
                    "option_passed_on",
                    f"{caller}() passed {name}= on to the callable, which takes any name, so the "
                    f"option {close} has its default. If you meant {close}=, correct the name.",
                )
            )
    return warnings


def options_of(function: Callable[..., object]) -> tuple[str, ...]:
    """Return the names of a function's keyword-only parameters."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY)


def refusing_other_options(function: _F) -> _F:
    """Wrap a function so that its error about an unknown option says which option is meant."""
    known = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        for name in kwargs:
            if name not in known:
                close = close_option(name, known)
                hint = f"did you mean {close}=?" if close else f"there are {', '.join(known)}"
                raise TypeError(f"{function.__name__}() has no option {name}=; {hint}")
        return function(*args, **kwargs)

    return cast(_F, call)


def check_takes(
    option: str,
    function: Callable[..., object],
    args: Sequence[object],
    kwargs: Mapping[str, object] | None = None,
) -> None:
    """Raise TypeError unless a function takes the arguments with which it will be called.

    Args:
        option: the option that the function was passed as.
        function: what was passed.
        args, kwargs: what fasttime will call it with.
    """
    kwargs = kwargs or {}
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        count = len(args) + len(kwargs)
        given = count or "none"
        names = [*_NAMES[: len(args)], *kwargs] if len(args) <= len(_NAMES) else ["*args", *kwargs]
        raise TypeError(
            f"{option}= is called with the call's arguments, here {given}, but: {error}; write "
            f"{option}=lambda{' ' if names else ''}{', '.join(names)}: ..."
        ) from None
    except ValueError:
        pass  # a builtin without a signature


def check_options(method: object, hold: object, cache: object) -> None:
    """Raise ValueError unless the method exists and can hold the stream and clear the cache."""
    check_choice("method", method, get_args(Method))
    check_choice("cache", cache, get_args(Cache))
    if method not in ("naive", "sync"):
        return
    if hold:
        raise ValueError(
            f"hold=True holds the stream, and method={method!r} reads the host's clock; use "
            "method='event'"
        )
    if cache == "cold":
        raise ValueError(
            "cache='cold' clears the cache on the device between the events of two runs, and "
            f"method={method!r} reads the host's clock; use method='event'"
        )


def check_runs(warmup: object, repeat: object) -> tuple[int | Auto, int | Auto]:
    """Return `warmup` and `repeat`, each as a Python int or ``auto``.

    Raises TypeError for other types, and ValueError for a number that is out of range.
    """
    given = f"got warmup={warmup!r}, repeat={repeat!r}"
    ignored, runs = _count(warmup), _count(repeat)
    if ignored is None or runs is None:
        raise TypeError(f"warmup and repeat must be ints or 'auto', {given}")
    if isinstance(ignored, int) and ignored < 0:
        raise ValueError(f"warmup must be at least 0, {given}")
    least = ignored if isinstance(ignored, int) else 0
    if isinstance(runs, int) and runs <= least:
        raise ValueError(
            f"repeat counts the warm-up runs too and must be greater than warmup, {given}"
            if least
            else f"repeat must be at least 1, {given}"
        )
    if isinstance(runs, int) and runs > 1_000_000:
        raise ValueError(f"repeat must be at most 1,000,000, {given}")
    if isinstance(ignored, int) and ignored >= 1_000_000:
        raise ValueError(f"warmup must be less than 1,000,000, {given}")
    return ignored, runs


def check_calls(calls: object) -> int:
    """Return the calls per run. Raise TypeError or ValueError unless they are a number of calls."""
    if not is_whole(calls):
        raise TypeError(f"calls must be an int, got {calls!r}")
    if not 1 <= calls <= 1_000_000:
        raise ValueError(f"calls must be at least 1 and at most 1,000,000, got {calls}")
    return int(calls)


def _count(value: object) -> int | Auto | None:
    if value == "auto":
        return "auto"
    return int(value) if is_whole(value) else None


def check_seconds(name: str, value: object, most: float) -> float:
    """Return the number. Raise TypeError or ValueError unless it is above 0 and at most `most`."""
    if not is_real(value):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 < value <= most:  # also refuses an int that is too large for a float
        raise ValueError(f"{name} must be above 0 and at most {most:g}, got {value!r}")
    return float(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether the value is a whole number, including numpy's. True and False are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_real(value: object) -> TypeGuard[float]:
    """Return whether the value is a real number, including numpy's. True and False are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def unwrap(fn: object) -> object:
    """Return the function inside nested partial objects."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def label_of(fn: object) -> str:
    """Return a callable's name, or the name of its type."""
    bare = unwrap(fn)
    return getattr(bare, "__name__", None) or type(bare).__name__

# SPDX-License-Identifier: BSD-3-Clause
"""Checks of the arguments of `measure`, `compare` and `compare_methods`."""

from __future__ import annotations

import difflib
import functools
import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import TypeGuard, get_args

import torch

from ..signatures import refusal
from . import machine
from .options import Auto, Cache, Method

_NAMES = ("x", "y", "z")  # of arguments in an example


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
    why = refusal(function, *args, **kwargs)
    if why:
        given = len(args) + len(kwargs) or "none"
        names = [*_NAMES[: len(args)], *kwargs] if len(args) <= len(_NAMES) else ["*args", *kwargs]
        raise TypeError(
            f"{option}= is called with the call's arguments, here {given}, but: {why}; write "
            f"{option}=lambda{' ' if names else ''}{', '.join(names)}: ..."
        )


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

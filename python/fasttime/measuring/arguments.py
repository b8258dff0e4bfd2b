# SPDX-License-Identifier: BSD-3-Clause
"""What `measure` and `compare` ask of their arguments."""

from __future__ import annotations

import functools
import inspect
import numbers
from collections.abc import Sequence
from typing import TypeGuard, get_args

import torch

from . import machine
from .measurement import Auto, Cache, Method


def check_call(caller: str, fn: object) -> None:
    """Raise TypeError or RuntimeError unless `fn` can be called and timed here and now."""
    if not callable(fn):
        raise TypeError(f"{caller}() takes a callable, got {what_is_no_callable(fn)}")
    bare = unwrap(fn)
    if not inspect.isroutine(bare):  # an object that can be called: what its calls run
        bare = type(bare).__call__
    if inspect.isasyncgenfunction(bare):
        raise TypeError(
            f"{label_of(fn)} is an async generator function, and calling it runs nothing of it; "
            f"give {caller}() a function that consumes it, or put fasttime.scope around what it "
            "awaits"
        )
    if inspect.iscoroutinefunction(bare):
        raise TypeError(
            f"{label_of(fn)} is a coroutine function, and calling it runs nothing of it; give "
            f"{caller}() a function that runs it, or put fasttime.scope around what it awaits"
        )
    if inspect.isgeneratorfunction(bare):
        raise TypeError(
            f"{label_of(fn)} is a generator function, and calling it runs nothing of it; give "
            f"{caller}() a function that consumes it, such as lambda: list({label_of(fn)}())"
        )
    if machine.is_capturing():
        raise RuntimeError(
            f"{caller}() cannot wait for the device while a CUDA graph is being captured on the "
            "current stream; call it outside of the capture"
        )


def what_is_no_callable(given: object) -> str:
    """Return what was given in place of a callable; of a tensor, which is long, what was meant."""
    if isinstance(given, torch.Tensor):
        return "a Tensor; give what makes it and its arguments apart: (model, x), not (model(x))"
    return f"{given!r} of type {type(given).__name__}"


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"unknown {name} {value!r}; there are {', '.join(choices)}")


def check_options(method: object, hold: object, cache: object) -> None:
    """Raise ValueError unless a method can hold the stream and clear the cache as asked."""
    check_choice("method", method, get_args(Method))
    check_choice("cache", cache, get_args(Cache))
    if method not in ("naive", "sync"):
        return
    if hold:
        raise ValueError(
            f"hold=True keeps the stream waiting until work is queued, and method={method!r} reads "
            "the host's clock; use method='event'"
        )
    if cache == "cold":
        raise ValueError(
            "cache='cold' clears the cache on the device between the events of two runs, and "
            f"method={method!r} reads the host's clock; use method='event'"
        )


def check_runs(warmup: object, repeat: object) -> tuple[int | Auto, int | Auto]:
    """Return how many runs to ignore and to make, as ints of Python's own or ``auto``.

    Raises TypeError or ValueError unless so many can be made.
    """
    given = f"got warmup={warmup!r}, repeat={repeat!r}"
    ignored, runs = _count(warmup), _count(repeat)
    if ignored is None or runs is None:
        raise TypeError(f"warmup and repeat must be ints or 'auto', {given}")
    if isinstance(ignored, int) and ignored < 0:
        raise ValueError(f"warmup must be at least 0, {given}")
    least = ignored if isinstance(ignored, int) else 0
    if isinstance(runs, int) and runs <= least:
        raise ValueError(f"warmup must be at least 0 and repeat greater than warmup, {given}")
    if isinstance(runs, int) and runs > 1_000_000:
        raise ValueError(f"repeat must be at most 1,000,000, {given}")
    if isinstance(ignored, int) and ignored >= 1_000_000:
        raise ValueError(f"warmup must be less than 1,000,000, {given}")
    return ignored, runs


def _count(value: object) -> int | Auto | None:
    if value == "auto":
        return "auto"
    return int(value) if is_whole(value) else None


def check_seconds(name: str, value: object, most: float) -> float:
    """Return the number; raise TypeError or ValueError unless it is above 0 and up to `most`."""
    if not is_real(value):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 < value <= most:  # also of an int that no float can hold
        raise ValueError(f"{name} must lie above 0 and be at most {most:g}, got {value!r}")
    return float(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Say whether it is a whole number, numpy's among them; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_real(value: object) -> TypeGuard[float]:
    """Say whether it is a number, numpy's among them; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def unwrap(fn: object) -> object:
    """Return the function inside of partial objects."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def label_of(fn: object) -> str:
    """Return a name for a callable: its own, or that of its type."""
    bare = unwrap(fn)
    return getattr(bare, "__name__", None) or type(bare).__name__

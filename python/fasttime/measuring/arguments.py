# SPDX-License-Identifier: BSD-3-Clause
"""What `measure` and `compare` ask of their arguments."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Sequence

import torch

from . import machine


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


def check_runs(warmup: object, repeat: object) -> None:
    """Raise TypeError or ValueError unless so many runs can be made. ``auto`` always can."""
    given = f"got warmup={warmup!r}, repeat={repeat!r}"
    for runs in (warmup, repeat):
        if runs != "auto" and (not isinstance(runs, int) or isinstance(runs, bool)):
            raise TypeError(f"warmup and repeat must be ints or 'auto', {given}")
    if isinstance(warmup, int) and warmup < 0:
        raise ValueError(f"warmup must be at least 0, {given}")
    least = warmup if isinstance(warmup, int) else 0
    if isinstance(repeat, int) and repeat <= least:
        raise ValueError(f"warmup must be at least 0 and repeat greater than warmup, {given}")
    if isinstance(repeat, int) and repeat > 1_000_000:
        raise ValueError(f"repeat must be at most 1,000,000, {given}")
    if isinstance(warmup, int) and warmup >= 1_000_000:
        raise ValueError(f"warmup must be less than 1,000,000, {given}")


def check_seconds(name: str, value: object, most: float) -> None:
    """Raise TypeError or ValueError unless the value is a number above 0 and up to `most`."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not (math.isfinite(value) and 0 < value <= most):
        raise ValueError(f"{name} must lie above 0 and be at most {most:g}, got {value!r}")


def unwrap(fn: object) -> object:
    """Return the function inside of partial objects."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def label_of(fn: object) -> str:
    """Return a name for a callable: its own, or that of its type."""
    bare = unwrap(fn)
    return getattr(bare, "__name__", None) or type(bare).__name__

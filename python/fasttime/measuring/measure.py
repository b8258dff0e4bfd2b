# SPDX-License-Identifier: BSD-3-Clause
"""Time one callable, by one of the three methods that people use."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from . import loops
from .measurement import METHODS, Measurement, Method


def measure(
    fn: Callable[..., object],
    /,
    *args: object,
    method: Method = "event",
    warmup: int = 5,
    repeat: int = 50,
    **kwargs: object,
) -> Measurement:
    """Call ``fn(*args, **kwargs)`` `repeat` times and return how long each call took, in seconds.

    Args:
        fn: what to time. Its results are dropped. One that takes an argument called method, warmup
            or repeat itself goes into a lambda.
        method: ``event``: CUDA events around each call, read after the last one, so that nothing
            waits in between; ``sync``: the host waits for the device before it reads its clock, at
            either end of each call; ``naive``: the host's clock around the call and nothing else.
        warmup: how many runs at the beginning are ignored, at least 0.
        repeat: how many runs there are, the ignored ones included; more than `warmup`, and for the
            event method no more than 1,000,000.

    Waits for the current device, if CUDA is up, before the first call and after the last one; the
    sync method waits for it twice a call. Never starts CUDA. Without CUDA all methods read the
    host's clock.

    Raises TypeError where `fn` cannot be called or a number of runs is not an int; ValueError for
    an unknown method or a number of runs out of range; RuntimeError where a run has no device time
    that should have one, or while a CUDA graph is captured. What `fn` raises passes unchanged.

    >>> times = measure(sorted, [3, 1, 2], warmup=2, repeat=12)
    >>> len(times)
    10
    """
    check_arguments("measure", fn, (method,), warmup, repeat)
    readings = loops.LOOPS[method](functools.partial(fn, *args, **kwargs), warmup, repeat)
    return Measurement(
        times=np.array(readings.times[warmup:]),
        warmup_times=np.array(readings.times[:warmup]),
        host_times=np.array(readings.host_times[warmup:]),
        loop_time=readings.loop_time,
        method=method,
        label=label_of(fn),
        device=loops.device_name(),
        warmup=warmup,
        repeat=repeat,
        warnings=() if readings.doubt is None else (readings.doubt,),
    )


def check_arguments(
    caller: str, fn: object, methods: Sequence[object], warmup: int, repeat: int
) -> None:
    """Raise TypeError, ValueError or RuntimeError unless a loop can be run with these arguments."""
    if not callable(fn):
        raise TypeError(f"{caller}() takes a callable, got {fn!r} of type {type(fn).__name__}")
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"unknown method {method!r}; there are {', '.join(METHODS)}")
    given = f"got warmup={warmup!r}, repeat={repeat!r}"
    if not all(isinstance(runs, int) and not isinstance(runs, bool) for runs in (warmup, repeat)):
        raise TypeError(f"warmup and repeat must be ints, {given}")
    if warmup < 0 or repeat <= warmup:
        raise ValueError(f"warmup must be at least 0 and repeat greater than warmup, {given}")
    if loops.is_capturing():
        raise RuntimeError(
            f"{caller}() cannot wait for the device while a CUDA graph is being captured on the "
            "current stream; call it outside of the capture"
        )


def label_of(fn: object) -> str:
    """Return a name for a callable: its own, or that of its type."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return getattr(fn, "__name__", None) or type(fn).__name__

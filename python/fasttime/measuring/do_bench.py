# SPDX-License-Identifier: BSD-3-Clause
"""`do_bench` as triton.testing has it, for those who come from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch

from . import machine
from .arguments import check_call, check_choice, check_seconds
from .measure import measure

ReturnMode = Literal["min", "max", "mean", "median", "all"]
_MODES: tuple[ReturnMode, ...] = ("min", "max", "mean", "median", "all")


def do_bench(
    fn: Callable[[], object],
    warmup: float = 25,
    rep: float = 100,
    grad_to_none: Sequence[torch.Tensor] | None = None,
    quantiles: Sequence[float] | None = None,
    return_mode: ReturnMode = "mean",
) -> float | list[float]:
    """Time a callable with the arguments and units of `triton.testing.do_bench`: milliseconds.

    What differs is what is read: `fasttime.measure` holds the stream while a run is queued, and
    takes off what the events read by themselves, so that a short kernel's time is its own. The L2
    cache is cleared before each run, as there.

    Args:
        fn: what to time, without arguments.
        warmup: milliseconds to warm up for; 0 for a single call.
        rep: milliseconds to measure for.
        grad_to_none: tensors whose gradients are set to None before each run.
        quantiles: which to return, each from 0 to 1; then `return_mode` is not looked at.
        return_mode: ``min``, ``max``, ``mean``, ``median``, or ``all`` for the time of each run.

    Returns a time in milliseconds, or a list of them for `quantiles` and ``all``; of a single
    quantile, too, the one time.

    Waits for the device. Raises as `fasttime.measure` does, and ValueError for an unknown
    `return_mode` or a quantile outside 0 to 1; RuntimeError without CUDA.

    >>> do_bench(lambda: x @ x)  # doctest: +SKIP
    0.0123
    """
    check_call("do_bench", fn)
    check_choice("return_mode", return_mode, _MODES)
    if warmup != 0:
        check_seconds("warmup", warmup, most=86_400_000.0)
    check_seconds("rep", rep, most=86_400_000.0)
    wanted = [] if quantiles is None else list(quantiles)
    for q in wanted:
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile must lie between 0 and 1, got {q!r}")
    if not machine.cuda_is_up():
        raise RuntimeError(
            "do_bench() times a CUDA device, and CUDA is not in use; move the work to a device, "
            "start CUDA with torch.cuda.init(), or use fasttime.measure()"
        )

    def run() -> object:
        for tensor in grad_to_none or ():
            tensor.grad = None
        return fn()  # of which measure() looks at the first

    _warm_up(run, warmup * 1e-3)
    found = measure(run, warmup=0, budget=rep * 1e-3, precision=1e-6, cache="cold")
    times = found.times * 1e3
    if wanted:
        read = [float(time) for time in np.quantile(times, wanted)]
        return read[0] if len(read) == 1 else read
    if return_mode == "all":
        return [float(time) for time in times]
    return float(getattr(np, return_mode)(times))


def _warm_up(run: Callable[[], object], seconds: float) -> None:
    start = machine.clock()
    while True:
        run()
        machine.synchronize()
        if machine.clock() - start >= seconds:
            return

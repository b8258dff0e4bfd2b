# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime.do_bench`: the interface of `triton.testing.do_bench`, on top of `measure`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch

from ..torch_compile.not_compiled import not_compiled
from . import machine
from .arguments import check_call, check_choice, check_seconds
from .measure import measure

ReturnMode = Literal["min", "max", "mean", "median", "all"]
_MODES: tuple[ReturnMode, ...] = ("min", "max", "mean", "median", "all")

# These results contain the cost of rare long runs, so the warning about the median is no help.
_WITH_RARE_COST = ("max", "mean", "all")

_A_DAY_MS = 86_400_000.0


@not_compiled
def do_bench(
    fn: Callable[[], object],
    warmup: float = 25,
    rep: float = 100,
    grad_to_none: Sequence[torch.Tensor] | None = None,
    quantiles: Sequence[float] | None = None,
    return_mode: ReturnMode = "mean",
) -> float | list[float]:
    """Time a callable with the arguments of `triton.testing.do_bench`, in milliseconds.

    Unlike triton's function, this one holds the stream while a run is queued and subtracts the
    event overhead, like `fasttime.measure`. So you get the time of a short kernel alone. Like
    triton's function, it clears the L2 cache before each run.

    Args:
        fn: the callable to time, without arguments.
        warmup: how long to warm up, in milliseconds; 0 for a single call.
        rep: how long to measure, in milliseconds.
        grad_to_none: tensors whose gradients are set to None before each run.
        quantiles: the quantiles to return, each from 0 to 1. If given, `return_mode` is ignored.
        return_mode: ``min``, ``max``, ``mean``, ``median``, or ``all`` for the times of all runs.

    Returns a time in milliseconds. For several `quantiles`, and for ``all``, a list of times.

    Waits for all devices in use between runs. Passes each warning of the measurement to
    ``warnings.warn`` as a `TimingWarning`, because the result is only a number.

    Raises the errors of `fasttime.measure`. Raises ValueError for an unknown `return_mode` or a
    quantile outside 0 to 1, and RuntimeError if CUDA is not in use.

    >>> do_bench(lambda: x @ x)  # doctest: +SKIP
    0.0123
    """
    check_call("do_bench", fn)
    check_choice("return_mode", return_mode, _MODES)
    if warmup != 0:
        check_seconds("warmup", warmup, most=_A_DAY_MS)
    check_seconds("rep", rep, most=_A_DAY_MS)
    wanted = [] if quantiles is None else list(quantiles)
    for q in wanted:
        if not 0 <= q <= 1:
            raise ValueError(f"quantiles must be between 0 and 1, got {q!r}")
    if not machine.cuda_is_up():
        raise RuntimeError(
            "do_bench() times a CUDA device, and CUDA is not in use; move the work to a device, "
            "start CUDA with torch.cuda.init(), or use fasttime.measure()"
        )

    def run() -> object:
        for tensor in grad_to_none or ():
            tensor.grad = None
        return fn()  # measure() checks the first result

    _warm_up(run, warmup * 1e-3)
    found = measure(run, warmup=0, budget=rep * 1e-3, precision=1e-6, cache="cold")
    for warning in found.warnings:
        if wanted or warning.kind != "rare_cost" or return_mode not in _WITH_RARE_COST:
            warnings.warn(warning, stacklevel=3)  # beyond the wrapper of do_bench()
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

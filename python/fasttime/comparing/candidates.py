# SPDX-License-Identifier: BSD-3-Clause
"""Time several callables against one another."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import get_args

from ..measuring import loops
from ..measuring.distribution import judge_times
from ..measuring.doubts import ON_CPU, Doubt
from ..measuring.measurement import Cache, EndedBy, Measurement, Method
from ..measuring.sampler import Sampler
from ..units import format_seconds
from .comparison import Comparison
from .judgement import MARGIN
from .looks import Look
from .rounds import Running, joined, naming


def _open_sampler(
    call: Callable[[], object], *, method: Method, hold: bool, cache: Cache
) -> contextlib.AbstractContextManager[Sampler]:
    """Open a sampler. The one place that does; tests put scripted ones here."""
    from ..measuring.samplers import open_sampler  # type: ignore[import-not-found]

    opened: contextlib.AbstractContextManager[Sampler] = open_sampler(
        call, method=method, hold=hold, cache=cache
    )
    return opened


def compare_candidates(
    candidates: Mapping[str, Callable[..., object]],
    /,
    *args: object,
    method: Method = "event",
    hold: bool = False,
    cache: Cache = "warm",
    budget: float = 5.0,
    rounds: int | None = None,
    margin: float = MARGIN,
    **kwargs: object,
) -> Comparison:
    """Time ``candidate(*args, **kwargs)`` for each candidate; see `fasttime.compare`."""
    _check(candidates, method, cache, budget, rounds, margin)
    with contextlib.ExitStack() as stack:
        samplers = {}
        for name, candidate in candidates.items():
            call = functools.partial(candidate, *args, **kwargs)
            with naming(name):
                opened = _open_sampler(call, method=method, hold=hold, cache=cache)
                samplers[name] = stack.enter_context(opened)
        running = Running(samplers)
        looks = running.plan(budget, rounds)
        for look in looks:
            in_budget = running.run(look.rounds, budget)
            # Where time is up, this look is the last, whenever it was planned for.
            deciding = look if in_budget else looks[-1]
            comparison = _look(running, deciding, method, hold, cache, margin)
            is_told = all(
                judgement.verdict != "can't tell" for judgement in comparison.verdicts.values()
            )
            if is_told or not in_budget:
                break
    ended: EndedBy = "budget"
    if is_told:
        ended = "precision"
    elif in_budget and rounds == comparison.rounds:
        ended = "count"
    return _ended(comparison, ended)


def _ended(comparison: Comparison, ended_by: EndedBy) -> Comparison:
    measurements = {
        name: dataclasses.replace(measurement, ended_by=ended_by)
        for name, measurement in comparison.measurements.items()
    }
    return dataclasses.replace(comparison, measurements=measurements)


def _look(
    running: Running, look: Look, method: Method, hold: bool, cache: Cache, margin: float
) -> Comparison:
    device = loops.device_name()
    measurements = {}
    for name, kept in running.kept.items():
        times = joined(kept, "times")
        warmup_times = joined(running.ignored[name], "times")
        loop_time = sum(batch.duration for batch in kept)
        measurements[name] = Measurement(
            times=times,
            warmup_times=warmup_times,
            host_times=joined(kept, "host_times"),
            loop_time=loop_time,
            method=method,
            label=name,
            device=device,
            warmup=len(warmup_times),
            repeat=len(warmup_times) + len(times),
            warnings=_doubts(method, device, float(times.sum()), loop_time) + judge_times(times),
            held=hold,
            cache=cache,
        )
    return Comparison(measurements, running.runs, margin, 1 - look.alpha, running.duration)


def _doubts(method: Method, device: str, read: float, loop_time: float) -> tuple[Doubt, ...]:
    if device == "cpu":
        return (ON_CPU,)
    if method == "naive" and read < 0.9 * loop_time:
        return (
            Doubt(
                "queued_only",
                f"naive read {format_seconds(read)} of the {format_seconds(loop_time)} that the "
                "runs took: how long the host took to queue the work; use method='event'",
            ),
        )
    return ()


def _check(
    candidates: Mapping[str, Callable[..., object]],
    method: object,
    cache: object,
    budget: object,
    rounds: object,
    margin: object,
) -> None:
    if len(candidates) < 2:
        raise ValueError(
            f"compare() takes at least two candidates, got {list(candidates)!r}; for one callable "
            "by several methods give it as it is: compare(fn)"
        )
    for name, candidate in candidates.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"candidates are named by texts, got {name!r}")
        if not callable(candidate):
            raise TypeError(
                f"candidate {name!r} cannot be called: {candidate!r} of type "
                f"{type(candidate).__name__}"
            )
    for what, value, known in (
        ("method", method, get_args(Method)),
        ("cache", cache, get_args(Cache)),
    ):
        if value not in known:
            raise ValueError(f"unknown {what} {value!r}; there are {', '.join(known)}")
    for what, value in (("budget", budget), ("margin", margin)):
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise TypeError(f"{what} must be a number, got {value!r}")
    if not 0 < budget < math.inf:  # type: ignore[operator]
        raise ValueError(f"budget must be more than 0 seconds, and finite, got {budget}")
    if not 0 < margin < 1:  # type: ignore[operator]
        raise ValueError(f"margin must lie between 0 and 1, 0.01 for 1 %, got {margin}")
    if rounds is not None and (not isinstance(rounds, int) or isinstance(rounds, bool)):
        raise TypeError(f"rounds must be an int or None, got {rounds!r}")
    if rounds is not None and not 1 <= rounds <= 1024:
        raise ValueError(f"rounds must be at least 1 and at most 1024, got {rounds}")
    if loops.is_capturing():
        raise RuntimeError(
            "compare() cannot wait for the device while a CUDA graph is being captured on the "
            "current stream; call it outside of the capture"
        )

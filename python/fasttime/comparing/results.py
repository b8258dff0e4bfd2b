# SPDX-License-Identifier: BSD-3-Clause
"""What the rounds of a comparison come to: a measurement of each candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..measuring import machine
from ..measuring.batch import Batch
from ..measuring.clocks import clock_warnings_of_rounds
from ..measuring.distribution import judge_times
from ..measuring.measurement import Measurement
from ..measuring.options import Cache, Method
from ..measuring.waiting import in_most
from ..measuring.warnings import judge_coverage, judge_work, raw_times
from ..stats import Times
from ..timing_warning import TimingWarning
from .opening import Opened

if TYPE_CHECKING:
    from .rounds import Running


def measurements_of(
    running: Running, opened: Opened, method: Method, cache: Cache
) -> dict[str, Measurement]:
    """Return a measurement of each candidate, in the order in which they were given.

    Behind a held stream the reading of an empty pair of events is taken off: it is in the times of
    all candidates, and would bring their ratio nearer to 1. One figure for all, so that it cannot
    make a difference between them.
    """
    device = machine.device_name()
    event_overheads = [_joined(kept, "event_overheads") for kept in running.kept.values()]
    empty = np.concatenate(event_overheads)
    event_overhead = float(np.median(empty)) if opened.held and empty.size else None
    shared = (*opened.warnings, *clock_warnings_of_rounds(running.gpu_states))
    found = {}
    for name, kept in running.kept.items():
        times = _joined(kept, "times") - (event_overhead or 0.0)
        ignored = _joined(running.ignored[name], "times") - (event_overhead or 0.0)
        warnings = (*shared, *_warnings(kept, times, event_overhead, opened.held, method, device))
        found[name] = Measurement(
            times=times,
            warmup_times=ignored,
            host_times=_joined(kept, "host_times"),
            loop_time=sum(batch.duration for batch in kept),
            method=method,
            label=name,
            device=device,
            warmup=len(ignored),
            repeat=len(ignored) + len(times),
            warnings=(*warnings, *judge_times(times)),
            held=opened.held,
            cache=cache,
            event_overhead=event_overhead,
            is_calibrated=event_overhead is not None,
        )
    return found


def _warnings(
    kept: list[Batch],
    times: Times,
    event_overhead: float | None,
    held: bool,
    method: Method,
    device: str,
) -> list[TimingWarning]:
    reading = float(np.median(times))
    warnings = [kept[-1].warning]
    if method in ("event", "graph") and device != "cpu":
        others = float(np.median([batch.others for batch in kept]))
        waiting = in_most([batch.work_was_waiting for batch in kept])
        if not held and not waiting:
            host_time = float(np.median(_joined(kept, "host_times")))
            warnings.append(raw_times(host_time, device_waited=waiting is False))
        warnings.append(judge_coverage(reading, others, 1))
        if event_overhead is not None:
            warnings.append(judge_work(reading, event_overhead, others))
    return [warning for warning in warnings if warning is not None]


def _joined(batches: list[Batch], field: str) -> Times:
    return np.concatenate([np.asarray(getattr(batch, field), dtype=float) for batch in batches])

# SPDX-License-Identifier: BSD-3-Clause
"""Made-up measurements and environments."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

import numpy as np

from fasttime import Measurement
from fasttime.environment.describe import Environment
from fasttime.environment.origin import ProcessOrigin


def measurement(times: Any, **changes: Any) -> Measurement:
    times = np.asarray(times, dtype=float)
    made = Measurement(
        times=times,
        warmup_times=np.array([]),
        host_times=times / 2,
        loop_time=float(times.sum()),
        method="event",
        label="model",
        device="cuda:0 Simulated",
        warmup=0,
        repeat=len(times),
    )
    return dataclasses.replace(made, **changes)


def origin(process_id: int, time: float = 0.0, **changes: Any) -> ProcessOrigin:
    """Return the origin of a process that began at its own number of seconds after the boot."""
    made = ProcessOrigin(time, process_id, float(process_id), "one boot", "one machine")
    return dataclasses.replace(made, **changes)


def environment(**changes: Any) -> Environment:
    """Return an environment. Each field that is not given has some value of its type."""
    hints = typing.get_type_hints(Environment)
    values = {
        field.name: _some(hints[field.name], field.name)
        for field in dataclasses.fields(Environment)
    }
    return Environment(**{**values, **changes})


def _some(hint: Any, name: str) -> Any:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return _some(typing.get_args(hint)[0], name)
    if hint is str:
        return f"some {name}"
    if hint in (int, float, bool):
        return hint(1)
    return None if hint is type(None) else (hint if isinstance(hint, type) else tuple)()

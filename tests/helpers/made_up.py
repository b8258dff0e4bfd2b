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

# SPDX-License-Identifier: BSD-3-Clause
"""The options of one measurement, and the values that they can take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["naive", "sync", "event", "graph"]
Cache = Literal["warm", "cold"]
Auto = Literal["auto"]
EndedBy = Literal["count", "precision", "budget", "interrupt"]

# The methods that `fasttime.compare_methods` compares. ``graph`` times something else: a replay.
METHODS: tuple[Method, ...] = ("naive", "sync", "event")


@dataclass(frozen=True)
class Options:
    """How to time a callable. `fasttime.measure` describes each option.

    Attributes:
        min_time: 0 for no minimum.
    """

    method: Method
    warmup: int | Auto
    repeat: int | Auto
    hold: bool | None = None
    cache: Cache = "warm"
    budget: float = 1.0
    precision: float = 0.005
    calls: int = 1
    min_time: float = 0.0

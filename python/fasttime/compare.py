# SPDX-License-Identifier: BSD-3-Clause
"""The three methods side by side: what each one sees, and what it does to the loop."""

from __future__ import annotations

import functools
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from .findings import Finding, find
from .loops import untimed_loop
from .measure import check_arguments, label_of, measure
from .measurement import METHODS, Measurement, Method

if TYPE_CHECKING:
    from rich.console import RenderableType

Loop = Literal["untimed", "naive", "sync", "event"]


@dataclass(frozen=True, eq=False, repr=False)
class MethodComparison:
    """One callable timed by several methods. All times are in seconds. Prints as a table.

    Attributes:
        measurements: by method, that of the round whose median is the middle one of all rounds.
        loop_times: what the whole loop took in each round, by method, with the device idle at
            either end; under ``untimed`` that of the same loop without timing.
        findings: by method, whether its reading is right, and why.
    """

    measurements: Mapping[Method, Measurement]
    loop_times: Mapping[Loop, tuple[float, ...]]
    findings: Mapping[Method, Finding]

    @property
    def loop_change(self) -> dict[Method, float]:
        """By method, how much longer the loop took than without timing: 0.4 for 40 % longer.

        The median over the rounds of each round's own ratio, so that a machine which becomes slower
        or faster meanwhile does not show up as a difference between methods.
        """
        return loop_changes(self.loop_times)

    def __str__(self) -> str:
        from .comparison_table import as_text

        return as_text(self)

    __repr__ = __str__

    def __rich__(self) -> RenderableType:
        from .comparison_table import as_renderable

        return as_renderable(self)

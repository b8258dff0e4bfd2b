# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of neighbouring measurements and the ratio that a target is set for.

The clock of these processors jumps between two speeds, so that two medians of one run can differ
by a third for no reason of theirs. Each measurement is therefore set against one of its yardstick
right beside it, and what counts is the median of the ratios.
"""

from __future__ import annotations

import ctypes
import statistics
from dataclasses import dataclass, field

import torch


class Latch:
    """Holds streams, without a kernel, until `release`; raises OSError where it cannot."""

    def __init__(self) -> None:
        self._wait = ctypes.CDLL("libcuda.so.1").cuStreamWaitValue32_v2
        self._wait.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint]
        self._value = torch.zeros(1, dtype=torch.int32, pin_memory=True)

    def hold(self, *streams: int) -> None:
        self._value[0] = 0
        for stream in streams:
            if status := self._wait(stream, self._value.data_ptr(), 1, 0):
                raise OSError(f"cuStreamWaitValue32_v2 answered {status}")

    def release(self) -> None:
        self._value[0] = 1


@dataclass
class Paired:
    """One thing measured beside its yardstick, again and again.

    Attributes:
        name: what was measured.
        condition: under what circumstances.
        beside: what the yardstick is.
        unit: of `values` and `yardsticks`.
        target: what the median ratio should not exceed; None where it is reported only.
        values, yardsticks: the measurements, by round; neighbours have the same place.
    """

    name: str
    condition: str
    beside: str
    unit: str
    target: float | None
    values: list[list[float]] = field(default_factory=list)
    yardsticks: list[list[float]] = field(default_factory=list)

    def by_round(self) -> list[float]:
        """Return the median ratio of each round."""
        return [
            statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
            for mine, theirs in zip(self.values, self.yardsticks, strict=True)
        ]

    def ratio(self) -> float:
        """Return the median of all ratios."""
        return statistics.median(
            a / b
            for mine, theirs in zip(self.values, self.yardsticks, strict=True)
            for a, b in zip(mine, theirs, strict=True)
        )

    def verdict(self) -> str:
        """Return ``met``, ``missed`` or, without a target, ``reported``."""
        if self.target is None:
            return "reported"
        return "met" if self.ratio() <= self.target else "missed"

    def summary(self) -> dict[str, float | str | None]:
        """Return the figures that a table and a file show."""
        rounds = self.by_round()
        return {
            "name": self.name,
            "condition": self.condition,
            "beside": self.beside,
            "median": statistics.median(value for row in self.values for value in row),
            "yardstick": statistics.median(value for row in self.yardsticks for value in row),
            "unit": self.unit,
            "ratio": self.ratio(),
            "ratio_min": min(rounds),
            "ratio_max": max(rounds),
            "target": self.target,
            "verdict": self.verdict(),
        }


COLUMNS = ("", "median", "yardstick", "ratio", "rounds from", "to", "target", "")


def table_row(paired: Paired) -> tuple[str, ...]:
    """Return what `COLUMNS` names."""
    row = paired.summary()
    return (
        f"{paired.name}, {paired.condition}",
        f"{row['median']:,.0f} {paired.unit}",
        f"{row['yardstick']:,.0f} {paired.unit}",
        f"{row['ratio']:.3f}",
        f"{row['ratio_min']:.3f}",
        f"{row['ratio_max']:.3f}",
        "" if paired.target is None else f"{paired.target:.3f}",
        paired.verdict(),
    )


def said(all_of_it: list[Paired]) -> str:
    """Say in one sentence which targets were met and which were not."""
    judged = [paired for paired in all_of_it if paired.target is not None]
    missed = [f"{p.name}, {p.condition} ({p.ratio():.3f})" for p in judged if p.ratio() > p.target]
    met = f"{len(judged) - len(missed)} of {len(judged)} targets met"
    return f"{met}; missed: {'; '.join(missed)}." if missed else f"{met}."

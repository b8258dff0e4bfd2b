# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of neighbouring measurements, and their ratio.

The clock of some processors jumps between two speeds, so two medians of one run can differ by a
third for no other reason. So each measurement is paired with a measurement of its yardstick right
beside it. The result is the median of the ratios.
"""

from __future__ import annotations

import ctypes
import statistics
from dataclasses import dataclass, field

import torch


class Latch:
    """Hold streams, without a kernel, until `release`. Raises OSError if streams cannot be held."""

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
    """One subject, measured beside its yardstick in every round.

    Attributes:
        name: the subject.
        condition: the state of the device meanwhile.
        beside: the yardstick.
        unit: of `values` and `yardsticks`.
        target: the highest median ratio that meets the target, or None without a target.
        values, yardsticks: the measurements, by round. Neighbours have the same index.
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

    def outcome(self) -> str:
        """Return ``met``, ``missed`` or, without a target, ``reported``."""
        if self.target is None:
            return "reported"
        return "met" if self.ratio() <= self.target else "missed"

    def summary(self) -> dict[str, float | str | None]:
        """Return the figures for tables and files."""
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
            "outcome": self.outcome(),
        }


COLUMNS = ("", "median", "yardstick", "", "ratio", "lowest", "highest", "target", "")


def table_row(paired: Paired) -> tuple[str, ...]:
    """Return the cells of one row, in the order of `COLUMNS`."""
    row = paired.summary()
    return (
        f"{paired.name}, {paired.condition}",
        f"{row['median']:,.0f} {paired.unit}",
        paired.beside,
        f"{row['yardstick']:,.0f} {paired.unit}",
        f"{row['ratio']:.3f}",
        f"{row['ratio_min']:.3f}",
        f"{row['ratio_max']:.3f}",
        "" if paired.target is None else f"{paired.target:.3f}",
        paired.outcome(),
    )


def targets_sentence(all_pairs: list[Paired]) -> str:
    """Return one sentence that says which targets were met and which were missed."""
    with_target = [paired for paired in all_pairs if paired.target is not None]
    if not with_target:
        return "there are no targets here."
    missed = [paired for paired in with_target if paired.outcome() == "missed"]
    met = f"{len(with_target) - len(missed)} of {len(with_target)} targets met"
    if not missed:
        return f"{met}."
    listed = "; ".join(f"{p.name}, {p.condition} ({p.ratio():.3f})" for p in missed)
    return f"{met}; missed: {listed}."

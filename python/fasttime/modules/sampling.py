# SPDX-License-Identifier: BSD-3-Clause
"""Estimate totals over all steps from the steps that were timed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# Four sums over timed steps, then four sums of their squares: see `_native.module_self`.
PeriodSums = tuple[int, Sequence[float], Sequence[float]]


class Estimate(NamedTuple):
    """A total over all steps and its standard error, in seconds."""

    total: float
    error: float


class Periods:
    """How many steps each period has, and how many of them were timed.

    Within a period every step has the same chance to be timed.
    """

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._timed: list[int] = []

    def begin(self) -> None:
        """Begin a period."""
        self._steps.append(0)
        self._timed.append(0)

    def count_step(self, is_timed: bool) -> None:
        """Count a step of the current period."""
        self._steps[-1] += 1
        self._timed[-1] += is_timed

    def clear(self) -> None:
        """Forget the steps so far."""
        self._steps = [0] * len(self._steps)
        self._timed = [0] * len(self._timed)

    @property
    def timed(self) -> int:
        """How many steps were timed."""
        return sum(self._timed)

    def estimates(self, sums: Sequence[PeriodSums]) -> list[Estimate] | None:
        """Return four estimates, or None if there are no periods, because every step is timed.

        The total of a period with N steps, n of them timed, is estimated as N times the mean of the
        timed steps. Given n >= 1, the timed steps are a simple random sample, so that this is
        unbiased, with the variance N^2 (1 - n/N) s^2 / n, where s^2 is the variance of the timed
        steps (Cochran, Sampling Techniques, 3rd ed. 1977, theorems 2.1 and 2.4). Periods without a
        timed step get the mean of all others.
        """
        if not self._steps:
            return None
        found = {number: (total, squares) for number, total, squares in sums}
        steps = sum(self._steps)
        covered = sum(n for n, timed in zip(self._steps, self._timed, strict=True) if timed)
        scale = steps / covered if covered else 0.0
        result = []
        for kind in range(4):
            total = variance = 0.0
            for period, (size, timed) in enumerate(zip(self._steps, self._timed, strict=True)):
                if not timed or period not in found:
                    continue
                sum_ns, squares_ns2 = found[period][0][kind], found[period][1][kind]
                total += size * sum_ns / timed
                if 1 < timed < size:
                    spread = max(0.0, squares_ns2 - sum_ns**2 / timed) / (timed - 1)
                    variance += size**2 * (1 - timed / size) * spread / timed
            result.append(Estimate(scale * total * 1e-9, scale * math.sqrt(variance) * 1e-9))
        return result

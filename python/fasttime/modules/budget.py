# SPDX-License-Identifier: BSD-3-Clause
"""Which steps to time, so that timing costs no more than a budget."""

from __future__ import annotations

import random
import statistics
from collections import deque
from collections.abc import Iterable

_FIRST_STEPS = 24  # half of them are timed, to learn what timing costs
_MOST = 0.5  # more leaves too few other steps to compare with
_SHORTEST_PERIOD = 64
_WANTED_IN_PERIOD = 16  # timed steps; without any, a period says nothing
_GROWTH = 8  # a period is at least an eighth of all steps so far, so that there are few
_LEAST_PART = 1 / 1000
_KEPT = 64
_WAITING = 1024  # steps whose device times are awaited; the launch queue holds fewer


class Budget:
    """Chooses steps at random, each independently of the others.

    The gaps between timed steps are then geometric, so no rhythm of the program can lie in step
    with them. The part of the steps that is timed stays the same for a period. Then it is set to
    the budget divided by the cost of timing a step. This cost is the median of the timed steps
    minus the median of the others, each of the last few dozen steps.

    These are device times where there are any. Host times mislead where the device is behind: the
    host runs ahead until the launch queue is full, and then waits for older steps.
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self._random = random.Random()  # its own, so that seeds of the program do not matter
        self._part = _MOST
        self._period_left = _FIRST_STEPS
        self._all_steps = 0
        self._timed_steps = 0
        self._last_ns: int | None = None
        self._host = _Durations()
        self._device = _Durations()
        self._was_timed: dict[int, bool] = {}  # of steps without a device time, oldest first

    @property
    def part(self) -> float:
        """The chance of a step to be timed."""
        return self._part

    @property
    def estimated_overhead(self) -> float | None:
        """The estimated cost of timing, as a fraction of the time of all steps; None if unknown."""
        cost = self._cost()
        if cost is None or not self._all_steps:
            return None
        return max(0.0, cost) * self._timed_steps / self._all_steps

    def choose(self) -> bool:
        """Return whether to time the next step."""
        return self._random.random() < self._part

    def end_step(self, number: int, now_ns: int, was_timed: bool) -> bool:
        """Take note of a step. Return whether the period is over; call `begin_period` then."""
        if self._last_ns is not None:
            self._host.add(now_ns - self._last_ns, was_timed)
        self._last_ns = now_ns
        self._all_steps += 1
        self._timed_steps += was_timed
        if len(self._was_timed) == _WAITING:
            del self._was_timed[next(iter(self._was_timed))]
        self._was_timed[number] = was_timed
        self._period_left -= 1
        return self._period_left <= 0

    def add_device_times(self, times: Iterable[tuple[int, int]]) -> None:
        """Take note of the device times of steps that ended: number and nanoseconds."""
        for number, device_ns in times:
            was_timed = self._was_timed.pop(number, None)
            if was_timed is not None:
                self._device.add(device_ns, was_timed)

    def begin_period(self) -> None:
        """Choose the part of the steps that is timed from now on."""
        self._part = self._wanted_part()
        self._period_left = max(
            _SHORTEST_PERIOD,
            round(_WANTED_IN_PERIOD / self._part),
            self._all_steps // _GROWTH,
        )

    def _cost(self) -> float | None:
        """Return what timing a step costs, as a fraction of a plain step."""
        cost = self._device.cost()
        return self._host.cost() if cost is None else cost

    def _wanted_part(self) -> float:
        cost = self._cost()
        if cost is None:
            return self._part
        if cost <= 0:
            return _MOST
        return max(_LEAST_PART, min(_MOST, self.budget / cost))


class _Durations:
    """The last durations of timed and of other steps, in nanoseconds."""

    def __init__(self) -> None:
        self._timed: deque[int] = deque(maxlen=_KEPT)
        self._plain: deque[int] = deque(maxlen=_KEPT)

    def add(self, duration_ns: int, was_timed: bool) -> None:
        (self._timed if was_timed else self._plain).append(duration_ns)

    def cost(self) -> float | None:
        """Return what timing a step costs, as a fraction of a plain step; None if unknown."""
        if not self._timed or not self._plain:
            return None
        plain = statistics.median(self._plain)
        return (statistics.median(self._timed) - plain) / plain if plain > 0 else None

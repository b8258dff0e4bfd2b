# SPDX-License-Identifier: BSD-3-Clause
"""When a bar may be drawn while runs are made: only where the host's pause changes nothing.

A drawing takes the host some milliseconds. Where each run is timed on its own, by the host or
behind a hold, the device is idle between two runs in any case, and the pause is taken off what the
loop took. A row of runs that the device does freely is another thing: how far the host is ahead is
what such a row shows, and a pause would take that away, and with it the work that the device was to
go on with. There a bar is drawn at three moments only: when all that was issued is done, so that
the device is idle already, and the next run begins as it would have begun; when there is more left
for it to do than many a drawing takes; and while the host waits for the last runs. A row that has
no such moment, as its device is never idle and never far behind, has no bar.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..recorder import Recorder
from . import machine
from .progress import ProgressBar

# ``idle``: nothing is under way, so that a pause is one of all; ``ahead``: the device has enough to
# do meanwhile; ``busy``: not now.
Moment = Literal["idle", "ahead", "busy"]

# The clock is looked at about so often, in seconds, and not after each run, some of which are
# hardly longer than that takes.
_LOOK_EVERY = 0.02

# In a row of runs asking what the device does takes some 20 us, so that it is not asked again soon.
_ASK_AGAIN = 0.25

# A part of a run, and how often it is looked, in seconds, whether that has passed.
_AS_GOOD_AS_DONE = 1e-3
_BLINK = 20e-6

# A drawing takes a few milliseconds.
_ENOUGH_WORK = 0.1

# The end of a row has to be heard at once, so that nobody sleeps or draws when it is near.
_NEAR_THE_END = 0.5
_TICK = 0.05


class Pauses:
    """When nothing else went on than the drawing of a bar, and for how long."""

    def __init__(self) -> None:
        self._found: list[tuple[int, float]] = []

    def add(self, after: int, seconds: float) -> None:
        """Add one that came after so many runs."""
        self._found.append((after, seconds))

    @property
    def total(self) -> float:
        """All of them together, in seconds."""
        return sum(seconds for _, seconds in self._found)

    def taken_out_of(self, moments: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return moments, one for each run, as if there had been no pauses."""
        moments = moments.copy()
        for after, seconds in self._found:
            moments[after:] -= seconds
        return moments


class RunProgress:
    """How far a loop of runs is.

    Args:
        bar: what shows it; None where nothing does.
        runs: how many there will be.
        moment: says what the device does; asked between two runs, where a drawing is due.

    Attributes:
        pauses: what whoever reads a clock before and after the loop has to leave out.
    """

    def __init__(
        self,
        bar: ProgressBar | None,
        runs: int,
        moment: Callable[[], Moment] = lambda: "idle",
    ) -> None:
        self._bar, self._runs, self._moment = bar, runs, moment
        self._due = math.inf if bar is None else bar.due
        self.pauses = Pauses()

    def stretches(self) -> Iterator[int]:
        """Yield how many runs to make before coming back; in between a bar may be drawn."""
        if math.isinf(self._due):  # nobody watches: nothing stands between two runs
            yield self._runs
            return
        clock = machine.clock
        done, runs = 0, 1
        now = clock()
        while True:
            runs = min(runs, self._runs - done)
            yield runs
            done += runs
            if done == self._runs:
                return
            before, now = now, clock()
            took = now - before
            runs = 2 * runs if took < _LOOK_EVERY else max(1, int(runs * _LOOK_EVERY / took))
            if now >= self._due:
                self._may_draw(done)
                now = clock()

    def _may_draw(self, done: int) -> None:
        moment = self._moment()
        if moment == "busy":
            self._due = machine.clock() + _ASK_AGAIN
            return
        length = self._draw(done)
        if moment == "idle":
            self.pauses.add(done, length)

    def _draw(self, done: int) -> float:
        assert self._bar is not None
        length = self._bar.update(done / self._runs)
        self._due = self._bar.due
        return length

    def wait_for_most(self, recorder: Recorder) -> None:
        """Show how the device gets on with what was issued, until the end is near.

        Returns at once where nothing is shown.
        """
        while math.isfinite(self._due):
            pending, shortest = _look(recorder)
            if _work_left(pending, shortest) < _NEAR_THE_END:
                return
            if machine.clock() >= self._due:
                self._draw(self._runs - pending)
            machine.sleep(_TICK)


def moment_of(recorder: Recorder) -> Moment:
    """Return what the device does after a run that the recorder times freely.

    Waits for a run that is as good as done, as the last one of a host that is slower than the
    device always is, for a thousandth of a run at most.
    """
    pending, shortest = _look(recorder)
    if pending == 1:
        end = machine.clock() + _AS_GOOD_AS_DONE * min(1.0, shortest)
        while pending and machine.clock() < end:
            machine.sleep(_BLINK)
            pending, _ = _look(recorder)
    if pending == 0:
        return "idle"
    return "ahead" if _ENOUGH_WORK < _work_left(pending, shortest) < math.inf else "busy"


def _look(recorder: Recorder) -> tuple[int, float]:
    """Return how many runs are not done yet, and the shortest of the others; infinity for none."""
    report = recorder.report()
    shortest = min((site.device.min for site in report.sites if site.device), default=math.inf)
    return report.pending, shortest


def _work_left(pending: int, shortest: float) -> float:
    """Return how many seconds of work there are at the least: the oldest run may be all but done.

    Infinity while the device is at its first run, of which nothing is known.
    """
    return (pending - 1) * shortest if pending > 1 else 0.0

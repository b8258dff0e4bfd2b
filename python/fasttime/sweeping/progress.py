# SPDX-License-Identifier: BSD-3-Clause
"""A progress line for sweeps: points done, and the time left."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType

from ..measuring import machine
from .point import AxisValue, named_values


class SweepProgress:
    """Writes on a terminal's stderr how far a sweep is.

    The line is written between points only, while nothing is timed.

    Args:
        points: how many there are.
        label: what is timed.
    """

    def __init__(self, points: int, label: str) -> None:
        self._points, self._label = points, label
        self._done = self._timed = 0
        self._begun = machine.clock()
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._width = 0

    def __enter__(self) -> SweepProgress:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._write("")

    def advance(self, values: Mapping[str, AxisValue], was_timed: bool = True) -> None:
        """Report that one more point is done, and whether it was timed or is from the file."""
        self._done += 1
        self._timed += was_timed
        text = f"sweep of {self._label}: {self._done} of {self._points} points"
        text += f" ({named_values(values)})"
        if self._timed:
            per_point = (machine.clock() - self._begun) / self._timed
            text += f", {in_words(per_point * (self._points - self._done))} left"
        self._write(text)

    def _write(self, text: str) -> None:
        if self._is_terminal:
            print(f"\r{text[:160].ljust(self._width)}\r", end="", file=sys.stderr, flush=True)
            self._width = len(text[:160])


def in_words(seconds: float) -> str:
    """Return a duration to wait, such as ``3 min 20 s``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

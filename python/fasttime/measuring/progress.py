# SPDX-License-Identifier: BSD-3-Clause
"""A progress bar for what takes more than two seconds, on a terminal only."""

from __future__ import annotations

import math
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from . import machine

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SHOWN_AFTER = 2.0
_REDRAWN_AFTER = 0.25


class ProgressBar:
    """Shows on stderr how far a measurement is. Drawn only when told to, never in between.

    Attributes:
        doing: what is going on, in front of the label.
        due: from when on, on `machine.clock`, an update is drawn; infinity where none ever is.
    """

    def __init__(self, label: str, doing: str = "measuring") -> None:
        self._label, self.doing = label, doing
        self._part = (0.0, 1.0)
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self.due = machine.clock() + _SHOWN_AFTER if is_terminal else math.inf
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBar:
        if math.isfinite(self.due):
            # Loaded here, as between two runs a tenth of a second is a long time.
            import rich.progress  # noqa: F401
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin_part(self, step: int, steps: int) -> None:
        """Take what `update` is told from here on for a part of the whole, one of so many."""
        self._part = (step / steps, 1 / steps)

    def update(self, fraction: float) -> float:
        """Say that this much is done, 0.0 to 1.0; drawn a few times a second at most.

        Returns how long that took, in seconds.
        """
        begin = machine.clock()
        if begin < self.due:
            return 0.0
        self._draw(fraction)
        end = machine.clock()
        self.due = end + _REDRAWN_AFTER
        return end - begin

    def _draw(self, fraction: float) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import Progress

        first, share = self._part
        done = first + share * min(1.0, fraction)
        text = escape(f"{self.doing} {self._label}")
        if self._bar is None:
            # No thread of its own: it would run in the middle of what is timed.
            self._bar = Progress(console=Console(stderr=True), transient=True, auto_refresh=False)
            self._task = self._bar.add_task(text, total=1.0)
            self._bar.start()
        assert self._task is not None
        self._bar.update(self._task, description=text, completed=done, refresh=True)

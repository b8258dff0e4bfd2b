# SPDX-License-Identifier: BSD-3-Clause
"""A progress bar on a terminal, for measurements that take more than two seconds."""

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
    """Shows on stderr how far a measurement is.

    The bar has no thread and is drawn only by `update`. Call `update` between batches, while the
    device is idle: drawing takes the host a few milliseconds and must not fall into the timed part.

    Attributes:
        doing: what is happening, in front of the label.
    """

    def __init__(self, label: str, doing: str = "measuring") -> None:
        self._label, self.doing = label, doing
        self._part = (0.0, 1.0)
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        # When the next update may draw, on machine.clock.
        self._due = machine.clock() + _SHOWN_AFTER if is_terminal else math.inf
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBar:
        if math.isfinite(self._due):
            # The import takes about 0.1 s, which is too long between two batches.
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
        """Begin part `step` of `steps` equal parts; `update` then reports on that part."""
        self._part = (step / steps, 1 / steps)

    def update(self, fraction: float) -> None:
        """Report the fraction that is done, 0.0 to 1.0. Draws at most four times per second."""
        if machine.clock() < self._due:
            return
        self._draw(fraction)
        self._due = machine.clock() + _REDRAWN_AFTER

    def _draw(self, fraction: float) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import Progress

        first, share = self._part
        done = first + share * min(1.0, fraction)
        text = escape(f"{self.doing} {self._label}")
        if self._bar is None:
            self._bar = Progress(console=Console(stderr=True), transient=True, auto_refresh=False)
            self._task = self._bar.add_task(text, total=1.0)
            self._bar.start()
        assert self._task is not None
        self._bar.update(self._task, description=text, completed=done, refresh=True)

# SPDX-License-Identifier: BSD-3-Clause
"""A progress bar for what takes more than two seconds, on a terminal only."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from . import machine

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SHOWN_AFTER = 2.0


class ProgressBar:
    """Shows on stderr how far a measurement is. Drawn only when told to, never in between."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._start = machine.clock()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, fraction: float) -> None:
        """Say that this much of the whole is done, 0.0 to 1.0."""
        if self._bar is None:
            if machine.clock() - self._start < _SHOWN_AFTER or not sys.stderr.isatty():
                return
            from rich.console import Console
            from rich.progress import Progress

            # No thread of its own: it would run in the middle of what is timed.
            self._bar = Progress(console=Console(stderr=True), transient=True, auto_refresh=False)
            self._task = self._bar.add_task(f"measuring {self._label}", total=1.0)
            self._bar.start()
        assert self._task is not None
        self._bar.update(self._task, completed=min(1.0, fraction), refresh=True)

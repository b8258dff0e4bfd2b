# SPDX-License-Identifier: BSD-3-Clause
"""The base of all results: they print, show in notebooks, save, and carry their warnings."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from .console import plain_text, terminal_width
from .html.page import fragment
from .text import encodable, for_stdout

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from .timing_warning import TimingWarning


class Result(ABC):
    """A measurement, a report, a comparison or a timeline.

    ``print(result)`` fits the terminal, or 100 columns without a terminal. ``rich.print(result)``
    adds colours. A notebook shows the result as an HTML table.
    """

    @property
    @abstractmethod
    def warnings(self) -> tuple[TimingWarning, ...]:
        """Reasons to distrust the numbers. Empty if there are none."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the result as a dict that ``json.dumps`` accepts."""

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result to a file. `fasttime.load` reads the JSON file."""

    @abstractmethod
    def _renderable(self, width: int) -> RenderableType:
        """Return what rich prints in `width` columns: the table, then the warnings."""

    @abstractmethod
    def _html(self) -> str:
        """Return the result as HTML, without the surrounding element and style."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        renderable = self._renderable(options.max_width)
        if options.ascii_only:
            # As a Text, because rich would interpret markup in a string.
            yield Text(encodable(plain_text(renderable, options.max_width), "ascii"))
        else:
            yield renderable

    def __str__(self) -> str:
        width = terminal_width()
        return for_stdout(plain_text(self._renderable(width), width))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return fragment(self._html())

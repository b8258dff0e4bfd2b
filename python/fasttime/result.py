# SPDX-License-Identifier: BSD-3-Clause
"""What every result can do: print, show in a notebook, become a dict, and carry its warnings."""

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
    """The base of every result: measurements, reports, comparisons and timelines.

    ``print(result)`` fits the terminal, or 100 columns without one. ``rich.print(result)`` adds
    colours. A notebook shows the result as an HTML table.
    """

    @property
    @abstractmethod
    def warnings(self) -> tuple[TimingWarning, ...]:
        """Reasons to distrust the numbers; empty if all is well."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the result as a dict that ``json.dumps`` accepts."""

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result to a file that `fasttime.load` reads."""

    @abstractmethod
    def _renderable(self, width: int) -> RenderableType:
        """Return what rich prints in `width` columns: the table and the warnings."""

    @abstractmethod
    def _html(self) -> str:
        """Return the result as HTML, without the surrounding element and style."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.ascii_only:
            yield encodable(
                plain_text(self._renderable(options.max_width), options.max_width), "ascii"
            )
        else:
            yield self._renderable(options.max_width)

    def __str__(self) -> str:
        width = terminal_width()
        return for_stdout(plain_text(self._renderable(width), width))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return fragment(self._html())

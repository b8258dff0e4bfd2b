# SPDX-License-Identifier: BSD-3-Clause
"""The one set-up of rich that every printed result uses."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from .text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_WIDTH = 100  # columns, if there is no terminal
_LONGEST_LINE = 10_000


def terminal_width() -> int:
    """Return the terminal's width in columns, or the width of plain text without a terminal."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns


def plain_text(renderable: RenderableType, width: int) -> str:
    """Return what rich prints in `width` columns, without colours or trailing blanks."""
    file = io.StringIO()
    # force_jupyter: in a notebook rich would display the table instead of writing it to the file.
    # height: without one, rich asks the environment.
    console = Console(
        file=file,
        width=width,
        height=24,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
    )
    console.print(renderable)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def line(text: str, style: str = "") -> Text:
    """Return a line for rich: markup is not interpreted, and control characters are escaped."""
    return Text(printable(text, _LONGEST_LINE), style)

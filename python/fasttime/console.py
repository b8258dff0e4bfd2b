# SPDX-License-Identifier: BSD-3-Clause
"""How every result uses rich: plain text, tables, lines of text and warnings.

Rich is imported when something is printed, so that ``import fasttime`` stays light.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .text import LONGEST_LINE, printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from .timing_warning import TimingWarning

PLAIN_WIDTH = 100  # columns, without a terminal
GAP = 2  # between columns
MOST_ROWS = 200  # a longer table is hard to read, and rich takes seconds for thousands of rows


def terminal_width() -> int:
    """Return the terminal's width in columns, or `PLAIN_WIDTH` without a terminal."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns


def plain_text(renderable: RenderableType, width: int) -> str:
    """Return what rich prints in `width` columns, without colours or trailing blanks."""
    from rich.console import Console

    file = io.StringIO()
    # Without force_jupyter=False, rich displays its output in a notebook instead of writing it to
    # the file. Without a height, rich reads the environment.
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
    """Return a line for rich. Markup is not interpreted, and control characters are escaped."""
    from rich.text import Text

    return Text(printable(text, LONGEST_LINE), style)


def warning_lines(warnings: Iterable[TimingWarning]) -> list[Text]:
    """Return one line per warning, as every result prints them."""
    return [line(str(warning), "yellow") for warning in warnings]


def table(columns: Sequence[str], *, left: int | Collection[int] = 1) -> Table:
    """Return an empty table in the style of all results.

    Args:
        columns: the headings. A newline in a heading begins a new line.
        left: how many of the first columns are text, or the indices of all columns with text. Text
            is aligned to the left, figures to the right; `fasttime.html.elements.table` agrees.
    """
    from rich.table import Table

    text_columns = range(left) if isinstance(left, int) else left
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index in text_columns else "right")
    return made


def column_widths(texts: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Return the width of each column with the gap beside it.

    Args:
        texts: everything that each column shows, its heading included.
    """
    from rich.cells import cell_len

    return {column: GAP + max(map(cell_len, shown)) for column, shown in texts.items()}


def columns_to_hide(
    widths: Mapping[str, int], least_important_first: Iterable[str], room: int
) -> list[str]:
    """Return the columns to hide until the others fit into `room`, in the order of hiding."""
    hidden = []
    total = sum(widths.values())
    for column in least_important_first:
        if total <= room:
            break
        if column in widths:
            total -= widths[column]
            hidden.append(column)
    return hidden


def hidden_columns(hidden: Sequence[str]) -> list[str]:
    """Return the note on columns that a table hides; empty if it hides none."""
    return [f"Hidden columns (narrow terminal): {', '.join(hidden)}."] if hidden else []

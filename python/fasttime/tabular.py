# SPDX-License-Identifier: BSD-3-Clause
"""Results with a title, one table and notes: how they print, and how they are saved."""

from __future__ import annotations

import csv
import io
import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .atomic_file import open_for_replacement
from .console import line, plain_text, table, warning_lines
from .data_frame import data_frame
from .documents import write_document, wrong_suffix
from .html import elements
from .html.page import asset, page
from .markdown import markdown_table, markdown_text
from .result import Result
from .timing_warning import TimingWarning

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_SUFFIXES = (".json", ".html", ".md", ".csv", ".txt")
_WIDE = 200  # columns of a text file


class TabularResult(Result):
    """The base of results with one table. A subclass says what title, table and notes hold."""

    _format: ClassVar[str]  # of the saved document
    _headings: ClassVar[tuple[str, ...]]  # the first and the last column hold text, others figures

    @abstractmethod
    def _title(self) -> str:
        """Return the line above the table."""

    @abstractmethod
    def _rows(self) -> Iterable[tuple[str | Text, ...]]:
        """Return the cells of each row. A cell with a user's name must be a Text."""

    @abstractmethod
    def _records(self) -> list[dict[str, Any]]:
        """Return the rows of a data frame and of a CSV file, with equal keys."""

    def _more_tables(self) -> Iterable[tuple[str, Iterable[tuple[str | Text, ...]]]]:
        """Return further tables with the same headings: a caption and the rows of each."""
        return ()

    def _to_save(self) -> dict[str, Any]:
        """Return the content of the JSON file."""
        return self.to_dict()

    def _notes(self) -> list[str]:
        """Return the lines below the table."""
        return []

    def _shown_warnings(self) -> Iterable[TimingWarning]:
        """Return the warnings that title and notes do not repeat."""
        return self.warnings

    def _tree(self) -> Sequence[elements.TreeRow]:
        """Return the place of each row in a tree, for HTML; empty if the rows are no tree."""
        return ()

    def _bars(self) -> Sequence[str]:
        """Return HTML to show as one more column, a cell per row; empty for no column."""
        return ()

    def _charts(self) -> str:
        """Return HTML to show below the table."""
        return ""

    def to_pandas(self) -> Any:
        """Return the rows as a pandas.DataFrame. Raises ImportError without pandas."""
        return data_frame(self._records())

    def to_markdown(self) -> str:
        """Return title, table, notes and warnings as Markdown."""
        headings = [heading.replace("\n", " ") for heading in self._column_headings()]
        parts = [markdown_text(self._title())]
        for caption, rows in (("", self._rows()), *self._more_tables()):
            cells = [[str(cell) for cell in row] for row in rows]
            parts.append(markdown_text(caption))
            parts.append("\n".join(markdown_table(headings, cells, self._text_columns())))
        parts += [
            *map(markdown_text, self._notes()),
            "\n".join(f"* {markdown_text(str(warning))}" for warning in self._shown_warnings()),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def to_html(self) -> str:
        """Return the result as one HTML page that needs no other file and no network."""
        title = elements.escaped(self._title())
        script = asset("tables.js") if self._tree() else ""
        return page(self._title(), f"<h1>{title}</h1>", self._html_below_title(), script)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result to a file, in the format of the file's suffix.

        Args:
            path: ``.json`` or no suffix (everything, without loss; `fasttime.load` reads it;
                series of 500 times or more are packed into base64 text), ``.html`` (a page),
                ``.md`` (the table), ``.csv`` (the rows of `to_pandas`) or ``.txt`` (the printed
                text). The file is written whole or not at all: fasttime writes a new file and then
                replaces the old one.

        Raises ValueError for another suffix and if the numbers are impossible, and OSError like
        `open`.
        """
        suffix = os.path.splitext(os.fsdecode(path))[1].lower()
        if suffix in ("", ".json"):
            write_document(path, self._format, self._to_save())
            return
        if suffix not in _SUFFIXES:
            raise wrong_suffix(self._format, path, _SUFFIXES)
        text = self._text_of(suffix)  # first, because it may raise as well
        with open_for_replacement(path) as file:
            file.write(text)

    def _text_of(self, suffix: str) -> str:
        if suffix == ".html":
            return self.to_html()
        if suffix == ".md":
            return self.to_markdown()
        if suffix == ".csv":
            return _as_csv(self._records())
        return plain_text(self._renderable(_WIDE), _WIDE) + "\n"

    def _renderable(self, width: int) -> RenderableType:
        from rich.console import Group

        parts: list[RenderableType] = []
        for caption, rows in ((self._title(), self._rows()), *self._more_tables()):
            grid = table(self._headings, left=self._text_columns())
            for row in rows:
                grid.add_row(*row)
            parts += [line(caption), grid]
        return Group(
            *parts,
            *map(line, self._notes()),
            *warning_lines(self._shown_warnings()),
        )

    def _html(self) -> str:
        return elements.paragraphs([self._title()]) + self._html_below_title()

    def _html_below_title(self) -> str:
        rows = [[str(cell) for cell in row] for row in self._rows()]
        headings, left = self._column_headings(), self._text_columns()
        if bars := self._bars():
            rows = [[*row, elements.Markup(bar)] for row, bar in zip(rows, bars, strict=True)]
            headings, left = [*headings, ""], (*left, len(headings))
        return (
            elements.table(headings, rows, caption=self._title(), left=left, tree=self._tree())
            + "".join(map(self._html_table, self._more_tables()))
            + elements.paragraphs(self._notes())
            + self._charts()
            + elements.warning_list(self._shown_warnings())
        )

    def _html_table(self, captioned: tuple[str, Iterable[tuple[str | Text, ...]]]) -> str:
        caption, rows = captioned
        cells = [[str(cell) for cell in row] for row in rows]
        headings = self._column_headings()
        made = elements.table(headings, cells, caption=caption, left=self._text_columns())
        return elements.paragraphs([caption]) + made  # a caption is for screen readers

    def _column_headings(self) -> list[str]:
        return list(self._headings)

    def _text_columns(self) -> tuple[int, ...]:
        return 0, len(self._headings) - 1


def _as_csv(records: list[dict[str, Any]]) -> str:
    """Return the records with a heading. An unknown value is an empty cell."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()

# SPDX-License-Identifier: BSD-3-Clause
"""What the three kinds of comparisons share: saving, the table, HTML, and joint warnings."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..console import line, table, warning_lines
from ..documents import write_document
from ..html import elements
from ..measuring.document import saved_content
from ..measuring.measurement import Measurement
from ..result import Result
from ..timing_warning import TimingWarning

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text


class ComparisonResult(Result):
    """The base of the comparisons. A subclass says what its document, table and notes hold."""

    _format: ClassVar[str]  # of the saved document
    _headings: ClassVar[tuple[str, ...]]  # the first and the last column hold text, others figures

    @abstractmethod
    def _title(self) -> str:
        """Return the line above the table."""

    @abstractmethod
    def _rows(self) -> Iterable[tuple[str | Text, ...]]:
        """Return the cells of each row. A cell with a user's name must be a Text."""

    @abstractmethod
    def _notes(self) -> list[str]:
        """Return the lines below the table."""

    @abstractmethod
    def _shown_warnings(self) -> Iterable[TimingWarning]:
        """Return the warnings that title and notes do not repeat."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a JSON file that `fasttime.load` reads.

        Args:
            path: the file. Its name ends in ``.json`` or has no suffix. An existing file is
                replaced in one step, after everything has been written.

        Raises ValueError if the numbers are inconsistent or the name has another suffix, and
        OSError like `open`.
        """
        write_document(path, self._format, saved_content(self.to_dict()))

    def _renderable(self, width: int) -> RenderableType:
        from rich.console import Group

        rows = table(self._headings, left=self._text_columns())
        for row in self._rows():
            rows.add_row(*row)
        return Group(
            line(self._title()),
            rows,
            *map(line, self._notes()),
            *warning_lines(self._shown_warnings()),
        )

    def _html(self) -> str:
        headings = [heading.replace("\n", " ") for heading in self._headings]
        rows = [[str(cell) for cell in row] for row in self._rows()]
        return (
            elements.paragraphs([self._title()])
            + elements.table(headings, rows, caption="Comparison", left=self._text_columns())
            + elements.paragraphs(self._notes())
            + elements.warning_list(self._shown_warnings())
        )

    def _text_columns(self) -> tuple[int, int]:
        return 0, len(self._headings) - 1


def _keep(warning: TimingWarning) -> bool:
    return False


def collect_warnings(
    measurements: Mapping[Any, Measurement],
    label: Callable[[Any], str] = str,
    skip: Callable[[TimingWarning], bool] = _keep,
) -> tuple[TimingWarning, ...]:
    """Return each kind of warning once, in the order of the measurements.

    A warning that all measurements share word for word stays as it is. Otherwise the message begins
    with the names of the measurements. If messages of a kind differ, the first message stands for
    all of them.

    Args:
        measurements: by name.
        label: how a name is written in a message.
        skip: says which warnings to leave out.
    """
    # A measurement may have two warnings of a kind, so the key counts them.
    by_kind: dict[tuple[str, int], dict[Any, str]] = {}
    for name, measurement in measurements.items():
        seen: Counter[str] = Counter()
        for warning in measurement.warnings:
            if not skip(warning):
                by_kind.setdefault((warning.kind, seen[warning.kind]), {})[name] = warning.message
                seen[warning.kind] += 1
    return tuple(
        TimingWarning(kind, _message(messages, len(measurements), label))
        for (kind, _), messages in by_kind.items()
    )


def _message(messages: Mapping[Any, str], count: int, label: Callable[[Any], str]) -> str:
    message = next(iter(messages.values()))
    alike = [label(name) for name, other in messages.items() if other == message]
    if len(alike) == count:
        return message
    others = [label(name) for name, other in messages.items() if other != message]
    likewise = f" (likewise {', '.join(others)})" if others else ""
    return f"{', '.join(alike)}{likewise}: {message}"

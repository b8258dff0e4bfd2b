# SPDX-License-Identifier: BSD-3-Clause
"""The table of a model's modules: forward, backward and recomputation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from ..documents import MODULE_TABLE
from ..html.elements import TreeRow
from ..tabular import TabularResult
from ..text import format_count
from ..timing_warning import TimingWarning
from . import table_document, table_formats
from .records import ModuleRecords
from .rows import ModuleRow, rows_by_module, rows_by_type

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..documents import Fields

Key = Literal["self", "total", "forward", "backward", "recompute", "calls", "path", "type"]
KEYS: tuple[Key, ...] = (
    "self",
    "total",
    "forward",
    "backward",
    "recompute",
    "calls",
    "path",
    "type",
)


class ModuleTable(TabularResult):
    """The times of a model's modules. ``handle.table()`` makes it.

    Iterating yields a `ModuleRow` per module with times, in the order of the model.
    ``table["layer1.0.conv1"]`` is the row of a path, and ``table[""]`` is the row of the model.

        table = handle.table()
        print(table.top(10))
        print(table.by_type())

    Args:
        records: what the handle counted.
        order: the rows of this table, as positions among all rows; None means all of them.
        is_by_type: whether a row stands for all modules of a type.
    """

    _format = MODULE_TABLE

    def __init__(
        self,
        records: ModuleRecords,
        *,
        order: Sequence[int] | None = None,
        is_by_type: bool = False,
    ) -> None:
        self._counted = records
        self._order = None if order is None else tuple(order)
        self._is_by_type = is_by_type

    @property
    def records(self) -> ModuleRecords:
        """What the handle counted, for all modules."""
        return self._counted

    @property
    def order(self) -> tuple[int, ...] | None:
        """The rows of this table, as positions among all rows; None if it has all rows."""
        return self._order

    @property
    def is_by_type(self) -> bool:
        """Whether a row stands for all modules of a type."""
        return self._is_by_type

    @cached_property
    def _all_rows(self) -> tuple[ModuleRow, ...]:
        return (rows_by_type if self._is_by_type else rows_by_module)(self._counted)

    @cached_property
    def rows(self) -> tuple[ModuleRow, ...]:
        """The rows of this table."""
        if self._order is None:
            return self._all_rows
        return tuple(self._all_rows[position] for position in self._order)

    @property
    def left_out(self) -> int:
        """How many rows `top` and `min_share` have left out."""
        return len(self._all_rows) - len(self.rows)

    @property
    def is_sorted(self) -> bool:
        """Whether the rows are in another order than the modules of the model."""
        return self._order is not None and list(self._order) != sorted(self._order)

    def __iter__(self) -> Iterator[ModuleRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, path: str) -> ModuleRow:
        """Return the row of a module's path; in a table by type, the row of a type."""
        for row in self.rows:
            if (row.type if self._is_by_type else row.path) == path:
                return row
        what = "type" if self._is_by_type else "module"
        if isinstance(path, int):
            raise TypeError(f"rows go by {what}, got {path}; for a position, use .rows[{path}]")
        known = [row.type if self._is_by_type else row.path for row in self.rows[:20]]
        raise KeyError(f"no {what} {path!r} has times here; known: {', '.join(map(repr, known))}")

    @cached_property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """Reasons to distrust the numbers: the warnings of the handle, and these kinds.

        * ``pending``: the device had not finished some calls
        * ``nothing_timed``: no module has times
        """
        records = self._counted
        known = {warning.kind for warning in records.warnings}
        found = list(records.warnings)
        if records.pending and "pending" not in known:
            found.append(
                TimingWarning(
                    "pending",
                    f"The device had not finished {format_count(records.pending, 'call')}, so the "
                    "table lacks them. Call table(wait=True) to wait for them.",
                )
            )
        if not self._all_rows and "nothing_timed" not in known:
            found.append(
                TimingWarning(
                    "nothing_timed",
                    "No module has times yet, so the table is empty. Run the model inside the "
                    "`with` block of fasttime.instrument(), then call table(wait=True).",
                )
            )
        return tuple(found)

    def by_type(self) -> ModuleTable:
        """Return a table with one row per type of module, such as ``Conv2d``.

        A type's share leaves out the modules inside, so the shares add up to 1.0.
        """
        return ModuleTable(self._counted, is_by_type=True)

    def sort(self, by: Key = "self") -> ModuleTable:
        """Return the table with its rows in another order.

        Args:
            by: ``self`` (default), the total without the modules inside; ``total``, ``forward``,
                ``backward`` or ``recompute``, the totals with them; or ``calls``. The greatest
                comes first. Also ``path`` or ``type``, in alphabetical order.

        Raises ValueError for another key.
        """
        if by not in KEYS:
            raise ValueError(f"by must be one of {', '.join(KEYS)}, got {by!r}")
        rows = self._all_rows
        chosen = range(len(rows)) if self._order is None else self._order
        if by in ("path", "type"):
            return self._view(sorted(chosen, key=lambda position: getattr(rows[position], by)))
        return self._view(sorted(chosen, key=lambda position: -_weight(rows[position], by)))

    def top(self, count: int = 10, by: Key = "self") -> ModuleTable:
        """Return the first `count` rows of `sort`. Raises ValueError unless `count` is positive."""
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        ordered = self.sort(by)._order
        return self._view([] if ordered is None else ordered[:count])

    def min_share(self, share: float) -> ModuleTable:
        """Return the rows with at least this share of the model's time.

        Args:
            share: from 0.0 to 1.0. A module's share includes the modules inside, so a row stays
                together with the modules around it.

        Raises ValueError for another share.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must lie between 0 and 1, got {share}")
        rows = self._all_rows
        chosen = range(len(rows)) if self._order is None else self._order
        return self._view([p for p in chosen if (rows[p].share or 0.0) >= share])

    def _view(self, order: Sequence[int]) -> ModuleTable:
        return ModuleTable(self._counted, order=order, is_by_type=self._is_by_type)

    def to_dict(self) -> dict[str, Any]:
        """Return the table as a dict that ``json.dumps`` accepts. Keys name their units.

        ``modules`` has what was counted in every module. ``rows`` has the rows of this table.
        """
        return table_document.as_dict(self)

    @classmethod
    def _from_fields(cls, fields: Fields) -> ModuleTable:
        """Return the table that was saved as this document. Raises ValueError."""
        return cls(**table_document.arguments(fields))

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with one row per row of the table.

        Columns: ``path``, ``type``, ``modules``, ``depth``, ``calls``; for each of ``forward``,
        ``forward_self``, ``backward``, ``backward_self``, ``recompute``, ``recompute_self``,
        ``host_forward``, ``host_backward`` and ``host_recompute`` the columns ``count``, ``total``,
        ``mean``, ``std``, ``min``, ``max``, ``p50``, ``p95`` and ``p99``; ``total``,
        ``total_self``, ``error``, ``share``, ``self_share``, ``bottleneck`` and ``compiled``. Times
        are in seconds, and an unknown value is missing. Raises ImportError without pandas.
        """
        return super().to_pandas()

    def _records(self) -> list[dict[str, Any]]:
        return table_document.flat_rows(self)

    def _title(self) -> str:
        return table_formats.title(self)

    def _rows(self) -> list[tuple[str, ...]]:
        return table_formats.cells(self, list(self))

    def _notes(self) -> list[str]:
        return table_formats.notes(self)

    def _column_headings(self) -> list[str]:
        return [column.title for column in table_formats.columns(self)]

    def _text_columns(self) -> tuple[int, ...]:
        return table_formats.text_columns(self)

    def _tree(self) -> list[TreeRow]:
        return table_formats.tree(self, list(self), table_formats.columns(self)[1:])

    def _html_below_title(self) -> str:
        return table_formats.html_below_title(self, list(self), [])

    def _renderable(self, width: int) -> RenderableType:
        return table_formats.as_renderable(self, width)

    def _html(self) -> str:
        return table_formats.as_html(self)


def _weight(row: ModuleRow, by: Key) -> float:
    """Return the figure of a row by which a table is sorted."""
    if by == "self":
        return row.total_self
    if by == "total":
        return row.total
    if by == "calls":
        return row.calls
    durations = getattr(row, by)
    return 0.0 if durations is None else float(durations.total)

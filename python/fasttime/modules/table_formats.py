# SPDX-License-Identifier: BSD-3-Clause
"""A table of modules for terminals, notebooks, pages and CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..console import MOST_ROWS, column_widths, columns_to_hide, hidden_columns, line, warning_lines
from ..console import table as rich_table
from ..html.elements import Markup, TreeRow, escaped, paragraphs, warning_list
from ..html.elements import table as html_table
from ..text import format_count, format_seconds, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .rows import ModuleRow
    from .table import ModuleTable

_UNKNOWN = "-"
_MODEL = "(model)"  # the row with the empty path
_RESOLUTION = 1e-9
_NARROWEST = 16  # columns for the names of modules
_LATE = ("calls", "bottleneck")
_STYLES = {"host-bound": "yellow", "unclear": "dim"}
# In a narrow terminal these columns are hidden, in this order.
_LEAST_IMPORTANT_FIRST = (
    "recompute self",
    "calls",
    "host",
    "type",
    "bottleneck",
    "recompute",
    "forward self",
    "backward self",
    "self share",
    "backward",
    "forward",
)


class Column(NamedTuple):
    """One column.

    Attributes:
        title: the heading.
        text: a row's cell.
        value: a row's number, for sorting; None if unknown.
        is_text: whether the cells are no figures.
    """

    title: str
    text: Callable[[ModuleRow], str]
    value: Callable[[ModuleRow], float | None] = lambda _: None
    is_text: bool = False


def as_renderable(table: ModuleTable, width: int) -> RenderableType:
    """Return what rich prints in `width` columns: the table, the notes and the warnings."""
    from rich.console import Group
    from rich.text import Text

    rows, left_out = _shown(table)
    known = columns(table, as_tree=True)
    texts = {column.title: [column.text(row) for row in rows] for column in known}
    hidden = _hidden(texts, width)
    left_out.extend(hidden_columns(hidden))
    shown = [column for column in known if column.title not in hidden]
    made = rich_table(
        [column.title.replace(" ", "\n") for column in shown],
        left={index for index, column in enumerate(shown) if column.is_text},
    )
    for index in range(len(rows)):
        row = [texts[column.title][index] for column in shown]
        first = Text(row[0], no_wrap=True, overflow="ellipsis")
        made.add_row(first, *(Text(text, _STYLES.get(text, "")) for text in row[1:]))
    return Group(
        line(title(table)),
        *([made] if rows else []),
        *(line(note, "dim") for note in [*left_out, *notes(table)]),
        *warning_lines(table.warnings),
    )


def as_html(table: ModuleTable) -> str:
    """Return the table as HTML for a notebook."""
    rows, left_out = _shown(table)
    return paragraphs([title(table)]) + html_below_title(table, rows, left_out)


def html_below_title(table: ModuleTable, rows: list[ModuleRow], left_out: Sequence[str]) -> str:
    """Return some rows of the table, the notes and the warnings as HTML.

    The type stands beside the name, and the number of calls comes late, because a phone shows only
    the first columns.
    """
    names, *others = (column for column in columns(table) if column.title != "type")
    known = [names, *sorted(others, key=lambda column: column.title in _LATE)]
    return (
        html_table(
            [column.title.replace(" ", "\n") for column in known],
            [[column.text(row) for column in known] for row in rows],
            caption="Times by module",
            left=[index for index, column in enumerate(known) if column.is_text],
            tree=tree(table, rows, known[1:]),
        )
        + paragraphs([*left_out, *notes(table)], soft=True)
        + warning_list(table.warnings)
    )


def tree(table: ModuleTable, rows: list[ModuleRow], known: Sequence[Column]) -> list[TreeRow]:
    """Return the places of some rows among the modules, with the numbers of these columns."""
    found = []
    for row, (depth, name) in zip(rows, _places(rows, as_tree=not table.is_sorted), strict=True):
        values = [column.value(row) for column in known]
        if table.is_by_type:
            found.append(TreeRow(row.type, row.type, 0, values))
            continue
        label = f'{escaped(name)} <span class="soft">{escaped(_type(row))}</span>'
        found.append(TreeRow(f"{row.path or _MODEL}: {_type(row)}", Markup(label), depth, values))
    return found


def cells(table: ModuleTable, rows: list[ModuleRow]) -> list[tuple[str, ...]]:
    """Return the cells of some rows of the table."""
    known = columns(table)
    return [tuple(column.text(row) for column in known) for row in rows]


def text_columns(table: ModuleTable) -> tuple[int, ...]:
    """Return the positions of the columns that hold no figures."""
    return tuple(index for index, column in enumerate(columns(table)) if column.is_text)


def columns(table: ModuleTable, *, as_tree: bool = False) -> list[Column]:
    """Return the columns of a table. Columns without any time are left out.

    Args:
        as_tree: indent modules below their parents and name them within their parents, if the rows
            are in the order of the model. Otherwise each module has its whole path.
    """
    names = _names(table, as_tree and not table.is_sorted)

    def times(title: str, column: str) -> Column:
        def value(row: ModuleRow) -> float | None:
            return row.per_call(column)

        return Column(title, lambda row: _seconds(value(row)), value)

    def has(column: str) -> bool:
        return any(getattr(row, column) is not None for row in table)

    if table.is_by_type:
        made = [
            Column("type", lambda row: printable(row.type), is_text=True),
            Column("modules", lambda row: f"{row.modules:,}", lambda row: row.modules),
        ]
    else:
        made = [
            Column("module", lambda row: names[id(row)], is_text=True),
            Column("type", _type, is_text=True),
        ]
    made.append(Column("calls", lambda row: f"{row.calls:,}", lambda row: row.calls))
    nested = table.is_by_type or any(row.depth for row in table)
    for name in ("forward", "backward", "recompute"):
        if has(name):
            made.append(times(name, name))
            if nested and name != "recompute":
                made.append(times(f"{name} self", f"{name}_self"))
    if any(row.bottleneck for row in table):
        made.append(Column("host", lambda row: _seconds(_host(row)), _host))
    made.append(Column("share", lambda row: _share(table, row.share), lambda row: row.share))
    if nested and not table.is_by_type:
        own = Column(
            "self share", lambda row: _share(table, row.self_share), lambda row: row.self_share
        )
        made.append(own)
    if any(row.bottleneck for row in table):
        made.append(
            Column(
                "bottleneck",
                lambda row: row.bottleneck.bound if row.bottleneck else _UNKNOWN,
                is_text=True,
            )
        )
    return made


def _names(table: ModuleTable, as_tree: bool) -> dict[int, str]:
    """Return what the first column says of each module, by the row's id."""
    places = _places(list(table), as_tree=as_tree)
    return {
        id(row): "  " * depth + printable(name)
        for row, (depth, name) in zip(table, places, strict=True)
    }


def _places(rows: list[ModuleRow], *, as_tree: bool) -> list[tuple[int, str]]:
    """Return how many of the modules before a row are around it, and its name inside them."""
    found: list[tuple[int, str]] = []
    around: list[str] = []  # the paths of the modules around the row
    for row in rows:
        while around and not (as_tree and _is_inside(row.path, around[-1])):
            around.pop()
        cut = len(around[-1]) + 1 if around and around[-1] else 0
        found.append((len(around), row.path[cut:] or _MODEL))
        around.append(row.path)
    return found


def _is_inside(path: str, parent: str) -> bool:
    return not parent or path.startswith(f"{parent}.")


def _type(row: ModuleRow) -> str:
    return f"{printable(row.type)} (compiled)" if row.is_compiled else printable(row.type)


def _seconds(value: float | None) -> str:
    if value is None:
        return _UNKNOWN
    # Less than a nanosecond is the rounding of a parent without time of its own.
    return format_seconds(0.0 if abs(value) < _RESOLUTION else value)


def _share(table: ModuleTable, share: float | None) -> str:
    # The sum turns -0.0 into 0.0.
    return _UNKNOWN if share is None else f"{round(share, 3) + 0.0:.1%}"


def _host(row: ModuleRow) -> float | None:
    """Return the host time of a call, forward and backward and recomputation together."""
    found = [row.per_call(name) for name in ("host_forward", "host_backward", "host_recompute")]
    known = [one for one in found if one is not None]
    return sum(known) if known else None


def title(table: ModuleTable) -> str:
    records = table.records
    kind = "device" if any(row.bottleneck for row in table) else "host"
    what = "type" if table.is_by_type else "module"
    left_out = f" of {len(table) + table.left_out:,}" if table.left_out else ""
    return (
        f"{len(table):,}{left_out} {what}{'' if len(table) == 1 else 's'}, "
        f"{format_count(records.steps, 'step')}: mean {kind} time per call"
    )


def notes(table: ModuleTable) -> list[str]:
    """Return what to know about the figures: which part was sampled, and what timing cost."""
    records = table.records
    found = []
    if records.timed_steps < records.steps:
        part = records.timed_steps / records.steps
        found.append(
            f"{records.timed_steps:,} of {records.steps:,} steps were timed ({part:.1%}), chosen "
            f"at random. Totals and shares are estimates{_error(table)}."
        )
    if records.overhead is not None:
        budget = records.overhead_budget
        asked = "" if budget is None else f" (budget: {budget:.1%})"
        found.append(f"Timing the modules cost about {records.overhead:.1%} of the steps{asked}.")
    return found


def _error(table: ModuleTable) -> str:
    row = max(table, key=lambda row: row.total, default=None)
    if row is None or not row.error or not row.total:
        return ""
    return f", with a standard error of {row.error / row.total:.1%} for the largest total"


def _hidden(texts: dict[str, list[str]], width: int) -> list[str]:
    """Return the titles of the columns that do not fit into the width beside the names."""
    widths = column_widths({title: [*title.split(), *cells] for title, cells in texts.items()})
    names = widths.pop(next(iter(texts)))
    return columns_to_hide(
        widths, _LEAST_IMPORTANT_FIRST, width - min(names, max(_NARROWEST, width // 3))
    )


def _shown(table: ModuleTable) -> tuple[list[ModuleRow], list[str]]:
    """Return the rows with the greatest totals, and a note if some are left out."""
    rows = list(table)
    if len(rows) <= MOST_ROWS:
        return rows, []
    ranked = sorted(range(len(rows)), key=lambda position: -rows[position].total)
    chosen = set(ranked[:MOST_ROWS])
    note = (
        f"{MOST_ROWS} of {len(rows):,} rows are shown; "
        'table.save("modules.html") writes all of them.'
    )
    return [row for position, row in enumerate(rows) if position in chosen], [note]

# SPDX-License-Identifier: BSD-3-Clause
"""A table of modules as JSON, both ways, and as flat columns.

A file holds the records, exactly. The rows are written for readers and computed again on loading.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..documents import MODULE_TABLE, VERSIONS, Fields
from ..reports.durations import Durations, merged
from ..reports.formats.document import checks_content, checks_from
from ..reports.formats.durations_document import (
    as_content,
    durations_from,
    exact_content,
    finite,
)
from ..timing_warning import TimingWarning
from .records import ModuleRecord, ModuleRecords, Times
from .rows import COLUMNS, ModuleRow

if TYPE_CHECKING:
    from .table import ModuleTable

_TIMES = (*COLUMNS, "host_forward", "host_backward", "host_recompute")
_FIGURES = ("count", "total", "mean", "std", "min", "max", "p50", "p95", "p99")

# Fields whose key and value in the file are the same as in the records, and how each is read.
_PLAIN: dict[str, Callable[[Fields, str], Any]] = {
    "has_backward": Fields.flag,
    "steps": Fields.count,
    "timed_steps": Fields.count,
    "overhead_budget": Fields.optional_number,
    "overhead": Fields.optional_number,
    "pending": Fields.count,
    "backend": Fields.text,
    "date": Fields.text,
}
_MODULE_PLAIN: dict[str, Callable[[Fields, str], Any]] = {
    "path": Fields.text,
    "type": Fields.text,
    "calls": Fields.count,
    "timed": Fields.count,
    "captured": Fields.count,
    "lost": Fields.count,
    "is_compiled": Fields.flag,
}


def as_dict(table: ModuleTable) -> dict[str, Any]:
    """Return the table as nested dicts and lists of what JSON can hold."""
    records = table.records
    return {
        "format": MODULE_TABLE,
        "version": VERSIONS[MODULE_TABLE],
        **{name: getattr(records, name) for name in _PLAIN},
        "duration_s": finite(records.duration),
        "handle_warnings": [warning.to_dict() for warning in records.warnings],
        "warnings": [warning.to_dict() for warning in table.warnings],
        "is_by_type": table.is_by_type,
        "order": None if table.order is None else list(table.order),
        "rows": [_row(row) for row in table],
        "modules": [_module(record) for record in records.modules],
    }


def arguments(fields: Fields) -> dict[str, Any]:
    """Return the arguments of the constructor of the table that a document holds.

    Raises ValueError, naming the field, if the content is not the content of a table.
    """
    modules: list[ModuleRecord] = []
    for position, module in enumerate(fields.objects("modules")):
        parent = None if module.is_null("parent") else module.count("parent")
        if parent is not None and parent >= position:
            raise module.wrong("parent", "the position of a module before this one")
        modules.append(
            ModuleRecord(
                **{name: read(module, name) for name, read in _MODULE_PLAIN.items()},
                **_columns_from(module),
                parent=parent,
                checks=checks_from(module.object("checks")),
            )
        )
    records = ModuleRecords(
        modules=tuple(modules),
        **{name: read(fields, name) for name, read in _PLAIN.items()},
        duration=fields.number("duration_s"),
        warnings=warnings_from(fields, "handle_warnings"),
    )
    order = None if fields.is_null("order") else fields.items("order")
    if order is not None:
        is_position = [type(one) is int and 0 <= one < len(modules) for one in order]
        if not all(is_position) or len(set(order)) < len(order):
            raise fields.wrong("order", "different positions of rows")
    return {"records": records, "order": order, "is_by_type": fields.flag("is_by_type")}


def warnings_from(fields: Fields, name: str) -> tuple[TimingWarning, ...]:
    """Return the warnings in a list of objects."""
    return tuple(
        TimingWarning(one.text("kind"), one.text("message")) for one in fields.objects(name)
    )


def durations_content(durations: Durations) -> dict[str, Any] | None:
    """Return durations exactly; None without any. `durations_in` reads them again."""
    return as_content(durations) | exact_content(durations) if durations.count else None


def durations_in(fields: Fields, name: str) -> Durations:
    """Return what `durations_content` wrote. Raises ValueError, naming the field."""
    return merged(()) if fields.is_null(name) else durations_from(fields, name)


def flat_rows(table: ModuleTable) -> list[dict[str, Any]]:
    """Return the rows of the table with equal keys, for pandas and CSV. None is unknown."""
    return [_flat(row) for row in table]


def _flat(row: ModuleRow) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: getattr(row, name) for name in ("path", "type", "modules", "depth", "calls")
    }
    for name in _TIMES:
        durations: Durations | None = getattr(row, name)
        for figure in _FIGURES:
            found[f"{name}_{figure}"] = _figure(durations, figure)
    for name in ("total", "total_self", "error", "share", "self_share"):
        found[name] = getattr(row, name)
    found["bottleneck"] = row.bottleneck.bound if row.bottleneck else None
    found["compiled"] = row.is_compiled
    return found


def _figure(durations: Durations | None, figure: str) -> float | None:
    if durations is None:
        return 0 if figure == "count" else None
    value: float = getattr(durations, "median" if figure == "p50" else figure)
    return value


def _row(row: ModuleRow) -> dict[str, Any]:
    return {
        "path": row.path,
        "type": row.type,
        "modules": row.modules,
        "depth": row.depth,
        "calls": row.calls,
        **{f"{name}_per_call_s": finite(row.per_call(name)) for name in _TIMES},
        "total_s": finite(row.total),
        "total_self_s": finite(row.total_self),
        "error_s": finite(row.error),
        "share": finite(row.share),
        "self_share": finite(row.self_share),
        "bottleneck": None if row.bottleneck is None else row.bottleneck.bound,
    }


def _module(record: ModuleRecord) -> dict[str, Any]:
    return {
        **{name: getattr(record, name) for name in _MODULE_PLAIN},
        "parent": record.parent,
        **{column: _times(getattr(record, column)) for column in COLUMNS},
        "checks": checks_content(record.checks),
    }


def _times(times: Times | None) -> dict[str, Any] | None:
    if times is None:
        return None
    return {
        "host": durations_content(times.host),
        "device": None if times.device is None else durations_content(times.device),
        "host_total_s": times.host_total,
        "device_total_s": times.device_total,
        "host_error_s": times.host_error,
        "device_error_s": times.device_error,
    }


def _columns_from(module: Fields) -> dict[str, Any]:
    return {column: _times_from(module, column) for column in COLUMNS}


def _times_from(module: Fields, column: str) -> Times | None:
    if module.is_null(column):
        return None
    times = module.object(column)
    return Times(
        host=durations_in(times, "host"),
        device=None if times.is_null("device") else durations_in(times, "device"),
        host_total=times.number("host_total_s"),
        device_total=times.optional_number("device_total_s"),
        host_error=times.number("host_error_s"),
        device_error=times.number("device_error_s"),
    )

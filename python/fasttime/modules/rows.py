# SPDX-License-Identifier: BSD-3-Clause
"""The rows of a table of modules: one per module, or one per type of module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..bottleneck import Bottleneck
from ..reports.bottleneck import BacklogChecks, judge
from ..reports.durations import Durations, merged
from .records import ModuleRecord, ModuleRecords, Times

COLUMNS = ("forward", "forward_self", "backward", "backward_self", "recompute", "recompute_self")
_SELF = ("forward_self", "backward_self", "recompute_self")


@dataclass(frozen=True, kw_only=True)
class ModuleRow:
    """The times of one module, or of all modules of one type. Durations are in seconds.

    `forward`, `backward` and `recompute` include the modules inside. `forward_self`,
    `backward_self` and `recompute_self` exclude them. Each is a `Durations` of device times if
    there are any, and of host times otherwise. Each is None if nothing was timed there.

    Attributes:
        path: the module's path, as in ``named_modules()``. Empty for the model itself, and for a
            row of `ModuleTable.by_type`.
        type: the name of the module's class.
        modules: how many modules the row stands for; 1 except in `ModuleTable.by_type`.
        depth: how many modules with times contain this module.
        calls: how many forward calls were timed, without recomputation.
        forward, forward_self: the forward calls.
        backward, backward_self: the backward passes. The backward pass may visit a module several
            times per call. Each visit is one duration.
        recompute, recompute_self: forward calls that activation checkpointing repeats during the
            backward pass. `backward` excludes them.
        host_forward, host_backward, host_recompute: the host times of the same calls.
        total: the seconds of all columns over all steps, including the modules inside. An estimate
            if only a part of the steps was timed.
        total_self: the same without the modules inside.
        error: the standard error of `total`; 0.0 if every step was timed.
        share: the part of the time of the whole model, including the modules inside. In a table by
            type, the share leaves out the modules inside, because types would overlap otherwise.
            None without times of the kind that the model has.
        self_share: the part of the time of the whole model, without the modules inside. All rows
            add up to 1.0.
        bottleneck: whether the host or the device limits the module; None without device times.
        is_compiled: whether torch.compile has compiled the module, so it is timed as one region.
    """

    path: str
    type: str
    modules: int
    depth: int
    calls: int
    forward: Durations | None
    forward_self: Durations | None
    backward: Durations | None
    backward_self: Durations | None
    recompute: Durations | None
    recompute_self: Durations | None
    host_forward: Durations | None
    host_backward: Durations | None
    host_recompute: Durations | None
    total: float
    total_self: float
    error: float
    share: float | None
    self_share: float | None
    bottleneck: Bottleneck | None
    is_compiled: bool = field(default=False)

    def per_call(self, column: str) -> float | None:
        """Return the seconds of a column per timed call, such as ``per_call("backward_self")``.

        None if nothing was timed there. A backward pass can visit a module several times per call,
        so this differs from the mean of the durations.
        """
        durations: Durations | None = getattr(self, column)
        if durations is None or not durations.count:
            return None
        mean = durations.total / (self.calls or durations.count)
        # Each duration is rounded, so a module without time of its own can have a little less than
        # the modules inside.
        return 0.0 if -1e-9 < mean < 0 else mean


def rows_by_module(records: ModuleRecords) -> tuple[ModuleRow, ...]:
    """Return one row per module with times, in the order of the model."""
    whole = _Whole(records)
    inside: list[int] = []  # the depth of a module inside each module
    rows = []
    for record in records.modules:
        depth = 0 if record.parent is None else inside[record.parent]
        if _is_timed(record):
            rows.append(_row([record], whole, record.path, depth))
            depth += 1
        inside.append(depth)
    return tuple(rows)


def rows_by_type(records: ModuleRecords) -> tuple[ModuleRow, ...]:
    """Return one row per type with times, in the order in which the types first appear."""
    whole = _Whole(records)
    by_type: dict[str, list[ModuleRecord]] = {}
    for record in records.modules:
        if _is_timed(record):
            by_type.setdefault(record.type, []).append(record)
    return tuple(_row(same, whole, None, 0) for same in by_type.values())


def _is_timed(record: ModuleRecord) -> bool:
    return any(getattr(record, column) is not None for column in COLUMNS)


class _Whole:
    """The time of the whole model: the self times of all modules, of one kind."""

    def __init__(self, records: ModuleRecords) -> None:
        columns = [times for record in records.modules for times in _times(record, _SELF)]
        self.on_device = any(times.device_total is not None for times in columns)
        self.seconds = sum(self.of(columns))

    def of(self, columns: Iterable[Times]) -> Iterable[float]:
        """Yield the totals of the kind of time that the whole has."""
        for times in columns:
            total = times.device_total if self.on_device else times.host_total
            if total is not None:
                yield total

    def share(self, columns: Sequence[Times]) -> float | None:
        """Return a part of the whole; None if no column has times of its kind."""
        totals = list(self.of(columns))
        if not totals:
            return None
        return sum(totals) / self.seconds if self.seconds else 0.0


def _row(records: Sequence[ModuleRecord], whole: _Whole, path: str | None, depth: int) -> ModuleRow:
    """Return the row of one module. Without a path: of all modules of a type."""
    own = [times for record in records for times in _times(record, _SELF)]
    total = [
        times
        for record in records
        for times in _times(record, ("forward", "backward", "recompute"))
    ]
    checks = BacklogChecks(*map(sum, zip(*(record.checks for record in records), strict=True)))
    return ModuleRow(
        path=path or "",
        type=records[0].type,
        modules=len(records),
        depth=depth,
        calls=sum(record.calls for record in records),
        **{column: _durations(records, column) for column in COLUMNS},
        host_forward=_durations(records, "forward", on_host=True),
        host_backward=_durations(records, "backward", on_host=True),
        host_recompute=_durations(records, "recompute", on_host=True),
        total=sum(times.total for times in total),
        total_self=sum(times.total for times in own),
        # The columns of a module come from the same steps, so their errors add up.
        error=sum(times.error for times in total),
        share=whole.share(own if path is None else total),
        self_share=whole.share(own),
        bottleneck=judge(checks, sum(record.timed for record in records)),
        is_compiled=any(record.is_compiled for record in records),
    )


def _times(record: ModuleRecord, columns: Iterable[str]) -> list[Times]:
    """Return the columns that have times."""
    found = (getattr(record, column) for column in columns)
    return [times for times in found if times is not None]


def _durations(
    records: Sequence[ModuleRecord], column: str, *, on_host: bool = False
) -> Durations | None:
    """Return a column of several modules together; None if nothing was timed there."""
    found = [times for record in records for times in _times(record, [column])]
    if not found:
        return None
    if on_host or not all(times.device for times in found):
        return merged(times.host for times in found)
    return merged(times.device for times in found)

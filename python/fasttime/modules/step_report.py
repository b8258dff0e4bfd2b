# SPDX-License-Identifier: BSD-3-Clause
"""Where the time of a step goes: data, forward, loss, backward, optimizer and the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..bottleneck import Bottleneck
from ..console import line, warning_lines
from ..console import table as rich_table
from ..documents import STEP_REPORT, VERSIONS, Fields
from ..reports.bottleneck import judge
from ..reports.durations import Durations
from ..reports.formats.document import checks_content, checks_from
from ..reports.formats.durations_document import finite
from ..tabular import TabularResult
from ..text import format_count, format_seconds
from ..timing_warning import TimingWarning
from .records import PARTS, StepPart, StepRecords
from .step_limit import StepLimit, step_limit
from .table_document import durations_content, durations_in, warnings_from

if TYPE_CHECKING:
    from rich.console import RenderableType

_UNKNOWN = "-"
_STEP = "step"

# Fields whose key and value in the file are the same as in the records, and how each is read.
_PLAIN: dict[str, Callable[[Fields, str], Any]] = {
    "count": Fields.count,
    "ended_by": Fields.text,
    "pending": Fields.count,
    "backend": Fields.text,
    "date": Fields.text,
}


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """One part of the steps.

    Attributes:
        name: ``data wait``, ``forward``, ``loss``, ``backward``, ``gradient wait``, ``optimizer``,
            ``other`` or ``idle device``.
        host: one host time per step, in seconds.
        device: one device time per step; None without device times.
        host_share: the part of the host time of all steps.
        device_share: the part of the device time of all steps; None without device times.
        bottleneck: whether the host or the device limits this part; None without device times.
    """

    name: str
    host: Durations
    device: Durations | None
    host_share: float
    device_share: float | None
    bottleneck: Bottleneck | None


class StepReport(TabularResult):
    """Where the time of a training step goes. ``handle.steps()`` makes it.

    Iterating yields one `StepRow` per part, and ``steps["backward"]`` is the row of a part. The
    host column and the device column each add up to the step. On the device, the data wait is 0 and
    counts as ``idle device``.

        steps = handle.steps()
        print(steps)
        print(steps.conclusion)

    Args:
        records: what the handle counted.
    """

    _format = STEP_REPORT

    def __init__(self, records: StepRecords) -> None:
        self._counted = records

    @property
    def records(self) -> StepRecords:
        """What the handle counted."""
        return self._counted

    @property
    def count(self) -> int:
        """How many steps ended."""
        return self._counted.count

    @property
    def host(self) -> Durations:
        """One host time per step, in seconds."""
        return self._counted.host

    @property
    def device(self) -> Durations | None:
        """One device time per step, in seconds; None without device times."""
        return self._counted.device

    @cached_property
    def rows(self) -> tuple[StepRow, ...]:
        """All parts, in the order in which a step has them."""
        host, device = self.host.total, self.device.total if self.device else 0.0
        return tuple(
            StepRow(
                name=part.name,
                host=part.host,
                device=part.device,
                host_share=part.host.total / host if host else 0.0,
                device_share=part.device.total / device if part.device and device else None,
                bottleneck=judge(part.checks, part.timed),
            )
            for part in self._counted.parts
        )

    def __iter__(self) -> Iterator[StepRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> StepRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no part {name!r}; a step has {', '.join(row.name for row in self.rows)}")

    @cached_property
    def limit(self) -> StepLimit:
        """What limits the step, how sure that is, and which part of the step each limit takes."""
        return step_limit(self._counted)

    @property
    def conclusion(self) -> str:
        """One sentence: what limits the step, and how sure that is."""
        return self.limit.sentence

    @cached_property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """Reasons to distrust the numbers: the warnings of the handle, and ``pending``."""
        records = self._counted
        found = list(records.warnings)
        if records.pending and all(warning.kind != "pending" for warning in found):
            found.append(
                TimingWarning(
                    "pending",
                    f"The device had not finished {format_count(records.pending, 'part')} of "
                    "steps, so the report lacks these steps. Call steps(wait=True) to wait for "
                    "them.",
                )
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict that ``json.dumps`` accepts. Keys name their units."""
        records = self._counted
        return {
            "format": STEP_REPORT,
            "version": VERSIONS[STEP_REPORT],
            **{name: getattr(records, name) for name in _PLAIN},
            "duration_s": finite(records.duration),
            "conclusion": self.conclusion,
            "limit": self.limit.limit,
            "certainty": self.limit.certainty,
            "limit_shares": dict(self.limit.shares),
            "host": durations_content(records.host),
            "device": _or_null(records.device),
            "parts": [
                {
                    "name": part.name,
                    "host_share": finite(row.host_share),
                    "device_share": finite(row.device_share),
                    "bottleneck": None if row.bottleneck is None else row.bottleneck.bound,
                    "host": durations_content(part.host),
                    "device": _or_null(part.device),
                    "has_device": part.device is not None,
                    "timed": part.timed,
                    "checks": checks_content(part.checks),
                }
                for part, row in zip(records.parts, self.rows, strict=True)
            ],
            "has_device": records.device is not None,
            "handle_warnings": [warning.to_dict() for warning in records.warnings],
            "warnings": [warning.to_dict() for warning in self.warnings],
        }

    @classmethod
    def _from_fields(cls, fields: Fields) -> StepReport:
        """Return the report that was saved as this document. Raises ValueError."""
        return cls(
            StepRecords(
                **{name: read(fields, name) for name, read in _PLAIN.items()},
                host=durations_in(fields, "host"),
                device=_device_in(fields),
                parts=tuple(
                    StepPart(
                        name=part.choice("name", PARTS),
                        host=durations_in(part, "host"),
                        device=_device_in(part),
                        checks=checks_from(part.object("checks")),
                        timed=part.count("timed"),
                    )
                    for part in fields.objects("parts")
                ),
                duration=fields.number("duration_s"),
                warnings=warnings_from(fields, "handle_warnings"),
            )
        )

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with one row per part and one for the step, the last.

        Columns: ``part``, ``host`` and ``device``, the means per step in seconds; ``host_share``,
        ``device_share`` and ``bottleneck``. An unknown value is missing. Raises ImportError without
        pandas.
        """
        return super().to_pandas()

    def _records(self) -> list[dict[str, Any]]:
        rows = [
            {
                "part": row.name,
                "host": row.host.mean,
                "device": row.device.mean if row.device else None,
                "host_share": row.host_share,
                "device_share": row.device_share,
                "bottleneck": row.bottleneck.bound if row.bottleneck else None,
            }
            for row in self.rows
        ]
        whole = {
            "part": _STEP,
            "host": self.host.mean,
            "device": self.device.mean if self.device else None,
            "host_share": 1.0,
            "device_share": 1.0 if self.device else None,
            "bottleneck": None,
        }
        return [*rows, whole]

    def _renderable(self, width: int) -> RenderableType:
        from rich.console import Group

        rows = rich_table(self._column_headings(), left=self._text_columns())
        for cells in self._rows():
            rows.add_row(*(line(cell) for cell in cells))
        return Group(
            line(self._title()),
            *([rows] if self.count else []),
            line(self.conclusion, "bold"),
            *warning_lines(self.warnings),
        )

    def _notes(self) -> list[str]:
        return [self.conclusion]

    def _title(self) -> str:
        return f"{format_count(self.count, 'step')}: mean time per step"

    def _column_headings(self) -> list[str]:
        on_device = ["device", "share", "bottleneck"] if self.device else []
        return ["part", "host", "share", *on_device]

    def _text_columns(self) -> tuple[int, ...]:
        return (0, 5) if self.device else (0,)

    def _rows(self) -> list[tuple[str, ...]]:
        """Return a row per part with any time, and the row of the whole step."""
        shown = [
            (
                row.name,
                *self._figures(row.host, row.device, row.host_share, row.device_share),
                *([row.bottleneck.bound if row.bottleneck else _UNKNOWN] if self.device else []),
            )
            for row in self.rows
            if row.host.total or (row.device and row.device.total)
        ]
        whole = self._figures(self.host, self.device, 1.0, 1.0)
        return [*shown, (_STEP, *whole, *([_UNKNOWN] if self.device else []))]

    def _figures(
        self,
        host: Durations,
        device: Durations | None,
        host_share: float,
        device_share: float | None,
    ) -> list[str]:
        cells = [format_seconds(host.mean), f"{host_share:.1%}"]
        if self.device is None:
            return cells
        if device is None or device_share is None:
            return [*cells, _UNKNOWN, _UNKNOWN]
        return [*cells, format_seconds(device.mean), f"{device_share:.1%}"]


def _or_null(durations: Durations | None) -> dict[str, Any] | None:
    return None if durations is None else durations_content(durations)


def _device_in(fields: Fields) -> Durations | None:
    return durations_in(fields, "device") if fields.flag("has_device") else None

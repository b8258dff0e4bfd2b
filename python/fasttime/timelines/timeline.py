# SPDX-License-Identifier: BSD-3-Clause
"""The timeline: everything recorded in an interval."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..console import line, warning_lines
from ..html.elements import escaped, warning_list
from ..result import Result
from ..text import format_count, format_seconds
from . import export, loaded, table
from .columns import Columns, Spans
from .span import Span
from .warnings import warnings_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from ..documents import Fields
    from ..timing_warning import TimingWarning

_MOST_DRAWN_IN_A_NOTEBOOK = 200  # scopes; more take seconds to draw, and few names have room


@dataclass(frozen=True, eq=False)
class _Contents:
    columns: Columns
    thread_names: dict[int, str]
    begin_ns: int
    end_ns: int
    dropped: int
    pending: int
    waited: bool


class Timeline(Result):
    """What host and device did in an interval, on one clock; `record_timeline` makes it.

    A timeline does not need its recorder any more. Times are seconds on the clock of
    ``time.perf_counter``. Two timelines are equal if they have the same content. ``print`` shows a
    table with one row per path. A notebook shows the picture if the timeline is short.

    A timeline is empty while it is being recorded. Until the end of the ``with`` block, everything
    but printing raises RuntimeError.
    """

    def __init__(
        self,
        columns: Columns,
        thread_names: Mapping[int, str] | None = None,
        *,
        begin_ns: int | None = None,
        end_ns: int | None = None,
        dropped: int = 0,
        pending: int = 0,
        waited: bool = False,
    ) -> None:
        first_ns, last_ns = _extent(columns)
        begin_ns = first_ns if begin_ns is None else begin_ns
        self._contents: _Contents | None = _Contents(
            columns=columns,
            thread_names=dict(thread_names or {}),
            begin_ns=begin_ns,
            end_ns=max(last_ns, begin_ns if end_ns is None else end_ns),
            dropped=dropped,
            pending=pending,
            waited=waited,
        )

    @classmethod
    def from_spans(cls, spans: Iterable[Span]) -> Timeline:
        """Return a timeline of any spans, such as some spans of another timeline."""
        spans = list(spans)
        names = {span.thread: span.thread_name for span in spans if span.thread_name is not None}
        return cls(Columns.of_spans(spans), names)

    @classmethod
    def _from_fields(cls, fields: Fields) -> Timeline:
        """Return the timeline that was saved as this document. Raises ValueError."""
        return cls(**loaded.contents(fields))

    @classmethod
    def _being_recorded(cls) -> Timeline:
        """Return the timeline that a ``with`` block gets before there is anything to read."""
        timeline = cls.__new__(cls)
        timeline._contents = None
        return timeline

    def _complete(self, recorded: Timeline) -> None:
        """Take over what was recorded, once the recording has stopped."""
        self._contents = recorded._contents

    @property
    def _known(self) -> _Contents:
        if self._contents is None:
            raise RuntimeError(
                "this timeline is still being recorded; read it after the `with` block or after "
                "stop()"
            )
        return self._contents

    @property
    def columns(self) -> Columns:
        """The spans as numpy arrays, one array per field."""
        return self._known.columns

    @property
    def spans(self) -> Spans:
        """The scopes as a sequence of `Span`, sorted by their begin on the host."""
        return Spans(self._known.columns, self._known.thread_names)

    @property
    def thread_names(self) -> dict[int, str]:
        """The names of the threads that Python knew, by native id."""
        return dict(self._known.thread_names)

    @property
    def begin(self) -> float:
        """When the recording began, in seconds."""
        return self.begin_ns / 1e9

    @property
    def end(self) -> float:
        """When the recording stopped or the device finished its last scope, in seconds."""
        return self.end_ns / 1e9

    @property
    def begin_ns(self) -> int:
        """`begin` in whole nanoseconds."""
        return self._known.begin_ns

    @property
    def end_ns(self) -> int:
        """`end` in whole nanoseconds."""
        return self._known.end_ns

    @property
    def duration(self) -> float:
        """Seconds from begin to end."""
        return (self.end_ns - self.begin_ns) / 1e9

    @property
    def dropped(self) -> int:
        """How many scopes were not kept because `max_scopes` was reached; the newest scopes."""
        return self._known.dropped

    @property
    def pending(self) -> int:
        """How many of the recorder's scopes the device had not finished when recording stopped."""
        return self._known.pending

    @property
    def waited(self) -> bool:
        """Whether the recording waited for the device when it stopped."""
        return self._known.waited

    @property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """What the timeline lacks; empty if all is well.

        The kinds are:

        * ``dropped``: scopes were not kept because `max_scopes` was reached
        * ``unfinished``: the device had not finished some scopes
        * ``never_ended``: some scopes have no end on the host
        * ``unplaced``: the clocks of host and device could not be compared
        * ``captured``, ``failed``, ``no_room``, ``host_only``: some scopes have no device time; see
          `Sample.status`
        """
        known = self._known
        return warnings_of(known.columns, known.dropped, known.pending, known.waited)

    def __len__(self) -> int:
        return len(self.columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timeline):
            return NotImplemented
        ours, theirs = self._contents, other._contents
        if ours is None or theirs is None:
            return self is other
        return _facts(ours) == _facts(theirs) and ours.columns.equals(theirs.columns)

    __hash__ = None  # type: ignore[assignment]  # like other values that compare by content

    def to_dict(self) -> dict[str, Any]:
        """Return the timeline as a dict that ``json.dumps`` accepts.

        ``spans`` is a list with one dict per scope, with the fields of `Span` as keys.
        """
        known = self._known
        return {
            "begin": self.begin,
            "end": self.end,
            "dropped": known.dropped,
            "pending": known.pending,
            "waited": known.waited,
            "thread_names": {str(thread): name for thread, name in known.thread_names.items()},
            "warnings": [warning.to_dict() for warning in self.warnings],
            "spans": [span._asdict() for span in self.spans],
        }

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with one row per scope and the fields of `Span` as columns.

        Values that are None in a `Span` are missing in the frame. Raises ImportError without
        pandas.
        """
        return export.to_pandas(self)

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the timeline to a file. The suffix decides the format.

        * ``.json``, ``.json.gz``: a trace for https://ui.perfetto.dev or ``chrome://tracing``.
          `fasttime.load` gives the timeline back, exact to the nanosecond.
        * ``.csv``: one line per scope, with the fields of `Span` as columns.
        * ``.html``: a page with a picture of a short timeline, otherwise with a table.
        * ``.svg``, ``.png``, ``.pdf``: a picture, with the `options` of `plot`.

        The file appears only when all of it is written. If the disk is full, an existing file stays
        as it was. Raises ValueError for another suffix and for unknown options, OSError if the file
        cannot be written, and ImportError for a picture without matplotlib.
        """
        export.save(self, path, options)

    def plot(
        self,
        *,
        explain: str | None = None,
        waits: Collection[str] = (),
        begin: float | None = None,
        end: float | None = None,
        title: str | None = None,
        dark: bool = False,
    ) -> Figure:
        """Draw the host above and the device below, and return the matplotlib Figure.

        Args:
            explain: the path or name of a scope. Its first pass gets brackets, which show the times
                that a naive clock, synchronising and events would measure.
            waits: a list of paths or names of scopes in which the host only waits, such as a scope
                around ``synchronize()``. They are hatched.
            begin: where the picture begins, in seconds after `Timeline.begin`. The default is the
                first scope.
            end: where the picture ends, in seconds after `Timeline.begin`. The default is the last
                scope.
            title: the text above the picture.
            dark: use colours for a dark background.

        Scopes are drawn below their parents. Each path has its own colour, the same on host and
        device and in every picture of the timeline. Beyond 21 paths, colours repeat. Dotted lines
        lead from where the host began a scope to where the device began it. Hatching on a stream
        marks the time between two scopes: the device was idle, or worked outside any scope.

        Raises ImportError without matplotlib. Raises ValueError if the interval is empty, has more
        than 5,000 scopes or lacks the scope `explain`, or if the timeline lacks one of `waits`.
        Raises TypeError if `waits` is a single string.
        """
        from .picture.figure import plot

        return plot(
            self, explain=explain, waits=waits, begin=begin, end=end, title=title, dark=dark
        )

    def _renderable(self, width: int) -> RenderableType:
        from rich.console import Group

        if self._contents is None:
            return line(_summary(None))
        columns = self.columns
        tables = [table.as_renderable(columns, width)] if len(columns) else []
        return Group(line(_summary(self._contents)), *tables, *warning_lines(self.warnings))

    def _html(self) -> str:
        summary = f"<p>{escaped(_summary(self._contents))}</p>"
        if self._contents is None:
            return summary
        columns = self.columns
        picture = ""
        if 0 < len(columns) <= _MOST_DRAWN_IN_A_NOTEBOOK:
            picture = export.picture_html(self)
        shown = picture or (table.as_html(columns) if len(columns) else "")
        return f"{summary}{shown}{warning_list(self.warnings)}"


def _facts(contents: _Contents) -> tuple[object, ...]:
    return (
        contents.thread_names,
        contents.begin_ns,
        contents.end_ns,
        contents.dropped,
        contents.pending,
        contents.waited,
    )


def _summary(contents: _Contents | None) -> str:
    """Say in one line what was recorded."""
    if contents is None:
        return "Timeline, being recorded"
    columns = contents.columns
    on_device = columns.device >= 0
    streams = set(zip(columns.device[on_device], columns.stream[on_device], strict=True))
    return (
        f"Timeline: {format_count(len(columns), 'scope')} in "
        f"{format_seconds((contents.end_ns - contents.begin_ns) / 1e9)}, "
        f"{int(columns.is_placed.sum()):,} placed on a device, "
        f"{format_count(len(np.unique(columns.thread)), 'thread')}, "
        f"{format_count(len(streams), 'stream')}"
    )


def _extent(columns: Columns) -> tuple[int, int]:
    """The first and the last moment of any span, in ns; (0, 0) without spans."""
    if len(columns) == 0:
        return 0, 0
    first, last = int(columns.host_begin_ns.min()), int(columns.host_begin_ns.max())
    for is_known, begin_ns, end_ns in (
        (columns.is_ended, columns.host_begin_ns, columns.host_end_ns),
        (columns.is_placed, columns.device_begin_ns, columns.device_end_ns),
    ):
        first = int(begin_ns.min(initial=first, where=is_known))
        last = int(end_ns.max(initial=last, where=is_known))
    return first, last

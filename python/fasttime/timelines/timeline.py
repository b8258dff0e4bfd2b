# SPDX-License-Identifier: BSD-3-Clause
"""The timeline: what was recorded of an interval."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..text import for_stdout, format_seconds
from . import export as tables
from . import saving
from .columns import Columns, Spans
from .span import Span

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Timeline:
    """What host and device did in an interval, on one clock; `record_timeline` makes it.

    A plain value: it goes on without its recorder. Times are seconds on the clock of
    ``time.perf_counter``.
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
    ) -> None:
        self._columns: Columns | None = None
        self._fill(columns, dict(thread_names or {}), begin_ns, end_ns, dropped, pending)

    @classmethod
    def from_spans(cls, spans: Iterable[Span]) -> Timeline:
        """Return a timeline of spans from anywhere, such as some of another timeline's."""
        spans = list(spans)
        names = {span.thread: span.thread_name for span in spans if span.thread_name is not None}
        return cls(Columns.of_spans(spans), names)

    @classmethod
    def _unfilled(cls) -> Timeline:
        timeline = cls.__new__(cls)
        timeline._columns = None
        return timeline

    def _fill(
        self,
        columns: Columns,
        thread_names: dict[int, str],
        begin_ns: int | None,
        end_ns: int | None,
        dropped: int,
        pending: int,
        *,
        was_awaited: bool = False,
    ) -> None:
        first, last = _extent(columns)
        self._thread_names = thread_names
        self._begin_ns = first if begin_ns is None else begin_ns
        self._end_ns = max(last, self._begin_ns if end_ns is None else end_ns)
        self._dropped = dropped
        self._pending = pending
        self._was_awaited = was_awaited
        self._columns = columns

    @property
    def columns(self) -> Columns:
        """The spans by columns, as numpy arrays. Raises RuntimeError while being recorded."""
        if self._columns is None:
            raise RuntimeError(
                "this timeline is still being recorded; it can be read after the `with` block, "
                "or after stop()"
            )
        return self._columns

    @property
    def spans(self) -> Spans:
        """The scopes, as they began on the host: a sequence of `Span`."""
        return Spans(self.columns, self._thread_names)

    @property
    def thread_names(self) -> dict[int, str]:
        """The names of threads by native id, as far as they were known."""
        return dict(self._thread_names) if self.columns is not None else {}

    @property
    def begin(self) -> float:
        """When the recording began, in seconds."""
        return self.begin_ns / 1e9

    @property
    def end(self) -> float:
        """When it was stopped or the device had finished its last scope, whichever was later."""
        return self.end_ns / 1e9

    @property
    def begin_ns(self) -> int:
        """`begin` in whole nanoseconds."""
        return self._begin_ns if self.columns is not None else 0

    @property
    def end_ns(self) -> int:
        """`end` in whole nanoseconds."""
        return self._end_ns if self.columns is not None else 0

    @property
    def duration(self) -> float:
        """Seconds from begin to end."""
        return (self.end_ns - self.begin_ns) / 1e9

    @property
    def dropped(self) -> int:
        """How many scopes were not kept, the newest ones, as `max_scopes` was reached."""
        return self._dropped if self.columns is not None else 0

    @property
    def pending(self) -> int:
        """How many of the recorder's scopes the device had not finished when it was taken."""
        return self._pending if self.columns is not None else 0

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        if self._columns is None:
            return "<fasttime.Timeline, being recorded>"
        columns = self._columns
        placed = int(columns.is_placed.sum())
        threads = len(np.unique(columns.thread))
        on_device = columns.device >= 0
        streams = len(set(zip(columns.device[on_device], columns.stream[on_device], strict=True)))
        facts = [
            f"{_count(len(columns), 'scope')} in {format_seconds(self.duration)}",
            f"{placed:,} placed on a device",
            _count(threads, "thread"),
            _count(streams, "stream"),
        ]
        if self.dropped:
            facts.append(f"{self.dropped:,} more not kept: raise max_scopes")
        if self.pending:
            mend = "raise timeout" if self._was_awaited else "stop(wait=True) waits for them"
            facts.append(f"{self.pending:,} more pending: {mend}")
        return for_stdout(f"<fasttime.Timeline: {', '.join(facts)}>")

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dict a scope, with the fields of `Span` as keys."""
        return tables.to_dicts(self)

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with one row a scope and the fields of `Span` as columns.

        What is None in a `Span` is missing there. Raises ImportError without pandas.
        """
        return tables.to_pandas(self)

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the timeline to a file, in the format that its suffix names.

        * ``.json``, ``.json.gz``: a trace for https://ui.perfetto.dev or ``chrome://tracing``
        * ``.csv``: one line a scope, with the fields of `Span` as columns
        * ``.svg``, ``.png``, ``.pdf``: a picture, with the `options` of `plot`

        An existing file is replaced, and only once all is written: a full disk leaves the old one
        and nothing else. Raises ValueError for another suffix and for options that the format does
        not know, OSError where the file cannot be written, ImportError for a picture without
        matplotlib.
        """
        saving.save(self, path, options)

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
        """Draw the host above, the device below, and return the matplotlib Figure.

        Args:
            explain: the path or name of a scope; its first pass shown gets brackets that say what
                the naive clock, synchronising and events would each have measured.
            waits: a list of the paths or names of scopes in which the host does nothing but wait,
                such as one around a ``synchronize()``; they are hatched.
            begin: where the picture begins, in seconds after `Timeline.begin`; its first scope
                where not given.
            end: where it ends, likewise.
            title: what stands above it.
            dark: for a dark background.

        Scopes are drawn inside their parents' time, below them, and one place in the code has one
        colour on both sides; dotted lines lead from where the host began a scope to where the
        device did. Hatching on a stream marks where nothing timed ran between two scopes: the
        device was idle there, or at work that no scope was around. Raises ImportError
        without matplotlib, ValueError where nothing lies in the interval, for more scopes than can
        be seen (5,000), for an `explain` that is not among them and for `waits` that the timeline
        does not have, TypeError for `waits` that are one string.
        """
        from .picture.figure import plot

        return plot(
            self, explain=explain, waits=waits, begin=begin, end=end, title=title, dark=dark
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _extent(columns: Columns) -> tuple[int, int]:
    """The first and the last moment of any span, in ns; (0, 0) without one."""
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

# SPDX-License-Identifier: BSD-3-Clause
"""Spans by columns: a million of them take 80 MB so, and ten times that as tuples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
import numpy.typing as npt

from ..sample import STATUSES
from .span import Span

_PIECE = 4096  # spans


class Site(NamedTuple):
    """What the spans of one place in the code have in common."""

    path: str
    name: str
    parent: str | None
    depth: int


@dataclass(frozen=True, eq=False)
class Columns:
    """One array a field, all equally long, in the order in which the scopes began on the host.

    Times are whole nanoseconds on the clock of ``time.perf_counter``. `site` and `status` are
    positions in `sites` and `STATUSES`; `device` is -1 where a span is on none. `device_begin_ns`,
    `device_end_ns` and `uncertainty_ns` mean nothing unless `is_placed`, `host_end_ns` unless
    `is_ended`.
    """

    sites: Sequence[Site]
    site: npt.NDArray[np.int32]
    status: npt.NDArray[np.uint8]
    thread: npt.NDArray[np.uint64]
    device: npt.NDArray[np.int32]
    stream: npt.NDArray[np.uint64]
    host_begin_ns: npt.NDArray[np.int64]
    host_end_ns: npt.NDArray[np.int64]
    is_ended: npt.NDArray[np.bool_]
    device_begin_ns: npt.NDArray[np.int64]
    device_end_ns: npt.NDArray[np.int64]
    is_placed: npt.NDArray[np.bool_]
    uncertainty_ns: npt.NDArray[np.int64]
    shares_boundary: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.site)

    def __getitem__(self, rows: Any) -> Columns:
        """Return some of the spans: those that a slice, a mask or positions pick."""
        return Columns(self.sites, *(getattr(self, field.name)[rows] for field in fields(self)[1:]))

    def depth(self) -> npt.NDArray[np.int32]:
        """Return in how many scopes each span is nested."""
        depths = np.array([site.depth for site in self.sites], dtype=np.int32)
        return depths[self.site] if len(self) else np.zeros(0, dtype=np.int32)

    def in_order(self) -> Columns:
        """Return the same spans as they began, parents before their children."""
        return self[np.lexsort((self.depth(), self.host_begin_ns))]

    @classmethod
    def of_spans(cls, spans: Iterable[Span]) -> Columns:
        """Return the columns of spans from anywhere."""
        sites: dict[Site, int] = {}
        rows = [
            (
                sites.setdefault(Site(s.path, s.name, s.parent, s.depth), len(sites)),
                STATUSES.index(s.status),
                s.thread,
                -1 if s.device is None else s.device,
                s.stream or 0,
                _ns(s.host_begin),
                _ns(s.host_end),
                s.host_end is not None,
                _ns(s.device_begin),
                _ns(s.device_end),
                s.device_begin is not None and s.device_end is not None,
                _ns(s.uncertainty),
                s.shares_boundary,
            )
            for s in spans
        ]
        types: list[npt.DTypeLike] = [np.int32, np.uint8, np.uint64, np.int32, np.uint64]
        types += [np.int64, np.int64, np.bool_, np.int64, np.int64, np.bool_, np.int64, np.bool_]
        columns = zip(*rows, strict=True) if rows else ((),) * len(types)
        arrays = [np.array(c, dtype=t) for c, t in zip(columns, types, strict=True)]
        return cls(list(sites), *arrays).in_order()


_Sliced = TypeVar("_Sliced", Columns, npt.NDArray[np.int64])


def in_pieces(spans: _Sliced) -> Iterator[_Sliced]:
    """Yield the spans some thousands at a time: as Python objects they take ten times the room."""
    for start in range(0, len(spans), _PIECE):
        yield spans[start : start + _PIECE]


def _ns(seconds: float | None) -> int:
    return 0 if seconds is None else round(seconds * 1e9)


class Spans(Sequence[Span]):
    """The spans of a timeline, as they began on the host; each is made when it is asked for."""

    def __init__(self, columns: Columns, thread_names: dict[int, str]) -> None:
        self._columns = columns
        self._thread_names = thread_names

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"<{len(self):,} spans>"

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> Spans: ...
    def __getitem__(self, index: int | slice) -> Span | Spans:
        if isinstance(index, slice):
            return Spans(self._columns[index], self._thread_names)
        index = range(len(self))[index]  # as a list counts, from either end
        return next(iter(Spans(self._columns[index : index + 1], self._thread_names)))

    def __iter__(self) -> Iterator[Span]:
        for some in in_pieces(self._columns):
            yield from self._tuples(some)

    def _tuples(self, some: Columns) -> Iterator[Span]:
        sites, names = some.sites, self._thread_names
        columns = [getattr(some, field.name).tolist() for field in fields(some)[1:]]
        for (
            site,
            status,
            thread,
            device,
            stream,
            host_begin,
            host_end,
            is_ended,
            device_begin,
            device_end,
            is_placed,
            uncertainty,
            shares,
        ) in zip(*columns, strict=True):
            path, name, parent, depth = sites[site]
            yield Span(
                path,
                name,
                parent,
                depth,
                STATUSES[status],
                thread,
                names.get(thread),
                device if device >= 0 else None,
                stream if device >= 0 else None,
                host_begin / 1e9,
                host_end / 1e9 if is_ended else None,
                device_begin / 1e9 if is_placed else None,
                device_end / 1e9 if is_placed else None,
                uncertainty / 1e9 if is_placed else None,
                shares,
            )

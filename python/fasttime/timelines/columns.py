# SPDX-License-Identifier: BSD-3-Clause
"""Spans as columns, one array per field.

A million spans take 80 MB as columns and ten times as much as tuples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from ..sample import STATUSES
from .span import Span

if TYPE_CHECKING:
    from .._C import SpanColumns

CHUNK = 2048  # spans that are Python objects at one time


class Site(NamedTuple):
    """What all spans of one place in the code have in common."""

    path: str
    name: str
    parent: str | None
    depth: int


@dataclass(frozen=True, eq=False)
class Columns:
    """One array per field, all of equal length, sorted by the begin on the host.

    Times are whole nanoseconds on the clock of ``time.perf_counter``. `site` is an index into
    `sites`, `status` an index into `STATUSES`. `device` is -1 without a device. `host_end_ns` has a
    meaning only if `is_ended`. `device_begin_ns`, `device_end_ns` and `uncertainty_ns` have a
    meaning only if `is_placed`.
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

    def __getitem__(self, picked: Any) -> Columns:
        """Return some of the spans, picked by a slice, a mask or indices."""
        arrays = (getattr(self, field.name)[picked] for field in fields(self)[1:])
        return Columns(self.sites, *arrays)

    @property
    def is_in_graph(self) -> npt.NDArray[np.bool_]:
        """Which spans lie inside a CUDA graph. They alone are ok without an end on the host."""
        return ~self.is_ended & np.equal(self.status, STATUSES.index("ok"))

    def depth(self) -> npt.NDArray[np.int32]:
        """Return how many scopes are around each span."""
        depths = np.array([site.depth for site in self.sites], dtype=np.int32)
        return depths[self.site] if len(self) else np.zeros(0, dtype=np.int32)

    def used_sites(self) -> list[int]:
        """Return the indices of the sites that have a span, in ascending order."""
        return np.flatnonzero(np.bincount(self.site, minlength=len(self.sites))).tolist()

    def in_order(self) -> Columns:
        """Return the spans sorted by their begin, parents before their children."""
        return self[np.lexsort((self.depth(), self.host_begin_ns))]

    def equals(self, other: Columns) -> bool:
        """Say whether both hold the same spans, however their sites are numbered."""
        numbers: dict[Site, int] = {}
        found = [_known_values(columns, numbers) for columns in (self, other)]
        return len(self) == len(other) and all(map(np.array_equal, *found))

    @classmethod
    def of_core(cls, taken: SpanColumns, sites: Sequence[Site]) -> Columns:
        """Return the columns of the spans that the core recorded."""
        return cls(
            sites=sites,
            site=taken["site"].astype(np.int32),
            status=taken["status"],
            thread=taken["thread"],
            device=taken["device"],
            stream=taken["stream"],
            host_begin_ns=taken["host_begin_ns"],
            host_end_ns=taken["host_end_ns"],
            is_ended=taken["host_end_ns"] >= taken["host_begin_ns"],
            device_begin_ns=taken["device_begin_ns"],
            device_end_ns=taken["device_end_ns"],
            is_placed=taken["is_placed"],
            uncertainty_ns=taken["uncertainty_ns"],
            shares_boundary=taken["shares_boundary"],
        ).in_order()

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """Return the spans of several recordings of the same interval as one."""
        if len(parts) == 1:
            return parts[0]
        sites = [site for part in parts for site in part.sites]
        starts = np.cumsum([0, *(len(part.sites) for part in parts[:-1])])
        arrays = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)[2:]
        }
        numbers = [part.site + start for part, start in zip(parts, starts, strict=True)]
        return cls(sites, np.concatenate(numbers).astype(np.int32), **arrays).in_order()

    @classmethod
    def of_spans(cls, spans: Sequence[Span]) -> Columns:
        """Return the columns of spans from anywhere."""
        numbers: dict[Site, int] = {}
        site = [
            numbers.setdefault(Site(s.path, s.name, s.parent, s.depth), len(numbers)) for s in spans
        ]
        is_placed = [s.device_begin is not None and s.device_end is not None for s in spans]
        return cls(
            sites=list(numbers),
            site=np.array(site, np.int32),
            status=np.array([STATUSES.index(s.status) for s in spans], np.uint8),
            thread=np.array([s.thread for s in spans], np.uint64),
            device=np.array([-1 if s.device is None else s.device for s in spans], np.int32),
            stream=np.array([s.stream or 0 for s in spans], np.uint64),
            host_begin_ns=_ns(s.host_begin for s in spans),
            host_end_ns=_ns(s.host_end for s in spans),
            is_ended=np.array([s.host_end is not None for s in spans], np.bool_),
            device_begin_ns=_ns(s.device_begin for s in spans),
            device_end_ns=_ns(s.device_end for s in spans),
            is_placed=np.array(is_placed, np.bool_),
            uncertainty_ns=_ns(s.uncertainty for s in spans),
            shares_boundary=np.array([s.shares_boundary for s in spans], np.bool_),
        ).in_order()

    def values(self, thread_names: Mapping[int, str]) -> dict[str, list[Any]]:
        """Return the values of every field of `Span`, one list per field."""
        sites = [self.sites[site] for site in self.site.tolist()]
        has_device = self.device >= 0
        found: dict[str, list[Any]] = {
            "path": [site.path for site in sites],
            "name": [site.name for site in sites],
            "parent": [site.parent for site in sites],
            "depth": [site.depth for site in sites],
            "status": [STATUSES[status] for status in self.status.tolist()],
            "thread": self.thread.tolist(),
            "thread_name": [thread_names.get(thread) for thread in self.thread.tolist()],
            "device": _or_none(self.device, has_device),
            "stream": _or_none(self.stream, has_device),
            "host_begin": (self.host_begin_ns / 1e9).tolist(),
            "host_end": _or_none(self.host_end_ns / 1e9, self.is_ended),
            "device_begin": _or_none(self.device_begin_ns / 1e9, self.is_placed),
            "device_end": _or_none(self.device_end_ns / 1e9, self.is_placed),
            "uncertainty": _or_none(self.uncertainty_ns / 1e9, self.is_placed),
            "shares_boundary": self.shares_boundary.tolist(),
        }
        return found

    def chunks(self) -> Iterator[Columns]:
        """Yield the spans in chunks of bounded size, in order."""
        for start in range(0, len(self), CHUNK):
            yield self[start : start + CHUNK]


def _ns(seconds: Iterable[float | None]) -> npt.NDArray[np.int64]:
    return np.array([0 if s is None else round(s * 1e9) for s in seconds], np.int64)


def _or_none(values: npt.NDArray[Any], is_known: npt.NDArray[np.bool_]) -> list[Any]:
    known = is_known.tolist()
    return [v if k else None for v, k in zip(values.tolist(), known, strict=True)]


def _known_values(columns: Columns, numbers: dict[Site, int]) -> list[npt.NDArray[Any]]:
    """Return the arrays with 0 for all values that have no meaning."""
    site = [numbers.setdefault(site, len(numbers)) for site in columns.sites]
    has_device, is_ended, is_placed = columns.device >= 0, columns.is_ended, columns.is_placed
    return [
        np.array(site, np.int32)[columns.site] if len(columns) else columns.site,
        columns.status,
        columns.thread,
        np.where(has_device, columns.device, -1),
        columns.stream * has_device,
        columns.host_begin_ns,
        is_ended,
        columns.host_end_ns * is_ended,
        is_placed,
        columns.device_begin_ns * is_placed,
        columns.device_end_ns * is_placed,
        columns.uncertainty_ns * is_placed,
        columns.shares_boundary,
    ]


class Spans(Sequence[Span]):
    """The spans of a timeline, sorted by their begin on the host. Each access makes the `Span`."""

    def __init__(self, columns: Columns, thread_names: Mapping[int, str]) -> None:
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
        index = range(len(self))[index]  # negative indices; raises IndexError
        return next(iter(Spans(self._columns[index : index + 1], self._thread_names)))

    def __iter__(self) -> Iterator[Span]:
        for chunk in self._columns.chunks():
            yield from map(Span, *chunk.values(self._thread_names).values())

# SPDX-License-Identifier: BSD-3-Clause
"""Timelines in the Trace Event Format, which Perfetto and chrome://tracing read.

One process is the host, with a track a thread; one is each device, with a track a stream. An arrow
leads from a scope's host part to its device part; it is a property of the two, as events of its own
("s" and "f") would hang on whichever scope lies innermost at that moment. Times are in us after the
recording's begin, with three digits: to the nanosecond, for the first 50 days.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, TextIO

import numpy as np

from ..sample import STATUSES
from .columns import in_pieces
from .span import stream_name
from .tracks import (
    Track,
    device_tracks,
    gathered_begins,
    host_tracks,
)

if TYPE_CHECKING:
    from .columns import Columns
    from .timeline import Timeline

_SEPARATOR = ",\n"
_HOST = 1  # process numbers; those of devices follow


def write(timeline: Timeline, file: TextIO) -> None:
    """Write the trace, a few thousand events at a time.

    The file must write half a surrogate pair, which a name may hold, as its escape.
    """
    common = _Common(timeline.columns)
    facts = {
        "perf_counter_begin_s": timeline.begin,
        "duration_s": timeline.duration,
        "scopes_dropped": timeline.dropped,
        "scopes_pending": timeline.pending,
        "drawn_later_us": {f"cuda:{device}": ns / 1e3 for device, ns in common.late_ns.items()},
    }
    file.write('{"displayTimeUnit":"ns","otherData":' + json.dumps(facts) + ',"traceEvents":[\n')
    separator = ""
    for some in _events(timeline, common):
        file.write(separator + some)
        separator = _SEPARATOR
    file.write("\n]}\n")


def _events(timeline: Timeline, common: _Common) -> Iterator[str]:
    """Yield one event or several as JSON."""
    # Each row has a number, as viewers want them; threads and streams never share one.
    tid = yield from _host(timeline, common)
    yield from _devices(timeline, tid, common)


def _host(timeline: Timeline, common: _Common) -> Generator[str, None, int]:
    """Return the last number that it gave to a row."""
    yield _named("process", _HOST, 0, "host")
    tid = 0
    for track in host_tracks(timeline.columns):
        name = timeline.thread_names.get(track.handle)
        label = f"thread {track.handle}" if name is None else f"{name} ({track.handle})"
        tid += yield from _host_spans(timeline, track, label, tid, common)
    yield from _never_ended(timeline, tid, common)
    return tid + 1


def _devices(timeline: Timeline, tid: int, common: _Common) -> Iterator[str]:
    devices: set[int] = set()
    for track in device_tracks(timeline.columns):
        pid = _HOST + 1 + track.device
        if track.device not in devices:
            devices.add(track.device)
            yield _named("process", pid, 0, f"cuda:{track.device}")
        tid += yield from _device_spans(timeline, track, pid, tid, common)


class _Common:
    """What is found once: names and arguments as JSON, by site, and which spans have an arrow.

    Viewers know none that leads back in time, and complain of it. But an idle device begins at
    once, and so may seem to have begun first, within the uncertainty: then all that it did is drawn
    later by as much (`late_ns`, by device, told in the file), as lengths and gaps are certain. What
    would have to be moved by more has no arrow, as where the host was put off its core.
    """

    def __init__(self, columns: Columns) -> None:
        self.has_arrow = columns.is_ended & columns.is_placed
        early_ns = columns.host_begin_ns - gathered_begins(columns)
        self.late_ns: dict[int, int] = {}
        for device in np.unique(columns.device[self.has_arrow]).tolist():
            of_it = self.has_arrow & (columns.device == device)
            most = int(np.quantile(early_ns[of_it], 0.99, method="higher")) + 1
            late_ns = min(max(most, 0), int(np.median(columns.uncertainty_ns[of_it])))
            self.late_ns[device] = late_ns
            self.has_arrow &= ~of_it | (early_ns < late_ns)
        self.name = [_json(site.name) for site in columns.sites]
        self.path = [_json(site.path) for site in columns.sites]
        self.status = [_json(status) for status in STATUSES]


def _json(value: object) -> str:
    # Characters as they are: Perfetto (52.0) shows most escapes as they are written.
    return json.dumps(value, ensure_ascii=False)


def _named(kind: str, pid: int, tid: int, name: str) -> str:
    return _json(
        {"ph": "M", "name": f"{kind}_name", "pid": pid, "tid": tid, "args": {"name": name}}
    )


def _rows(pid: int, tid: int, label: str, rows: range) -> Iterator[str]:
    for row in rows:
        yield _named("thread", pid, tid + 1 + row, label if row == 0 else f"{label}, row {row + 1}")


def _host_spans(
    timeline: Timeline, track: Track, label: str, tid: int, common: _Common
) -> Generator[str, None, int]:
    """Return how many rows they take."""
    origin_ns = timeline.begin_ns
    row_count = 0
    for piece in track.pieces():
        yield from _rows(_HOST, tid, label, range(row_count, piece.row_count))
        row_count = piece.row_count
        some = timeline.columns[piece.spans]
        yield _SEPARATOR.join(
            f'{{"ph":"X","cat":"host","name":{common.name[site]},'
            f'"ts":{(begin - origin_ns) / 1000:.3f},"dur":{(end - begin) / 1000:.3f},'
            f'"pid":{_HOST},"tid":{tid + 1 + row}{_arrow(index, "out") if has_arrow else ""},'
            f'"args":{{"path":{common.path[site]},"status":{common.status[status]}}}}}'
            for index, begin, end, row, site, status, has_arrow in zip(
                piece.spans.tolist(),
                piece.begins_ns,
                piece.ends_ns,
                piece.rows,
                some.site.tolist(),
                some.status.tolist(),
                common.has_arrow[piece.spans].tolist(),
                strict=True,
            )
        )
    return row_count


def _device_spans(
    timeline: Timeline, track: Track, pid: int, tid: int, common: _Common
) -> Generator[str, None, int]:
    """Return how many rows they take."""
    origin_ns = timeline.begin_ns - common.late_ns.get(track.device, 0)
    label = f"stream {stream_name(track.handle)}"
    row_count = 0
    for piece in track.pieces():
        yield from _rows(pid, tid, label, range(row_count, piece.row_count))
        row_count = piece.row_count
        some = timeline.columns[piece.spans]
        yield _SEPARATOR.join(
            f'{{"ph":"X","cat":"device","name":{common.name[site]},'
            f'"ts":{(begin - origin_ns) / 1000:.3f},"dur":{(end - begin) / 1000:.3f},'
            f'"pid":{pid},"tid":{tid + 1 + row}{_arrow(index, "in") if has_arrow else ""},'
            f'"args":{{"path":{common.path[site]},"uncertainty_us":{uncertainty / 1000:.3f},'
            f'"shares_boundary":{"true" if shares else "false"}}}}}'
            for index, begin, end, row, site, uncertainty, shares, has_arrow in zip(
                piece.spans.tolist(),
                piece.begins_ns,
                piece.ends_ns,
                piece.rows,
                some.site.tolist(),
                some.uncertainty_ns.tolist(),
                some.shares_boundary.tolist(),
                common.has_arrow[piece.spans].tolist(),
                strict=True,
            )
        )
    return row_count


def _arrow(index: int, way: str) -> str:
    return f',"bind_id":{index + 1},"flow_{way}":true'


def _never_ended(timeline: Timeline, tid: int, common: _Common) -> Iterator[str]:
    """Instants, as nobody knows how long these took."""
    if timeline.columns.is_ended.all():
        return
    yield _named("thread", _HOST, tid + 1, "never ended")
    origin_ns = timeline.begin_ns
    for some in in_pieces(timeline.columns):
        lost = some[~some.is_ended]
        if len(lost):
            yield _SEPARATOR.join(
                f'{{"ph":"i","s":"t","cat":"host","name":{common.name[site]},'
                f'"ts":{(begin - origin_ns) / 1000:.3f},"pid":{_HOST},"tid":{tid + 1},'
                f'"args":{{"path":{common.path[site]},"status":{common.status[status]}}}}}'
                for begin, site, status in zip(
                    lost.host_begin_ns.tolist(),
                    lost.site.tolist(),
                    lost.status.tolist(),
                    strict=True,
                )
            )

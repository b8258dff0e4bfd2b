# SPDX-License-Identifier: BSD-3-Clause
"""Timelines in the Trace Event Format, for Perfetto, chrome://tracing and `fasttime.load`.

The host is one process with a track per thread. Each device is one process with a track per
stream. An arrow leads from a scope's host part to its device part. The arrow is a property of the
two parts, because separate events ("s" and "f") would attach to the innermost scope of that moment.

`ts` and `dur` say where to draw, in us after the recording's begin, with three digits. Viewers need
nested spans and arrows that point forwards, so the drawing may differ slightly from the data. The
exact times are in `args`, in ns on the clock of ``time.perf_counter``. Each span has one event on
the host, which holds everything but the place on the device. `otherData` is the file's header.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from ..documents import TIMELINE, VERSIONS
from ..sample import STATUSES
from .columns import CHUNK
from .span import stream_name
from .tracks import Bar, Track, device_tracks, gathered_begins, host_tracks

if TYPE_CHECKING:
    from .timeline import Timeline

_HOST = 1  # process number; the devices' numbers follow


def write(timeline: Timeline, file: TextIO) -> None:
    """Write the trace, one event at a time.

    The file must write a lone surrogate, which a name may contain, as its escape.
    """
    writer = _Writer(timeline)
    header = _header(timeline, writer.late_ns)
    file.write(f'{{"displayTimeUnit":"ns","otherData":{_json(header)},"traceEvents":[\n')
    separator = ""
    for event in writer.events():
        file.write(separator + event)
        separator = ",\n"
    file.write("\n]}\n")


def events_of(timeline: Timeline) -> Iterator[str]:
    """Yield the events of a timeline as JSON, one after the other."""
    return _Writer(timeline).events()


def _header(timeline: Timeline, late_ns: dict[int, int]) -> dict[str, Any]:
    return {
        "format": TIMELINE,
        "version": VERSIONS[TIMELINE],
        "begin_ns": timeline.begin_ns,
        "end_ns": timeline.end_ns,
        "dropped": timeline.dropped,
        "pending": timeline.pending,
        "waited": timeline.waited,
        "drawn_later_us": {f"cuda:{device}": ns / 1e3 for device, ns in late_ns.items()},
        "thread_names": {str(thread): name for thread, name in timeline.thread_names.items()},
        "sites": [site._asdict() for site in timeline.columns.sites],
    }


class _Writer:
    """Makes the events of one timeline.

    Viewers reject arrows that point backwards in time. But an idle device begins at once, so within
    the uncertainty it may seem to begin before the host. Then the whole device is drawn later by
    `late_ns`, which keeps lengths and gaps exact. The header says by how much. A span that would
    need a larger shift gets no arrow, for example if the host lost its core.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._columns = columns = timeline.columns
        self._begin_ns = timeline.begin_ns
        self._has_arrow = columns.is_ended & columns.is_placed
        self._names = [_json(site.name) for site in columns.sites]
        self._paths = [_json(site.path) for site in columns.sites]
        self._last_tid = 0  # viewers want a different number for every row of every process
        self.late_ns: dict[int, int] = {}  # by device
        early_ns = columns.host_begin_ns - gathered_begins(columns)
        for device in np.unique(columns.device[self._has_arrow]).tolist():
            on_device = self._has_arrow & (columns.device == device)
            most = int(np.quantile(early_ns[on_device], 0.99, method="higher")) + 1
            late_ns = min(max(most, 0), int(np.median(columns.uncertainty_ns[on_device])))
            self.late_ns[device] = late_ns
            self._has_arrow &= ~on_device | (early_ns < late_ns)

    def events(self) -> Iterator[str]:
        """Yield one event after the other as JSON."""
        yield _named("process", _HOST, 0, "host")
        for track in host_tracks(self._columns):
            name = self._timeline.thread_names.get(track.handle)
            label = f"thread {track.handle}" if name is None else f"{name} ({track.handle})"
            yield from self._track(track, _HOST, label)
        yield from self._never_ended()
        named: set[int] = set()
        for track in device_tracks(self._columns):
            pid = _HOST + 1 + track.device
            if track.device not in named:
                named.add(track.device)
                yield _named("process", pid, 0, f"cuda:{track.device}")
            yield from self._track(track, pid, f"stream {stream_name(track.handle)}")

    def _track(self, track: Track, pid: int, label: str) -> Iterator[str]:
        """Yield the names of the track's rows and the spans in them."""
        on_host = track.device < 0
        category, way = ("host", "out") if on_host else ("device", "in")
        describe = self._host_args if on_host else self._device_args
        origin_ns = self._begin_ns - self.late_ns.get(track.device, 0)
        first_tid = self._last_tid + 1
        bars = track.bars()
        while chunk := list(islice(bars, CHUNK)):
            spans = np.array([bar.span for bar in chunk])
            has_arrow = self._has_arrow[spans].tolist()
            sites = self._columns.site[spans].tolist()
            for bar, site, linked, args in zip(
                chunk, sites, has_arrow, describe(spans), strict=True
            ):
                tid = first_tid + bar.row
                if tid > self._last_tid:
                    self._last_tid = tid
                    row = f"{label}, row {bar.row + 1}" if bar.row else label
                    yield _named("thread", pid, tid, row)
                arrow = f'"bind_id":{bar.span + 1},"flow_{way}":true,' if linked else ""
                yield (
                    f'{{"ph":"X","cat":"{category}","name":{self._names[site]},'
                    f"{_drawn(bar, origin_ns)},"
                    f'"pid":{pid},"tid":{tid},{arrow}"args":{{{args}}}}}'
                )

    def _never_ended(self) -> Iterator[str]:
        """Yield an instant per span that never ended, because its length is unknown."""
        lost = np.flatnonzero(~self._columns.is_ended)
        if len(lost) == 0:
            return
        self._last_tid += 1
        yield _named("thread", _HOST, self._last_tid, "never ended")
        for start in range(0, len(lost), CHUNK):
            spans = lost[start : start + CHUNK]
            begins_ns = self._columns.host_begin_ns[spans].tolist()
            sites = self._columns.site[spans].tolist()
            for begin_ns, site, args in zip(begins_ns, sites, self._host_args(spans), strict=True):
                yield (
                    f'{{"ph":"i","s":"t","cat":"host","name":{self._names[site]},'
                    f'"ts":{(begin_ns - self._begin_ns) / 1000:.3f},'
                    f'"pid":{_HOST},"tid":{self._last_tid},"args":{{{args}}}}}'
                )

    def _host_args(self, spans: np.ndarray[Any, Any]) -> Iterator[str]:
        some = self._columns[spans]
        for span, site, status, thread, device, stream, begin_ns, end_ns, is_ended, shares in zip(
            spans.tolist(),
            some.site.tolist(),
            some.status.tolist(),
            some.thread.tolist(),
            some.device.tolist(),
            some.stream.tolist(),
            some.host_begin_ns.tolist(),
            some.host_end_ns.tolist(),
            some.is_ended.tolist(),
            some.shares_boundary.tolist(),
            strict=True,
        ):
            end = f'"end_ns":{end_ns},' if is_ended else ""
            where = f'"device":{device},"stream":{stream},' if device >= 0 else ""
            yield (
                f'"path":{self._paths[site]},"status":"{STATUSES[status]}",'
                f'"begin_ns":{begin_ns},{end}"thread":{thread},{where}'
                f'"shares_boundary":{"true" if shares else "false"},"site":{site},"span":{span}'
            )

    def _device_args(self, spans: np.ndarray[Any, Any]) -> Iterator[str]:
        some = self._columns[spans]
        for span, site, begin_ns, end_ns, uncertainty_ns in zip(
            spans.tolist(),
            some.site.tolist(),
            some.device_begin_ns.tolist(),
            some.device_end_ns.tolist(),
            some.uncertainty_ns.tolist(),
            strict=True,
        ):
            yield (
                f'"path":{self._paths[site]},"begin_ns":{begin_ns},"end_ns":{end_ns},'
                f'"uncertainty_ns":{uncertainty_ns},"span":{span}'
            )


def _drawn(bar: Bar, origin_ns: int) -> str:
    ts_us, dur_us = (bar.begin_ns - origin_ns) / 1000, (bar.end_ns - bar.begin_ns) / 1000
    return f'"ts":{ts_us:.3f},"dur":{dur_us:.3f}'


def _named(kind: str, pid: int, tid: int, name: str) -> str:
    return _json(
        {"ph": "M", "name": f"{kind}_name", "pid": pid, "tid": tid, "args": {"name": name}}
    )


def _json(value: object) -> str:
    # Characters stay as they are: Perfetto (52.0) shows most escapes literally.
    return json.dumps(value, ensure_ascii=False)

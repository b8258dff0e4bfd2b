# SPDX-License-Identifier: BSD-3-Clause
"""The timelines of several ranks as one trace, for Perfetto and chrome://tracing.

Each rank is a process with the threads of its host and the streams of its devices as tracks. The
trace is for viewers: `fasttime.load` reads the timelines of single ranks.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from ..atomic_file import open_for_replacement
from .trace import events_of

if TYPE_CHECKING:
    from .timeline import Timeline

SUFFIXES = (".json", ".json.gz")


def save_merged(timelines: Mapping[int, Timeline], path: str | os.PathLike[str]) -> bool:
    """Write the timelines of several ranks as one trace.

    Args:
        timelines: by rank.
        path: ends in ``.json`` or ``.json.gz``. The file is written whole or not at all.

    Timelines that overlap in time are on one clock, as on one machine. If they do not all overlap,
    each of them begins at 0 in the trace. Returns whether they are on one clock. Raises OSError if
    the file cannot be written.
    """
    on_one_clock = have_one_clock(timelines)
    with open_for_replacement(path, "wb") as file:
        zipped = os.fsdecode(path).lower().endswith(".gz")
        inner = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) if zipped else file
        # A str may contain a lone surrogate, which UTF-8 cannot encode.
        text = io.TextIOWrapper(inner, encoding="utf-8", errors="backslashreplace", newline="")
        _write(timelines, on_one_clock, text)
        text.flush()
        text.detach()
        if zipped:
            inner.close()
    return on_one_clock


def have_one_clock(timelines: Mapping[int, Timeline]) -> bool:
    """Return whether all timelines overlap in time. Clocks of two machines differ by days."""
    begins = [timeline.begin_ns for timeline in timelines.values()]
    ends = [timeline.end_ns for timeline in timelines.values()]
    return not begins or max(begins) <= min(ends)


def _write(timelines: Mapping[int, Timeline], on_one_clock: bool, file: TextIO) -> None:
    header = {
        "made_by": "fasttime merge",
        "ranks": sorted(timelines),
        "on_one_clock": on_one_clock,
        "begin_ns": {str(rank): timeline.begin_ns for rank, timeline in timelines.items()},
    }
    file.write(f'{{"displayTimeUnit":"ns","otherData":{json.dumps(header)},"traceEvents":[\n')
    separator = ""
    for event in _events(timelines, on_one_clock):
        file.write(separator + json.dumps(event, ensure_ascii=False))
        separator = ",\n"
    file.write("\n]}\n")


def _events(timelines: Mapping[int, Timeline], on_one_clock: bool) -> Iterator[dict[str, Any]]:
    first_ns = min((timeline.begin_ns for timeline in timelines.values()), default=0)
    last_tid = last_arrow = 0
    for pid, rank in enumerate(sorted(timelines), start=1):
        timeline = timelines[rank]
        later_us = (timeline.begin_ns - first_ns) / 1000 if on_one_clock else 0.0
        yield _metadata("process_name", pid, {"name": f"rank {rank}"})
        yield _metadata("process_sort_index", pid, {"sort_index": rank})
        places: dict[int, str] = {}  # host and devices, by their number in the rank's trace
        tids = arrows = 0
        for event in map(json.loads, events_of(timeline)):
            if event["name"] == "process_name" and event["ph"] == "M":
                places[event["pid"]] = event["args"]["name"]
                continue
            # Viewers want a different number for every track and every arrow of the trace.
            tids = max(tids, event["tid"])
            if event["name"] == "thread_name" and event["ph"] == "M":
                event["args"]["name"] = f"{places[event['pid']]} {event['args']['name']}"
            event["tid"] += last_tid
            event["pid"] = pid
            if "ts" in event:
                event["ts"] = round(event["ts"] + later_us, 3)
            if "bind_id" in event:
                arrows = max(arrows, event["bind_id"])
                event["bind_id"] += last_arrow
            yield event
        last_tid += tids
        last_arrow += arrows


def _metadata(name: str, pid: int, args: dict[str, Any]) -> dict[str, Any]:
    return {"ph": "M", "name": name, "pid": pid, "tid": 0, "args": args}

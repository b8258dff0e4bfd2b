# SPDX-License-Identifier: BSD-3-Clause
"""A validator for the parts of the Trace Event Format that viewers need."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

REQUIRED = {
    "M": {"name", "pid", "tid", "args"},
    "X": {"name", "cat", "pid", "tid", "ts", "dur", "args"},
    "i": {"name", "cat", "pid", "tid", "ts", "s", "args"},
}
ARROW = {"bind_id", "flow_out", "flow_in"}


def ns(us: float) -> int:
    """A time of the file in whole nanoseconds. Asserts that it is whole."""
    whole = round(us * 1000)
    assert abs(us * 1000 - whole) < 1e-3
    return whole


def validated(text: str) -> dict[str, Any]:
    """Parse a trace, check it and return the document."""
    document: dict[str, Any] = json.loads(text)
    assert set(document) == {"displayTimeUnit", "otherData", "traceEvents"}
    events = document["traceEvents"]
    for event in events:
        assert set(event) - ARROW == REQUIRED[event["ph"]] | {"ph"}, event
        assert isinstance(event["name"], str)
        assert 0 <= event["tid"] < 2**31
    check_names(events)
    check_tracks(events)
    check_arrows(events)
    return document


def check_names(events: list[dict[str, Any]]) -> None:
    """Each process and track has one name, which comes before its first event."""
    processes: set[int] = set()
    tracks: dict[int, int] = {}
    for event in events:
        if event["name"] == "process_name" and event["ph"] == "M":
            assert event["pid"] not in processes
            processes.add(event["pid"])
        elif event["name"] == "thread_name" and event["ph"] == "M":
            assert event["tid"] not in tracks, "two tracks share a number"
            tracks[event["tid"]] = event["pid"]
        else:
            assert event["pid"] in processes
            assert tracks[event["tid"]] == event["pid"]


def check_tracks(events: list[dict[str, Any]]) -> None:
    """On each track, scopes nest and are sorted by their begin."""
    tracks: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            assert event["dur"] >= 0
            tracks[event["tid"]].append((ns(event["ts"]), ns(event["ts"]) + ns(event["dur"])))
    for spans in tracks.values():
        assert [begin for begin, _ in spans] == sorted(begin for begin, _ in spans)
        open_ends: list[int] = []
        for begin, end in spans:
            while open_ends and open_ends[-1] <= begin:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1], "scopes overlap on one track"
            open_ends.append(end)


def check_arrows(events: list[dict[str, Any]]) -> None:
    """Each arrow leads to a later scope of the same path in another process."""
    starts, ends = arrows(events)
    assert starts.keys() == ends.keys() == {e["bind_id"] for e in events if "bind_id" in e}
    for number, start in starts.items():
        end = ends[number]
        assert start["args"]["path"] == end["args"]["path"]
        assert start["pid"] != end["pid"]
        assert start["ts"] < end["ts"], "viewers reject arrows that point backwards in time"


def arrows(
    events: list[dict[str, Any]],
) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
    """The scopes at which arrows start and the scopes at which they end, by arrow number."""
    starts = [event for event in events if event.get("flow_out")]
    ends = [event for event in events if event.get("flow_in")]
    by_number = tuple({event["bind_id"]: event for event in found} for found in (starts, ends))
    assert [len(found) for found in by_number] == [len(starts), len(ends)], "shared numbers"
    return by_number[0], by_number[1]


def scopes(document: dict[str, Any], category: str) -> list[tuple[str, int, int]]:
    """Name, begin and duration in ns of each scope of a category, in file order."""
    return [
        (event["name"], ns(event["ts"]), ns(event["dur"]))
        for event in document["traceEvents"]
        if event["ph"] == "X" and event["cat"] == category
    ]

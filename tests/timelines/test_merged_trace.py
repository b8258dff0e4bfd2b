# SPDX-License-Identifier: BSD-3-Clause
"""The trace of several ranks: numbers never clash, and moments stay right."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from made_up_timeline import span, steps

from fasttime import Timeline
from fasttime.timelines.merged_trace import have_one_clock, save_merged


def merged(path: Path, timelines: dict[int, Timeline]) -> list[dict[str, Any]]:
    save_merged(timelines, path / "trace.json")
    events: list[dict[str, Any]] = json.loads((path / "trace.json").read_text())["traceEvents"]
    return events


def test_tracks_and_arrows_have_numbers_of_their_own(tmp_path: Path) -> None:
    events = merged(tmp_path, {rank: steps(2) for rank in range(3)})
    owners: dict[int, set[int]] = defaultdict(set)
    arrows: dict[int, list[int]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            owners[event["tid"]].add(event["pid"])
        if "bind_id" in event:
            arrows[event["bind_id"]].append(event["pid"])
    assert all(len(pids) == 1 for pids in owners.values())
    assert len(owners) == 6  # a thread and a stream per rank
    assert all(len(pids) == 2 and len(set(pids)) == 1 for pids in arrows.values())
    assert len(arrows) == 18


def test_tracks_say_where_they_are(tmp_path: Path) -> None:
    events = merged(tmp_path, {5: steps(1)})
    names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert names == ["host thread 100", "cuda:0 stream default"]
    order = [event["args"] for event in events if event["name"] == "process_sort_index"]
    assert order == [{"sort_index": 5}]


def test_ranks_on_one_clock_keep_their_distance(tmp_path: Path) -> None:
    first = Timeline.from_spans([span("a", (0, 10))])
    second = Timeline.from_spans([span("b", (4, 12))])
    assert have_one_clock({0: first, 1: second})
    events = merged(tmp_path, {0: first, 1: second})
    begins = {event["name"]: event["ts"] for event in events if event["ph"] == "X"}
    assert begins == {"a": 0.0, "b": 4000.0}


def test_no_common_moment_means_several_clocks() -> None:
    first = Timeline.from_spans([span("a", (0, 10))])
    assert not have_one_clock({0: first, 1: Timeline.from_spans([span("b", (11, 12))])})

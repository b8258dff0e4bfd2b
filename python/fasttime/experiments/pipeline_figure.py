# SPDX-License-Identifier: BSD-3-Clause
"""The pipeline as pictures: what host and device do while it is timed, one for each way.

The loop of each way is the experiment's own. Scopes around its stages and its waits show where they
lie; they make nobody wait, so that the loop is what it is without them. With fasttime they are the
way itself. Each picture begins with an idle device, all have one scale, and in each the brackets
show how each kind of reading would take the first pass through the large model.
"""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Mapping
from pathlib import Path

import torch

from ..recorder import Recorder
from ..text import format_seconds
from ..timelines.span import Span
from ..timelines.timeline import Timeline
from .pipeline import build
from .settings import Settings
from .ways_to_time import (
    AwaitedEvents,
    Naive,
    NotTimed,
    Stages,
    Sync,
)

PASSES = 2
_WARMUP = 3
_TAKES = 5
_WAIT = "wait"
_TIMED = ("large", "small")

# By the name of the file: how the loop goes, and what stands above it.
PICTURES: dict[str, tuple[type[NotTimed], str]] = {
    "pipeline-naive": (Naive, "A clock around each model"),
    "pipeline-sync": (Sync, "synchronize() around each model"),
    "pipeline-awaited": (AwaitedEvents, "Events, waited for on the spot"),
    "pipeline-fasttime": (NotTimed, "fasttime scopes, read later"),
}


def draw(settings: Settings, folder: Path) -> list[Path]:
    """Run the pipeline in each way, and return the SVG files written to the folder.

    Makes the folder. Waits for the device. Raises ValueError without a GPU, as nothing runs behind
    the host there, RuntimeError where a picture lacks a scope, and ImportError without matplotlib.
    """
    if not settings.on_gpu:
        raise ValueError("a figure needs a CUDA device: on the CPU nothing runs behind the host")
    timelines = record(settings)
    length = max(timeline.duration for timeline in timelines.values())
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, timeline in timelines.items():
        path = folder / f"{name}.svg"
        took = format_seconds(timeline.duration)
        timeline.save(
            path,
            title=f"{PICTURES[name][1]}: {PASSES} passes in {took}, batch {settings.batch}",
            explain="large",
            waits=[_WAIT] if any(span.name == _WAIT for span in timeline.spans) else [],
            begin=0.0,
            end=length,
        )
        written.append(path)
    return written


def record(settings: Settings) -> Mapping[str, Timeline]:
    """Return a timeline of a few passes for each picture, from an idle device to an idle device.

    Of five takes, in turns, the one of middle length: a machine has its moments.
    """
    takes: dict[str, list[Timeline]] = {name: [] for name in PICTURES}
    with settings.current(), torch.inference_mode():
        stages = build(settings)
        for _ in range(_TAKES):
            for name, (way, _title) in PICTURES.items():
                takes[name].append(_record(way, stages))
    return {
        name: sorted(taken, key=lambda timeline: timeline.duration)[_TAKES // 2]
        for name, taken in takes.items()
    }


def _record(kind: type[NotTimed], stages: Stages) -> Timeline:
    # One event a boundary, as usual, could make a model's begin that of the wait before it.
    recorder = Recorder(share_boundaries=False)
    way = kind(_watched(stages, recorder), _WARMUP + PASSES)
    gc.collect()
    for _ in range(_WARMUP):
        way.step()
    stages.synchronize()
    with recorder.record_timeline() as timeline:
        for _ in range(PASSES):
            way.step()
    placed = sum(span.name in _TIMED and span.device_begin is not None for span in timeline.spans)
    if placed != PASSES * len(_TIMED):
        raise RuntimeError(
            f"a picture shows {PASSES * len(_TIMED)} models on the device, and {placed} have a "
            f"place there: {timeline}"
        )
    return _tidied(timeline)


def _watched(stages: Stages, recorder: Recorder) -> Stages:
    """Return the stages with a scope around each, and around each wait."""

    scope = recorder.scope
    return dataclasses.replace(
        stages,
        large=scope("large")(stages.large),
        cpu_task=scope("CPU task")(stages.cpu_task),
        small=scope("small")(stages.small),
        synchronize=scope(_WAIT)(stages.synchronize),
        wait_for=scope(_WAIT)(stages.wait_for),
    )


def _tidied(timeline: Timeline) -> Timeline:
    """Leave out what is not seen: waits for an idle device, and events around work of the host.

    Two events around the host's own task lie far apart where the device is idle meanwhile, and
    that would look like work of the device's.
    """
    shortest_wait = 0.005 * timeline.duration
    return Timeline.from_spans(
        span if span.name in _TIMED else _on_the_host(span)
        for span in timeline.spans
        if span.name != _WAIT or (span.host_time or 0.0) >= shortest_wait
    )


def _on_the_host(span: Span) -> Span:
    return span._replace(
        status="host_only",
        device=None,
        stream=None,
        device_begin=None,
        device_end=None,
        uncertainty=None,
    )

# SPDX-License-Identifier: BSD-3-Clause
"""The pipeline as pictures: host and device while it is timed, one picture per way to time.

Each picture runs the experiment's own loop, with scopes around the stages and the waits. Scopes
never wait, so they do not change the loop. Each picture begins with an idle device. All pictures
have the same scale. Brackets show what each reading covers in the first pass of the large model.
"""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Mapping
from pathlib import Path

import torch

from fasttime import Recorder, Span, Timeline
from fasttime.experiments.pipeline import build
from fasttime.experiments.settings import Settings
from fasttime.experiments.ways_to_time import AwaitedEvents, Naive, NotTimed, Stages, Sync
from fasttime.text import format_seconds

PASSES = 2
_WARMUP = 3
_TAKES = 5
_WAIT = "wait"
_TIMED = ("large", "small")

# By file name: the way to time, and the title of the picture.
PICTURES: dict[str, tuple[type[NotTimed], str]] = {
    "pipeline-naive": (Naive, "A clock around each model"),
    "pipeline-sync": (Sync, "synchronize() around each model"),
    "pipeline-awaited": (AwaitedEvents, "Events, with a wait after each model"),
    "pipeline-fasttime": (NotTimed, "fasttime scopes, read later"),
}


def draw(settings: Settings, folder: Path) -> list[Path]:
    """Run the pipeline in each way, draw each run, and return the SVG files.

    Creates the folder. Waits for the device. Raises ValueError without a GPU, RuntimeError if a
    picture lacks a scope, and ImportError without matplotlib.
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
    """Return a timeline per picture: a few passes between two moments with an idle device.

    Each picture is taken five times, in turns. The take of middle length is returned.
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
    # With shared boundaries, a model could begin with the event that ended the wait before it.
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
            f"a picture shows {PASSES * len(_TIMED)} models on the device, but only {placed} have "
            f"device times: {timeline}"
        )
    return _tidied(timeline)


def _watched(stages: Stages, recorder: Recorder) -> Stages:
    """Return the stages with a scope around each stage and each wait."""
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
    """Leave out very short waits, and the device times of the host's own work.

    Two events around work of the host lie far apart if the device is idle. In the picture, that
    would look like work on the device.
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

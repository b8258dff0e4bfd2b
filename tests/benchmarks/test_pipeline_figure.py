# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of the pipeline: host and device in each way to time, on virtual time."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from simulated_cuda import Simulated

from fasttime import Timeline
from fasttime.experiments import pipeline
from fasttime.experiments.settings import Settings
from fasttime.experiments.ways_to_time import Stages

MS = 1_000_000
LARGE, SMALL, ISSUE, CPU_TASK = 30 * MS, 12 * MS, 4 * MS, 17 * MS
ON_GPU = Settings("cuda", batch=512, repeat=4, warmup=1, rounds=1)


@pytest.fixture
def figure(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("pipeline_figure")


@pytest.fixture
def device(cuda: Simulated, figure: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Simulated:
    """Models of known length on simulated streams, and torch's events on them."""

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            self.event = cuda.create_event(timing=enable_timing)

        def record(self) -> None:
            assert cuda.record(self.event) == 0

        def synchronize(self) -> None:
            assert cuda.synchronize(self.event) == 0

        def elapsed_time(self, later: Event) -> float:
            return cuda.elapsed_ms(self.event, later.event)

    def work(ns: int) -> None:
        cuda.advance(ISSUE)
        cuda.enqueue(0, ns)

    def synchronize() -> None:
        assert cuda.lib.cudaDeviceSynchronize() == 0

    stages = Stages(
        large=lambda: work(LARGE),
        cpu_task=lambda: cuda.advance(CPU_TASK),
        small=lambda: work(SMALL),
        synchronize=synchronize,
        on_gpu=True,
    )
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(figure, "gc", SimpleNamespace(collect=lambda: None))  # slow with torch
    monkeypatch.setattr(figure, "build", lambda settings: stages)
    monkeypatch.setattr(Settings, "current", lambda self: contextlib.nullcontext())
    return cuda


@pytest.fixture
def timelines(device: Simulated, figure: ModuleType) -> Mapping[str, Timeline]:
    return figure.record(ON_GPU)


def milliseconds(timeline: Timeline) -> list[tuple[str, int, int | None, int | None, int | None]]:
    """Return the name of each scope and its moments on host and device, in whole ms."""
    since = timeline.begin

    def after(moment: float | None) -> int | None:
        return None if moment is None else round((moment - since) * 1e3)

    return [
        (
            span.name,
            round((span.host_begin - since) * 1e3),
            after(span.host_end),
            after(span.device_begin),
            after(span.device_end),
        )
        for span in timeline.spans
    ]


FREE = [
    ("large", 0, 4, 4, 34),
    ("CPU task", 4, 21, None, None),
    ("small", 21, 25, 34, 46),
    ("large", 25, 29, 46, 76),
    ("CPU task", 29, 46, None, None),
    ("small", 46, 50, 76, 88),
]
WAITING = [
    ("large", 0, 4, 4, 34),
    ("wait", 4, 34, None, None),
    ("CPU task", 34, 51, None, None),
    ("small", 51, 55, 55, 67),
    ("wait", 55, 67, None, None),
    ("large", 67, 71, 71, 101),
    ("wait", 71, 101, None, None),
    ("CPU task", 101, 118, None, None),
    ("small", 118, 122, 122, 134),
    ("wait", 122, 134, None, None),
]


@pytest.mark.parametrize("name", ["pipeline-naive", "pipeline-fasttime"])
def test_the_device_works_on_if_the_host_never_waits(
    timelines: Mapping[str, Timeline], name: str
) -> None:
    seen = milliseconds(timelines[name])
    assert [scope[0] for scope in seen] == [scope[0] for scope in FREE]
    # A device that is idle reaches a scope when it begins, and its work when that is issued.
    assert [scope[4] for scope in seen] == [scope[4] for scope in FREE]
    assert [scope[1:3] for scope in seen] == [scope[1:3] for scope in FREE]


@pytest.mark.parametrize("name", ["pipeline-sync", "pipeline-awaited"])
def test_the_device_is_idle_if_the_host_waits(timelines: Mapping[str, Timeline], name: str) -> None:
    seen = milliseconds(timelines[name])
    assert [scope[:3] for scope in seen] == [scope[:3] for scope in WAITING]
    assert [scope[4] for scope in seen] == [scope[4] for scope in WAITING]


def test_each_way_has_its_picture_on_one_scale(
    device: Simulated, figure: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    written = figure.draw(ON_GPU, tmp_path / "new" / "figures")
    assert [path.name for path in written] == [f"{n}.svg" for n in figure.PICTURES]
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert "<svg" in text
        assert len(text) < 150_000


def test_a_title_has_the_time_of_the_passes(
    device: Simulated, figure: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = []
    monkeypatch.setattr(Timeline, "save", lambda self, path, **given: options.append(given))
    figure.draw(ON_GPU, tmp_path)
    assert [given["title"].partition(":")[2] for given in options] == [
        " 2 passes in 88.00 ms, batch 512",
        " 2 passes in 134.0 ms, batch 512",
        " 2 passes in 134.0 ms, batch 512",
        " 2 passes in 88.00 ms, batch 512",
    ]
    assert [round(given["end"], 9) for given in options] == [0.134] * 4


def test_a_picture_that_lacks_a_model_is_refused(
    device: Simulated, figure: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.fail("cudaStreamCreateWithFlags", 2)  # the one on which clocks are compared
    with pytest.raises(RuntimeError, match="shows 4 models on the device, but only 0 have"):
        figure.record(ON_GPU)


def test_the_figure_needs_a_gpu(
    load: Callable[[str], ModuleType],
    figure: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = str(tmp_path / "figures")
    monkeypatch.setattr(sys, "argv", ["pipeline.py", "--device", "cpu", "--figure", folder])
    assert load("_common").run_experiment(pipeline, figure.draw) == 2
    message = capsys.readouterr().err
    assert re.search("needs a CUDA device: on the CPU nothing runs behind the host", message)
    assert not (tmp_path / "figures").exists()

# SPDX-License-Identifier: BSD-3-Clause
"""Modules and parts of steps on a timeline."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import fasttime


def test_a_timeline_shows_modules_and_parts(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with fasttime.instrument(model, optimizer=optimizer), fasttime.record_timeline() as timeline:
        with fasttime.scope("mine"):
            model(torch.randn(2, 4)).sum().backward()
        optimizer.step()
    spans = {span.path: span for span in timeline.spans}
    assert {
        "mine",
        "Sequential",
        "Sequential/0",
        "Sequential/1",
        "backward/Sequential",
        "backward/Sequential/0",
        "step/forward",
        "step/backward",
        "step/optimizer",
    } <= set(spans)
    model_span, child = spans["Sequential"], spans["Sequential/0"]
    assert model_span.host_end is not None
    assert child.host_end is not None
    assert spans["mine"].host_begin <= model_span.host_begin <= child.host_begin
    assert child.host_end <= model_span.host_end
    timeline.save(tmp_path / "trace.json")
    loaded = fasttime.load(tmp_path / "trace.json")
    assert len(loaded.spans) == len(timeline.spans)


def test_a_recorder_of_its_own_has_no_modules() -> None:
    recorder = fasttime.Recorder()
    model = nn.Linear(4, 4)
    with fasttime.instrument(model), recorder.record_timeline() as timeline:
        model(torch.randn(2, 4))
    assert len(timeline.spans) == 0

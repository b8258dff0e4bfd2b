# SPDX-License-Identifier: BSD-3-Clause
"""Scopes inside CUDA graphs on a timeline."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from simulated_cuda import Simulated
from simulated_graph import MS, captured

import fasttime
from fasttime import Recorder, Timeline
from fasttime.timelines import replays


def a_timeline(cuda: Simulated, recorder: Recorder) -> Timeline:
    """Record two replays of a graph with two stages, 100 ms apart."""
    stream = cuda.create_stream()
    with recorder.graph_timing(), captured(cuda, stream) as graph:
        with recorder.scope("a"):
            cuda.enqueue(stream, 2 * MS)
        with recorder.scope("b"):
            cuda.enqueue(stream, 3 * MS)
    cuda.advance(7000 * MS)  # the clocks were compared long ago
    graph.replay()
    recorder.report()
    with recorder.record_timeline() as timeline:
        for _ in range(2):
            with recorder.scope("replay", stream=stream):  # type: ignore[arg-type]
                graph.launch()
            cuda.advance(100 * MS)
    return timeline


def test_replays_have_a_place_on_the_device(cuda: Simulated, recorder: Recorder) -> None:
    timeline = a_timeline(cuda, recorder)
    spans = {
        name: [span for span in timeline.spans if span.path == name]
        for name in ("replay", "a", "b")
    }
    assert [len(found) for found in spans.values()] == [2, 2, 2]
    for replay, a, b in zip(*spans.values(), strict=True):
        assert (a.status, a.host_end, a.host_time, a.device) == ("ok", None, None, 0)
        assert a.host_begin == a.device_begin == pytest.approx(replay.device_begin, abs=2e-6)
        assert (a.device_time, b.device_time) == (pytest.approx(2e-3), pytest.approx(3e-3))
        assert a.device_end == b.device_begin
        assert a.uncertainty is not None
        assert a.uncertainty < 1e-6
    assert timeline.warnings == ()


def test_a_saved_timeline_keeps_replays(
    cuda: Simulated, recorder: Recorder, tmp_path: Path
) -> None:
    timeline = a_timeline(cuda, recorder)
    path = tmp_path / "trace.json"
    timeline.save(path)
    assert list(fasttime.load(path).spans) == list(timeline.spans)
    assert '"in CUDA graphs"' in path.read_text()
    assert '"never ended"' not in path.read_text()


def test_a_picture_draws_replays(cuda: Simulated, recorder: Recorder, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "timeline.svg"
    a_timeline(cuda, recorder).save(path)
    assert path.stat().st_size > 0


class FakeGraph:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def replay(self) -> None:
        self.log.append("replay")


def test_wrapped_replays_get_a_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    recorder = Recorder()
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    for name in ("start", "end"):
        monkeypatch.delattr(torch.cuda.graphs, f"register_graph_replay_{name}_hook", raising=False)
    before = FakeGraph.replay
    scopes = replays.ReplayScopes(recorder._core)
    scopes.start()
    FakeGraph(log).replay()
    scopes.stop()
    FakeGraph(log).replay()
    assert log == ["replay", "replay"]
    assert FakeGraph.replay is before
    assert recorder.report()["graph replay"].count == 1


@pytest.mark.skipif(
    not hasattr(torch.cuda.graphs, "register_graph_replay_start_hook"), reason="needs torch 2.14"
)
def test_torchs_hooks_give_replays_a_scope() -> None:
    recorder = Recorder()
    scopes = replays.ReplayScopes(recorder._core)
    scopes.start()
    torch.cuda.graphs._run_global_hooks(torch.cuda.graphs._global_replay_start_hooks, None)
    torch.cuda.graphs._run_global_hooks(torch.cuda.graphs._global_replay_end_hooks, None)
    scopes.stop()
    torch.cuda.graphs._run_global_hooks(torch.cuda.graphs._global_replay_start_hooks, None)
    report = recorder.report()
    assert (report["graph replay"].count, report.open) == (1, 0)


def test_replays_are_watched_only_with_graphs(
    cuda: Simulated, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(replays.ReplayScopes, "start", lambda self: started.append("started"))
    with recorder.record_timeline():
        pass
    assert started == []
    a_timeline(cuda, recorder)
    assert started == ["started"]

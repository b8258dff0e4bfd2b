# SPDX-License-Identifier: BSD-3-Clause
"""Scopes inside CUDA graphs, on the simulated runtime: one sample per replay."""

from __future__ import annotations

import pickle
import threading

import pytest
import simulated_cuda
from forked import Forking
from simulated_cuda import RELAXED, THREAD_LOCAL, Simulated
from simulated_graph import MS, REST, SimulatedGraph, captured

from fasttime import Recorder, Report, TimingWarning


@pytest.fixture
def stream(cuda: Simulated) -> int:
    return cuda.create_stream()


def two_stages(cuda: Simulated, recorder: Recorder, stream: int, **timing: int) -> SimulatedGraph:
    """Capture two stages of 2 ms and 3 ms with 1 ms between them, inside a step."""
    with recorder.graph_timing(**timing), captured(cuda, stream) as graph:
        with recorder.scope("step"):
            with recorder.scope("a"):
                cuda.enqueue(stream, 2 * MS)
            cuda.enqueue(stream, MS)
            with recorder.scope("b"):
                cuda.enqueue(stream, 3 * MS)
    return graph


def device_ms(report: Report) -> dict[str, list[float]]:
    """Return count, smallest and greatest device time of each site, in ms."""
    return {
        site.path: [
            site.device.count,
            round(site.device.min * 1e3, 6),
            round(site.device.max * 1e3, 6),
        ]
        for site in report.walk()
        if site.device
    }


def test_each_replay_is_a_sample(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    graph = two_stages(cuda, recorder, stream)
    assert recorder.report().sites == ()
    graph.replay(5)
    report = recorder.report()
    assert device_ms(report) == {"step": [5, 6, 6], "step/a": [5, 2, 2], "step/b": [5, 3, 3]}
    assert report["step"].count == 5
    assert report["step"].self_time == pytest.approx(5e-3)
    assert report["step"].host.count == 0
    assert report["step"].bottleneck is None
    assert report.warnings == ()
    graph.replay(2)
    assert recorder.report()["step/a"].count == 7


def test_boundaries_that_coincide_share_a_stamp(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    graph = two_stages(cuda, recorder, stream)
    assert graph.nodes == 3 + 4  # step and a begin together, b and step end together


def test_phases_lie_end_to_end(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    with recorder.graph_timing(), captured(cuda, stream) as graph:
        with recorder.phases("step") as phase:
            for name, ms in (("a", 1), ("b", 2), ("c", 4)):
                phase(name)
                cuda.enqueue(stream, ms * MS)
    assert graph.nodes == 3 + 4
    graph.replay(3)
    assert device_ms(recorder.report()) == {
        "step": [3, 7, 7],
        "step/a": [3, 1, 1],
        "step/b": [3, 2, 2],
        "step/c": [3, 4, 4],
    }


def test_an_empty_scope_has_two_stamps(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    cuda.set_stamp_time(1000)
    with recorder.graph_timing(), captured(cuda, stream) as graph:
        with recorder.scope("empty"):
            pass
    assert graph.nodes == 2
    graph.replay()
    assert device_ms(recorder.report()) == {"empty": [1, 1e-3, 1e-3]}


def test_without_graph_timing_the_graph_is_torchs(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    with recorder.graph_timing():
        pass
    with captured(cuda, stream) as graph, recorder.scope("a"):
        cuda.enqueue(stream, MS)
    assert graph.nodes == 1
    graph.replay()
    report = recorder.report()
    assert report["a"].counts["captured"] == 1
    assert "Capture the graph inside `with graph_timing()`" in report.warnings[0].message


def test_a_recorder_can_time_every_graph(cuda: Simulated, stream: int) -> None:
    cuda.lib.cudaStreamSynchronize(stream)
    recorder = Recorder(graph_timing=True)
    with captured(cuda, stream) as graph, recorder.scope("a"):
        cuda.enqueue(stream, MS)
    graph.replay(2)
    assert recorder.report()["a"].count == 2
    assert pickle.loads(pickle.dumps(recorder))._graph_timing


@pytest.mark.parametrize("mode", [THREAD_LOCAL, RELAXED])
def test_captures_of_every_mode(
    cuda: Simulated, recorder: Recorder, stream: int, mode: int
) -> None:
    with recorder.graph_timing(), captured(cuda, stream, mode) as graph, recorder.scope("a"):
        cuda.enqueue(stream, MS)
    graph.replay()
    assert device_ms(recorder.report()) == {"a": [1, 1, 1]}


def test_replays_on_another_stream(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    graph = two_stages(cuda, recorder, stream)
    graph.replay(2, cuda.create_stream())
    assert device_ms(recorder.report())["step"] == [2, 6, 6]


def test_a_graph_inside_a_graph(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    child = two_stages(cuda, recorder, stream)
    with recorder.graph_timing(), captured(cuda, stream) as parent, recorder.scope("parent"):
        child.launch()
        child.launch()
    child.replay()
    child.destroy()
    parent.replay(3)
    cuda.advance(REST)
    recorder.report()
    cuda.advance(REST)
    recorder.report()
    parent.replay()
    assert device_ms(recorder.report()) == {
        "step": [9, 6, 6],
        "step/a": [9, 2, 2],
        "step/b": [9, 3, 3],
        "parent": [4, 12, 12],
    }


def test_streams_that_join_a_capture(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    side = cuda.create_stream()
    forked, joined = cuda.create_event(), cuda.create_event()
    with recorder.graph_timing(), captured(cuda, stream) as graph:
        cuda.record(forked, stream)
        assert cuda.wait_event(side, forked) == 0
        with recorder.scope("side", stream=side):  # type: ignore[arg-type]
            cuda.enqueue(side, 2 * MS)
        with recorder.scope("main"):
            cuda.enqueue(stream, MS)
        cuda.record(joined, side)
        assert cuda.wait_event(stream, joined) == 0
        with recorder.scope("after"):
            cuda.enqueue(stream, 4 * MS)
    graph.replay(3)
    report = device_ms(recorder.report())
    assert report == {"side": [3, 2, 2], "main": [3, 1, 1], "after": [3, 4, 4]}


def test_a_join_between_boundaries_adds_a_stamp(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    side = cuda.create_stream()
    forked, joined = cuda.create_event(), cuda.create_event()
    with recorder.graph_timing(), captured(cuda, stream) as graph:
        cuda.record(forked, stream)
        assert cuda.wait_event(side, forked) == 0
        cuda.enqueue(side, 2 * MS)
        with recorder.scope("a"):
            cuda.enqueue(stream, MS)
        cuda.record(joined, side)
        assert cuda.wait_event(stream, joined) == 0
        with recorder.scope("b"):
            cuda.enqueue(stream, MS)
    assert graph.nodes == 3 + 4


def test_overruns_are_counted_exactly(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    graph = two_stages(cuda, recorder, stream, depth=8)
    graph.replay(8)
    assert recorder.report()["step"].lost == 0
    graph.replay(21)
    report = recorder.report()
    for path in ("step", "step/a", "step/b"):
        site = report[path]
        # Of the newest 8 replays, the oldest has no neighbour that shows that it was alone.
        assert (site.counts["ok"], site.lost, site.count) == (8 + 7, 14, 29)
    assert "42 scopes in replays of CUDA graphs have no time" in report.warnings[0].message
    graph.replay(8)
    assert recorder.report()["step"].lost == 14


@pytest.mark.parametrize("done", range(9))
def test_a_begin_that_is_overwritten_is_lost(
    cuda: Simulated, recorder: Recorder, stream: int, done: int
) -> None:
    graph = two_stages(cuda, recorder, stream, depth=2)
    for _ in range(4):
        graph.launch()
    cuda.advance(done * MS + 1)  # in the middle of some replay
    recorder.report()
    cuda.advance(100 * MS)
    report = recorder.report()
    assert report["step"].count == report["step/b"].count == 4
    assert set(device_ms(report)["step"][1:]) == {6}


def test_two_instantiations_in_turn(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    graph = two_stages(cuda, recorder, stream)
    second = cuda.instantiate(graph.graph)
    for _ in range(3):
        graph.launch()
        graph.launch(executable=second)
    cuda.advance(100 * MS)
    assert device_ms(recorder.report())["step"] == [6, 6, 6]


@pytest.mark.parametrize("shift", range(8))
def test_overlapping_replays_are_lost(
    cuda: Simulated, recorder: Recorder, stream: int, shift: int
) -> None:
    graph = two_stages(cuda, recorder, stream)
    second, other = cuda.instantiate(graph.graph), cuda.create_stream()
    graph.replay(2)
    graph.launch()
    cuda.advance(shift * MS)
    graph.launch(other, second)
    cuda.advance(100 * MS)
    graph.replay(2)
    report = recorder.report()
    for path, ms in (("step", 6), ("step/a", 2), ("step/b", 3)):
        site = report[path]
        assert site.count == 6
        assert set(device_ms(report)[path][1:]) == {ms}
        assert site.lost in ((0, 2) if shift else (2,))
    assert (report["step"].lost == 0) == (shift >= 6)


def test_a_destroyed_graph_gives_its_stamps_back(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    for turn in range(5):
        graph = two_stages(cuda, recorder, stream, max_scopes=3, depth=8)
        graph.replay(turn + 1)
        graph.destroy()
        recorder.report()
        cuda.advance(REST)
    report = recorder.report()
    assert device_ms(report)["step"] == [15, 6, 6]
    assert report["step"].lost == 0
    assert cuda.calls("cudaHostAlloc") == 4  # on two devices: the clock's, and one block of rings


def test_stamps_in_flight_are_not_given_back(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    graph = two_stages(cuda, recorder, stream, max_scopes=3, depth=8)
    with cuda.held(stream):
        graph.launch()
        graph.destroy()
        for _ in range(3):
            cuda.advance(REST)
            recorder.report()
        with recorder.graph_timing(max_scopes=3, depth=8):
            assert cuda.calls("cudaHostAlloc") == 5
    cuda.advance(100 * MS)
    assert device_ms(recorder.report())["step"] == [1, 6, 6]


def test_a_destroyed_capture_gives_its_stamps_back(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    for _ in range(6):
        with recorder.graph_timing(max_scopes=1, depth=8):
            with pytest.raises(AssertionError, match="destroyed"):
                with captured(cuda, stream), recorder.scope("a"):
                    cuda.lib.cudaStreamSynchronize(stream)  # destroys the capture
        cuda.advance(REST)
    cuda.last_error()
    assert cuda.calls("cudaHostAlloc") == 5  # the next entry sees the end, the one after it reuses


def test_a_graph_outlives_its_recorder(cuda: Simulated, stream: int) -> None:
    gone = Recorder()
    graph = two_stages(cuda, gone, stream, max_scopes=3, depth=8)
    del gone
    recorder = Recorder()
    other = two_stages(cuda, recorder, stream, max_scopes=3, depth=8)
    graph.replay()
    other.replay(2)
    assert device_ms(recorder.report())["step"] == [2, 6, 6]
    graph.destroy()
    for _ in range(2):
        cuda.advance(REST)
        allocations = cuda.calls("cudaHostAlloc")
        with recorder.graph_timing(max_scopes=3, depth=8):
            pass
    assert cuda.calls("cudaHostAlloc") == allocations


def test_several_devices(cuda: Simulated, recorder: Recorder) -> None:
    streams = [cuda.create_stream(device) for device in (0, 1)]
    graphs = []
    for device, stream in enumerate(streams):
        with cuda.on_device(device):
            graphs.append(two_stages(cuda, recorder, stream))
    for device, graph in enumerate(graphs):
        with cuda.on_device(device):
            graph.replay(device + 1)
    assert device_ms(recorder.report())["step"] == [3, 6, 6]


def test_a_scope_on_another_device(cuda: Simulated, recorder: Recorder) -> None:
    class Stream:
        device_index = 1
        cuda_stream = cuda.create_stream(1)

    stream = Stream.cuda_stream
    with recorder.graph_timing():
        cuda.begin_capture(stream)
        with recorder.scope("a", stream=Stream()):  # type: ignore[arg-type]
            cuda.enqueue(stream, MS)
        _, graph = cuda.end_capture(stream)
    executable = cuda.instantiate(graph)
    cuda.launch_graph(executable, stream)
    cuda.advance(10 * MS)
    assert device_ms(recorder.report()) == {"a": [1, 1, 1]}
    assert cuda.device() == 0


def test_a_scope_from_another_thread(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    with recorder.graph_timing(), captured(cuda, stream, RELAXED) as graph:

        def backward() -> None:
            cuda.set_device(0)
            with recorder.scope("backward", stream=stream):  # type: ignore[arg-type]
                cuda.enqueue(stream, MS)

        thread = threading.Thread(target=backward)
        thread.start()
        thread.join()
    graph.replay(2)
    assert device_ms(recorder.report()) == {"backward": [2, 1, 1]}


def test_scopes_across_a_capture_are_captured(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    before = recorder.begin("before", stream=stream)  # type: ignore[arg-type]
    with recorder.graph_timing(), captured(cuda, stream) as graph:
        recorder.end(before)
        after = recorder.begin("after")
    recorder.end(after)
    graph.replay()
    report = recorder.report()
    assert {path: report[path].counts["captured"] for path in ("before", "after")} == {
        "before": 1,
        "after": 1,
    }
    assert "ended after the capture" in report.captured_reason


def test_a_coarse_timer_is_refused(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    cuda.set_timer_step(5_000)
    graph = two_stages(cuda, recorder, stream)
    assert graph.nodes == 3
    report = recorder.report()
    assert report["step"].counts["captured"] == 1
    assert "timer advances in steps of 5 us" in report.warnings[0].message


def test_kernels_that_cannot_be_loaded(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    cuda.fail("cuModuleLoadData", 218)
    graph = two_stages(cuda, recorder, stream)
    assert graph.nodes == 3
    report = recorder.report()
    assert report["step"].counts["captured"] == 1
    assert "on cuda:0, cuModuleLoadData returned 218" in report.captured_reason
    two_stages(cuda, recorder, stream).replay()  # the next entry tries again
    assert recorder.report()["step"].counts["ok"] == 1


def test_the_reason_is_that_of_the_last_capture(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    cuda.set_unused(1)
    with recorder.graph_timing():
        with captured(cuda, stream):
            late = recorder.begin("late")
        recorder.end(late)
        assert "ended after the capture" in recorder.report().captured_reason
        with cuda.on_device(1), captured(cuda, cuda.create_stream(1)), recorder.scope("a"):
            pass
    assert "had not prepared the device" in recorder.report().captured_reason


def test_too_many_scopes_are_captured(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    with recorder.graph_timing(max_scopes=2), captured(cuda, stream) as graph:
        for name in "abc":
            with recorder.scope(name):
                cuda.enqueue(stream, MS)
            cuda.enqueue(stream, MS)
    graph.replay()
    report = recorder.report()
    assert device_ms(report) == {"a": [1, 1, 1], "b": [1, 1, 1]}
    assert report["c"].counts["captured"] == 1
    assert "raise max_scopes of graph_timing()" in report.warnings[0].message


def test_graph_timing_inside_a_capture_is_harmless(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    with captured(cuda, stream) as graph:
        with recorder.graph_timing(), recorder.scope("a"):
            cuda.enqueue(stream, MS)
    assert graph.nodes == 1
    assert "graph_timing() had not prepared the device" in recorder.report().captured_reason


def test_preparing_beside_a_capture_is_harmless(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    with captured(cuda, stream):
        cuda.set_current_stream(0)  # the caller's stream does not capture
        with recorder.graph_timing():
            pass


def test_reading_calls_nothing(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    graph = two_stages(cuda, recorder, stream)
    recorder.report()
    functions = ("cuEventElapsedTime_v2", "cudaEventElapsedTime", "cuLaunchKernel", "cuEventRecord")
    before = [cuda.calls(function) for function in functions]
    for _ in range(3):
        graph.launch()
    cuda.advance(50 * MS)
    assert recorder.report()["step"].count == 3
    assert [cuda.calls(function) for function in functions] == before


def test_ordinary_scopes_read_graphs(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    graph = two_stages(cuda, recorder, stream, depth=4)
    for _ in range(40):
        with recorder.scope("replay", stream=stream):  # type: ignore[arg-type]
            graph.replay()
    assert recorder.report()["step"].lost == 0


def test_a_waiting_report_waits_for_replays(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    graph = two_stages(cuda, recorder, stream)
    cuda.set_current_stream(stream)
    for _ in range(4):
        graph.launch()
    assert recorder.report().sites == ()
    assert recorder.report(wait=True)["step"].count == 4
    assert [site.path for site in recorder.report().walk()] == ["step", "step/a", "step/b"]


def test_a_waiting_report_leaves_captures_alone(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    two_stages(cuda, recorder, stream)
    with recorder.graph_timing(), captured(cuda, stream) as graph:
        recorder.report(wait=True, timeout=0.01)
    assert graph.nodes == 0


def test_replays_before_a_reset_do_not_count(
    cuda: Simulated, recorder: Recorder, stream: int
) -> None:
    graph = two_stages(cuda, recorder, stream)
    graph.replay(3)
    recorder.reset()
    assert recorder.report().sites == ()
    graph.replay(2)
    assert recorder.report(reset=True)["step"].count == 2
    graph.replay(1)
    assert recorder.report()["step"].count == 1


def test_samples_of_replays(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    graph = two_stages(cuda, recorder, stream)
    began = cuda.now_ns
    graph.replay(2)
    recorder.report()
    first, second = recorder.samples("step/b")
    assert (first.status, first.host_time, first.device_time) == ("ok", None, pytest.approx(3e-3))
    assert first.host_begin == pytest.approx(began * 1e-9 + 3e-3, abs=1e-6)
    assert second.host_begin - first.host_begin == pytest.approx(0.1, abs=1e-5)


def test_since_and_merge_count_replays(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    graph = two_stages(cuda, recorder, stream, depth=4)
    graph.replay(6)
    earlier = recorder.report()
    graph.replay(9)
    later = recorder.report()
    difference = later.since(earlier)
    assert (earlier["step"].lost, later["step"].lost) == (3, 9)
    assert (difference["step"].count, difference["step"].lost) == (9, 6)
    merged = Report.merge(earlier, difference)
    assert (merged["step"].count, merged["step"].lost) == (15, 9)


def test_a_saved_report_keeps_lost_replays(
    cuda: Simulated, recorder: Recorder, stream: int, tmp_path: object
) -> None:
    import fasttime

    graph = two_stages(cuda, recorder, stream, depth=4)
    graph.replay(6)
    report = recorder.report()
    path = f"{tmp_path}/report.json"
    report.save(path)
    assert fasttime.load(path) == report
    assert [site.lost for site in report.walk()] == [3, 3, 3]
    assert "replays of CUDA graphs" in str(report)


def test_a_frame_has_the_lost_replays(cuda: Simulated, recorder: Recorder, stream: int) -> None:
    pytest.importorskip("pandas")
    graph = two_stages(cuda, recorder, stream, depth=4)
    graph.replay(6)
    assert recorder.report().to_pandas()["lost"].tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_scopes": 0}, "max_scopes must lie between 1 and 4,096, got 0"),
        ({"depth": 40_000}, "depth must lie between 1 and 32,768, got 40,000"),
    ],
)
def test_arguments_are_checked(recorder: Recorder, arguments: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        recorder.graph_timing(**arguments)


def test_without_cuda_it_warns(recorder: Recorder) -> None:
    timing = recorder.graph_timing()
    with pytest.warns(TimingWarning, match=r"If there is a GPU, call torch.cuda.init\(\)") as found:
        timing.__enter__()
    assert found[0].filename == __file__
    with recorder.scope("a"):
        pass
    timing.__exit__(None, None, None)
    assert recorder.report()["a"].counts["host_only"] == 1
    with pytest.warns(TimingWarning, match="will have no time") as found:
        Recorder(graph_timing=True)
    assert found[0].filename == __file__


def test_entered_before_cuda_the_report_says_so(request: pytest.FixtureRequest) -> None:
    with pytest.warns(TimingWarning, match="prepared nothing"):
        recorder = Recorder(graph_timing=True)
    cuda: Simulated = request.getfixturevalue("cuda")  # CUDA starts here
    with captured(cuda, cuda.create_stream()) as graph, recorder.scope("a"):
        pass
    assert graph.nodes == 0
    (warning,) = [one for one in recorder.report().warnings if one.kind == "captured"]
    assert "enter it before the capture, and after the first use of the device" in warning.message


@pytest.mark.skipif(
    not simulated_cuda.torch_can_be_simulated(), reason="torch here is not built for CUDA 13"
)
def test_a_child_of_a_fork_leaves_the_block(forking_with_gpus: Forking) -> None:
    done = forking_with_gpus.run(f"""
import sys; sys.path.insert(0, {str(simulated_cuda.HERE)!r})
import os, warnings
import binding, fasttime, torch
from simulated_cuda import Simulated

warnings.simplefilter("ignore")  # CUDA is not in use yet
recorder = fasttime.Recorder()
with recorder.graph_timing():
    child = os.fork()
if child == 0:
    sim = Simulated.preloaded()
    torch.cuda.init()
    binding.use_clock_of(sim.lib)
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    x = torch.ones(8, device="cuda")
    with recorder.graph_timing(), torch.cuda.graph(graph, stream=stream):
        with recorder.scope("a"):
            y = x + x
    graph.replay()
    torch.cuda.synchronize()
    os._exit(0 if recorder.report()["a"].counts["ok"] == 1 else 1)
assert os.waitpid(child, 0)[1] == 0
""")
    assert done.returncode == 0, done.stderr

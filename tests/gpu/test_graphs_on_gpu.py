# SPDX-License-Identifier: BSD-3-Clause
"""Scopes inside CUDA graphs on a real device: one sample per replay."""

from __future__ import annotations

import ctypes
import gc
import itertools
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from latch import Latch, host_must_not_wait_for

from fasttime import Recorder, Report

pytestmark = pytest.mark.gpu

STAGES = 20
KERNELS_PER_STAGE = 5
US = 1_700  # clock cycles of torch's spinning kernel, at least half a microsecond at any clock
SHORT, LONG = 20 * US, 200 * US
MODES = {"global": 0, "thread_local": 1, "relaxed": 2}  # values of cudaStreamCaptureMode
IF, CONDITIONAL, ASSIGN_DEFAULT = 0, 13, 1  # cudaGraphCondTypeIf, node type, handle flag


def call_cuda(name: str, *arguments: object) -> None:
    """Call a function of torch's CUDA runtime, which must succeed."""
    try:
        function = getattr(ctypes.CDLL(None), name)
    except AttributeError:
        function = getattr(ctypes.CDLL("libc10_cuda.so"), name)
    status = function(*arguments)
    assert status == 0, f"{name} returned {status}"


def call_driver(name: str, *arguments: object) -> None:
    """Call a function of the driver, which must succeed."""
    status = getattr(ctypes.CDLL("libcuda.so.1"), name)(*arguments)
    assert status == 0, f"{name} returned {status}"


class RawGraph:
    """A graph captured without torch.cuda.graph, and what was made of it."""

    def __init__(self) -> None:
        self.graph = ctypes.c_void_p()
        self.executables: list[ctypes.c_void_p] = []

    @contextmanager
    def capture(self, stream: torch.cuda.Stream, mode: int = 1) -> Iterator[None]:
        handle = ctypes.c_void_p(stream.cuda_stream)
        call_cuda("cudaStreamBeginCapture", handle, mode)
        try:
            yield
        finally:
            status = ctypes.CDLL(None).cudaStreamEndCapture(handle, ctypes.byref(self.graph))
        assert status == 0, f"the capture was destroyed: cudaStreamEndCapture returned {status}"
        self.instantiate()

    def instantiate(self) -> None:
        made = ctypes.c_void_p()
        call_cuda(
            "cudaGraphInstantiateWithFlags", ctypes.byref(made), self.graph, ctypes.c_ulonglong(0)
        )
        self.executables.append(made)

    def launch(self, stream: torch.cuda.Stream, index: int = 0) -> None:
        call_cuda("cudaGraphLaunch", self.executables[index], ctypes.c_void_p(stream.cuda_stream))

    @classmethod
    def of_children(cls, child: RawGraph, count: int) -> RawGraph:
        """Return a graph that runs `count` copies of a child graph, one after another."""
        made = cls()
        last: ctypes.c_void_p | None = None
        call_cuda("cudaGraphCreate", ctypes.byref(made.graph), 0)
        for _ in range(count):
            node = ctypes.c_void_p()
            call_cuda(
                "cudaGraphAddChildGraphNode",
                ctypes.byref(node),
                made.graph,
                None if last is None else ctypes.byref(last),
                ctypes.c_size_t(0 if last is None else 1),
                child.graph,
            )
            last = node
        made.instantiate()
        return made

    @property
    def nodes(self) -> int:
        count = ctypes.c_size_t()
        call_cuda("cudaGraphGetNodes", self.graph, None, ctypes.byref(count))
        return count.value

    def destroy(self) -> None:
        for executable in self.executables:
            call_cuda("cudaGraphExecDestroy", executable)
        call_cuda("cudaGraphDestroy", self.graph)


@pytest.fixture(autouse=True)
def _warm() -> None:
    """Load torch's spinning kernel: the first launch must not lie in a capture."""
    torch.cuda._sleep(US)
    torch.cuda.synchronize()


def let_rings_rest(recorder: Recorder) -> None:
    """Let the device work for longer than a ring rests after its graph is gone, and read twice."""
    for _ in range(2):
        recorder.report(wait=True)
        torch.cuda._sleep(400_000_000)
        torch.cuda.synchronize()
        recorder.report(wait=True)


def stage_work(stage: int) -> None:
    for _ in range(KERNELS_PER_STAGE):
        torch.cuda._sleep(SHORT + stage * 4 * US)


def decode(recorder: Recorder) -> None:
    """Run 20 stages of 5 kernels, which lie end to end."""
    with recorder.phases("decode") as phase:
        for stage in range(STAGES):
            phase(f"stage {stage}")
            stage_work(stage)


def medians(report: Report) -> list[float]:
    """Return the median time of each stage in seconds."""
    found = (report[f"decode/stage {stage}"].device for stage in range(STAGES))
    return [times.median for times in found if times is not None]


@pytest.fixture
def decode_graph(recorder: Recorder, stream: torch.cuda.Stream) -> RawGraph:
    graph = RawGraph()
    with recorder.graph_timing(max_scopes=32, depth=16384), graph.capture(stream):
        decode(recorder)
    return graph


def test_stages_agree_with_plain_scopes(
    recorder: Recorder, stream: torch.cuda.Stream, decode_graph: RawGraph, latch: Latch
) -> None:
    assert decode_graph.nodes == STAGES * KERNELS_PER_STAGE + STAGES + 1
    for _ in range(30):
        decode_graph.launch(stream)
    in_graph = recorder.report(wait=True, reset=True)
    assert in_graph["decode"].count == 30
    assert in_graph.warnings == ()
    for _ in range(5):  # the host is ahead, so the stages follow each other at once
        latch.hold(stream)
        for _ in range(5):
            decode(recorder)
        latch.release()
        stream.synchronize()
    plain = recorder.report(wait=True)
    for stage, (replayed, issued) in enumerate(zip(medians(in_graph), medians(plain), strict=True)):
        assert abs(replayed - issued) < 6e-6 + 0.05 * issued, (stage, replayed, issued)


def test_stages_add_up_to_the_replay(
    recorder: Recorder, stream: torch.cuda.Stream, decode_graph: RawGraph, latch: Latch
) -> None:
    decode_graph.launch(stream)
    recorder.report(wait=True, reset=True)
    wholes = []
    for _ in range(30):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        latch.hold(stream)  # so that the replay does not wait for the host between the events
        begin.record(stream)
        decode_graph.launch(stream)
        end.record(stream)
        latch.release()
        end.synchronize()
        wholes.append(begin.elapsed_time(end) * 1e-3)
    report = recorder.report(wait=True)
    whole, parts = statistics.median(wholes), sum(medians(report))
    assert report["decode"].count == 30
    assert abs(parts - whole) < 0.02 * whole, (parts, whole)


def test_stages_lie_in_order_on_the_timeline(
    recorder: Recorder, stream: torch.cuda.Stream, decode_graph: RawGraph
) -> None:
    with recorder.record_timeline() as timeline:
        for _ in range(3):
            with recorder.scope("replay"):
                decode_graph.launch(stream)
    spans = [span for span in timeline.spans if span.parent == "decode"]
    assert len(spans) == 3 * STAGES
    assert [span.name for span in spans] == 3 * [f"stage {stage}" for stage in range(STAGES)]
    assert all(span.host_end is None and span.device_begin is not None for span in spans)
    for before, after in itertools.pairwise(spans):
        assert before.device_end is not None
        assert after.device_begin is not None
        assert after.device_begin > before.device_end - 2e-6
    replays = [span for span in timeline.spans if span.path == "replay"]
    wholes = [span for span in timeline.spans if span.path == "decode"]
    for replay, whole in zip(replays, wholes, strict=True):
        assert replay.device_begin is not None
        assert whole.device_begin is not None
        assert replay.device_end is not None
        assert whole.device_end is not None
        assert replay.uncertainty is not None
        assert whole.uncertainty is not None
        error = replay.uncertainty + whole.uncertainty + 2e-6
        # The brackets of the clocks' comparisons, and the drift between them. 56 us was seen.
        assert whole.uncertainty < 500e-6
        assert whole.device_begin > replay.device_begin - error
        assert whole.device_end < replay.device_end + error


def test_replays_of_torchs_graph_show_on_a_timeline(
    recorder: Recorder, stream: torch.cuda.Stream
) -> None:
    graph = torch.cuda.CUDAGraph()
    with recorder.graph_timing(), torch.cuda.graph(graph, stream=stream):
        with recorder.scope("stage"):
            torch.cuda._sleep(SHORT)
    graph.replay()
    recorder.report(wait=True, reset=True)
    with recorder.record_timeline() as timeline:
        for _ in range(3):
            graph.replay()
    graph.replay()
    stages = [span for span in timeline.spans if span.name == "stage"]
    replays = [span for span in timeline.spans if span.name == "graph replay"]
    assert (len(stages), len(replays)) == (3, 3)
    assert recorder.report(wait=True)["stage"].count == 4
    assert recorder.report()["graph replay"].count == 3


def test_no_replay_is_lost_far_ahead(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    graph = RawGraph()
    with recorder.graph_timing(max_scopes=32, depth=16384), graph.capture(stream):
        for name in "abc":
            with recorder.scope(name):
                torch.cuda._sleep(US)
    for _ in range(10_000):
        graph.launch(stream)
    report = recorder.report(wait=True)
    for name in "abc":
        assert (report[name].counts["ok"], report[name].lost) == (10_000, 0)


def test_overruns_are_counted(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    graph = RawGraph()
    with recorder.graph_timing(depth=16), graph.capture(stream), recorder.scope("a"):
        torch.cuda._sleep(US)
    for _ in range(500):
        graph.launch(stream)
    stream.synchronize()
    site = recorder.report(wait=True)["a"]
    assert (site.counts["ok"], site.lost) == (15, 485)


def test_reading_while_the_device_runs(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    graph = RawGraph()
    with recorder.graph_timing(depth=8), graph.capture(stream), recorder.scope("a"):
        torch.cuda._sleep(US)
    for _ in range(2_000):
        graph.launch(stream)
        recorder.report()
    site = recorder.report(wait=True)["a"]
    assert site.count == 2_000
    assert site.device is not None
    assert site.device.count > 0
    assert site.device.min > 0.4e-6
    assert site.device.max < 0.1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("is_on", [False, True], ids=["off", "on"])
def test_nodes_of_a_capture(
    recorder: Recorder, stream: torch.cuda.Stream, mode: str, is_on: bool
) -> None:
    graph = RawGraph()
    with recorder.graph_timing():
        pass
    timing = recorder.graph_timing()
    if is_on:
        timing.__enter__()
    with graph.capture(stream, MODES[mode]), recorder.scope("a"):
        torch.cuda._sleep(US)
        with recorder.scope("b"):
            torch.cuda._sleep(US)
    if is_on:
        timing.__exit__(None, None, None)
    assert graph.nodes == (2 + 3 if is_on else 2)
    graph.launch(stream)
    report = recorder.report(wait=True)
    assert report["a"].counts["ok" if is_on else "captured"] == 1


def test_replays_on_another_stream(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    graph = torch.cuda.CUDAGraph()
    with recorder.graph_timing(), torch.cuda.graph(graph), recorder.scope("a"):
        torch.cuda._sleep(LONG)
    for other in (stream, torch.cuda.Stream()):
        with torch.cuda.stream(other):
            graph.replay()
    torch.cuda.synchronize()
    site = recorder.report()["a"]
    # CUDA runs one executable graph once at a time.
    assert (site.counts["ok"], site.lost) == (2, 0)


def test_graphs_with_one_pool(recorder: Recorder) -> None:
    pool = torch.cuda.graph_pool_handle()
    graphs = []
    x = torch.ones(1024, device="cuda")  # replays read it, so it must stay alive
    with recorder.graph_timing():
        for name in ("large", "small"):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool), recorder.scope(name):
                y = x
                for _ in range(10):
                    y = y * 2
            graphs.append(graph)
    for graph in (*graphs, graphs[0]):
        graph.replay()
    report = recorder.report(wait=True)
    assert [report[name].counts["ok"] for name in ("large", "small")] == [2, 1]


class Square(torch.autograd.Function):
    recorder: Recorder

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        with Square.recorder.scope("square"):
            return x * x

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: torch.autograd.function.BackwardCFunction, gradient: torch.Tensor
    ) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        with Square.recorder.scope("square backward"):
            return 2 * x * gradient


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = Square.apply(x * self.weight)
        return y


@pytest.mark.filterwarnings("ignore:The AccumulateGrad node's stream")
def test_graphed_callables_forward_and_backward(recorder: Recorder) -> None:
    Square.recorder = recorder
    model = Model().cuda()
    x = torch.randn(8, 64, device="cuda", requires_grad=True)
    with recorder.graph_timing():
        graphed = torch.cuda.make_graphed_callables(model, (x,))
    recorder.report(wait=True, reset=True)
    for _ in range(5):
        graphed(x).sum().backward()
    report = recorder.report(wait=True)
    for name in ("square", "square backward"):
        assert (report[name].counts["ok"], report[name].host.count) == (5, 0), name


def test_graphs_that_are_captured_again(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    for turn in range(1, 21):
        graph = torch.cuda.CUDAGraph()
        with recorder.graph_timing(max_scopes=4, depth=16), torch.cuda.graph(graph):
            with recorder.scope("a"):
                torch.cuda._sleep(US)
        for _ in range(3):
            graph.replay()
        del graph
        gc.collect()
        torch.cuda.synchronize()
        assert recorder.report(wait=True)["a"].counts["ok"] == 3 * turn
    assert recorder.report()["a"].lost == 0


def test_a_graph_destroyed_while_it_waits(
    recorder: Recorder, stream: torch.cuda.Stream, latch: Latch
) -> None:
    graph = RawGraph()
    # The rings that the loop below asks for are there, because pinning memory may wait.
    with recorder.graph_timing(max_scopes=8, depth=16), graph.capture(stream):
        with recorder.scope("a"):
            torch.cuda._sleep(US)
    graph.launch(stream)
    recorder.report(wait=True)
    with host_must_not_wait_for(latch):
        latch.hold(stream)
        graph.launch(stream)
        graph.destroy()
        for _ in range(3):
            recorder.report()
            with recorder.graph_timing(max_scopes=1, depth=16):
                pass
        latch.release()
    assert recorder.report(wait=True)["a"].counts["ok"] == 2


def test_two_instantiations_are_not_mixed_up(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    graph, other = RawGraph(), torch.cuda.Stream()
    with recorder.graph_timing(), graph.capture(stream):
        with recorder.scope("outer"):
            torch.cuda._sleep(US)
            with recorder.scope("inner"):
                torch.cuda._sleep(LONG)
            torch.cuda._sleep(US)
    graph.instantiate()
    graph.launch(stream)
    stream.synchronize()
    alone = recorder.report(reset=True)["outer/inner"].device
    assert alone is not None
    for _ in range(50):
        graph.launch(stream)
        graph.launch(other, 1)
    torch.cuda.synchronize()
    report = recorder.report()
    for path in ("outer", "outer/inner"):
        site = report[path]
        assert site.count == 100
        assert site.lost > 0  # they did overlap
        if site.device is not None:
            assert site.device.min > 0.5 * alone.min
            assert site.device.max < 3 * alone.max
    for _ in range(3):  # later replays are timed again
        graph.launch(stream)
        stream.synchronize()
    assert recorder.report()["outer/inner"].counts["ok"] >= 3


def test_a_child_graph(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    child = RawGraph()
    with recorder.graph_timing(), child.capture(stream):
        with recorder.scope("child"):
            torch.cuda._sleep(SHORT)
    parent = RawGraph.of_children(child, 2)
    for _ in range(3):
        parent.launch(stream)
    child.launch(stream)
    stream.synchronize()
    child.destroy()  # the parent has copies
    let_rings_rest(recorder)
    parent.launch(stream)
    site = recorder.report(wait=True)["child"]
    assert (site.counts["ok"], site.lost) == (9, 0)
    assert site.device is not None
    assert site.device.min > 5e-6  # the kernel takes at least 10 us, at any clock


class ConditionalParams(ctypes.Structure):
    """CUgraphNodeParams, for a conditional node."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("reserved0", ctypes.c_int * 3),
        ("handle", ctypes.c_uint64),
        ("condition", ctypes.c_int),
        ("size", ctypes.c_uint),
        ("bodies", ctypes.POINTER(ctypes.c_void_p)),
        ("context", ctypes.c_void_p),
        ("reserved1", ctypes.c_char * (256 - 16 - 32)),
    )


@pytest.mark.parametrize("runs", [0, 1])
def test_a_conditional_body(recorder: Recorder, stream: torch.cuda.Stream, runs: int) -> None:
    driver = ctypes.CDLL("libcuda.so.1")
    if not hasattr(driver, "cuStreamBeginCaptureToGraph"):
        pytest.skip("the driver has no conditional nodes")
    handle, graph, node = ctypes.c_uint64(), ctypes.c_void_p(), ctypes.c_void_p()
    context = ctypes.c_void_p()
    call_driver("cuCtxGetCurrent", ctypes.byref(context))
    call_driver("cuGraphCreate", ctypes.byref(graph), 0)
    call_driver(
        "cuGraphConditionalHandleCreate",
        ctypes.byref(handle),
        graph,
        context,
        runs,  # the value at each launch
        ASSIGN_DEFAULT,
    )
    params = ConditionalParams(
        type=CONDITIONAL, handle=handle.value, condition=IF, size=1, context=context
    )
    call_driver(
        "cuGraphAddNode_v2",
        ctypes.byref(node),
        graph,
        None,
        None,
        ctypes.c_size_t(0),
        ctypes.byref(params),
    )
    body = ctypes.c_void_p(params.bodies[0])
    raw = ctypes.c_void_p(stream.cuda_stream)
    with recorder.graph_timing():
        call_driver("cuStreamBeginCaptureToGraph", raw, body, None, None, ctypes.c_size_t(0), 2)
        captured = ctypes.c_void_p()
        try:
            with recorder.scope("body"):
                torch.cuda._sleep(SHORT)
        finally:
            call_driver("cuStreamEndCapture", raw, ctypes.byref(captured))
        assert captured.value == body.value
    whole = RawGraph()
    whole.graph = graph
    whole.instantiate()
    for _ in range(3):
        whole.launch(stream)
    call_driver("cuGraphDestroy", graph)  # what was made of it is alive
    let_rings_rest(recorder)
    whole.launch(stream)
    report = recorder.report(wait=True)
    assert report.captured_reason == ""
    assert ("body" in report) == (runs > 0)
    if runs:
        assert report["body"].counts["ok"] == 4


def test_several_devices(recorder: Recorder) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two devices")
    graphs = []
    for device in range(2):
        with torch.cuda.device(device):
            torch.cuda._sleep(US)
            torch.cuda.synchronize()
    with recorder.graph_timing():
        for device in range(2):
            with torch.cuda.device(device):
                graph = torch.cuda.CUDAGraph()
                # Without a stream, torch captures on the device of its first capture.
                capture = torch.cuda.graph(graph, stream=torch.cuda.Stream())
                with capture, recorder.scope(f"on {device}"):
                    torch.cuda._sleep(SHORT)
                graphs.append(graph)
    for device, graph in enumerate(graphs):
        with torch.cuda.device(device):
            for _ in range(device + 1):
                graph.replay()
            torch.cuda.synchronize()
    report = recorder.report()
    assert [report[f"on {device}"].counts["ok"] for device in range(2)] == [1, 2]


def test_the_host_calls_nothing_to_read(
    recorder: Recorder, stream: torch.cuda.Stream, decode_graph: RawGraph, latch: Latch
) -> None:
    """Read while another stream is held: a synchronising call would never return."""
    held = torch.cuda.Stream()
    with host_must_not_wait_for(latch):
        latch.hold(held)
        decode_graph.launch(stream)
        stream.synchronize()
        assert recorder.report()["decode"].counts["ok"] == 1
        latch.release()


def test_an_empty_scope_reads_a_stamp(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    graph = RawGraph()
    with recorder.graph_timing(), graph.capture(stream), recorder.scope("empty"):
        pass
    for _ in range(50):
        graph.launch(stream)
    times = recorder.report(wait=True)["empty"].device
    assert times is not None
    assert 0 < times.median < 5e-6

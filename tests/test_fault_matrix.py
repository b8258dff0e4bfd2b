# SPDX-License-Identifier: BSD-3-Clause
"""Each function of the runtime table answers each error, in each state of a program.

Whichever call fails, the program continues, all scopes are counted, and the report names the
failure. The next scope is timed again, unless the error means that the device is lost.
"""

from __future__ import annotations

import ctypes
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from leftovers import pool_is_whole
from private_simulation import private_simulation, rebind
from simulated_cuda import (
    CAPTURE_IMPLICIT,
    CAPTURED_EVENT,
    GLOBAL,
    INVALID_CONTEXT,
    INVALID_HANDLE,
    INVALID_VALUE,
    NOT_READY,
    Simulated,
)

from fasttime import _C, Recorder, Report

MS = 1_000_000
SECOND = 1000 * MS

# Errors that a CUDA call may answer, and after which the program continues.
PASSING = [
    1,  # cudaErrorInvalidValue
    2,  # cudaErrorMemoryAllocation
    35,  # cudaErrorInsufficientDriver
    46,  # cudaErrorDevicesUnavailable
    100,  # cudaErrorNoDevice
    101,  # cudaErrorInvalidDevice
    201,  # cudaErrorDeviceUninitialized
    400,  # cudaErrorInvalidResourceHandle
    401,  # cudaErrorIllegalState
    600,  # cudaErrorNotReady
    900,  # cudaErrorStreamCaptureUnsupported
    901,  # cudaErrorStreamCaptureInvalidated
    906,  # cudaErrorStreamCaptureImplicit
    907,  # cudaErrorCapturedEvent
    999,  # cudaErrorUnknown
]
# After these errors, no call on the device succeeds again.
STICKY = [
    4,  # cudaErrorCudartUnloading
    700,  # cudaErrorIllegalAddress
    709,  # cudaErrorContextIsDestroyed
    719,  # cudaErrorLaunchFailure
    911,  # cudaErrorExternalDevice
]

# Every function of the table that answers a status, with the faults that make fasttime call it:
# (function, error, after, times). Some functions are called only after another one failed.
DRIVER_CANNOT_READ = ("cuEventElapsedTime_v2", INVALID_CONTEXT, 0, -1)
READING_FAILS = ("cudaEventElapsedTime", INVALID_HANDLE, 0, 1)
FUNCTIONS: dict[str, list[tuple[str, int, int, int]]] = {
    "cudaEventCreateWithFlags": [],
    "cudaEventRecord": [("cuEventRecord", INVALID_CONTEXT, 0, -1)],
    "cudaEventElapsedTime": [DRIVER_CANNOT_READ],
    "cudaGetDeviceCount": [],
    "cudaGetDevice": [],
    "cudaStreamCreateWithFlags": [],
    "cudaStreamIsCapturing": [("cuStreamIsCapturing", INVALID_CONTEXT, 0, -1)],
    "cudaThreadExchangeStreamCaptureMode": [],
    "cudaStreamQuery": [],
    "cudaGetLastError": [DRIVER_CANNOT_READ, READING_FAILS],
    "cudaPeekAtLastError": [DRIVER_CANNOT_READ, READING_FAILS],
    "cudaRuntimeGetVersion": [],
    "cuStreamIsCapturing": [],
    "cuStreamQuery": [],
    "cuEventRecord": [],
    "cuEventElapsedTime_v2": [],
    "cuDevicePrimaryCtxGetState": [],
    "cuDevicePrimaryCtxRetain": [],
    "cuCtxPushCurrent_v2": [],
    "cuCtxPopCurrent_v2": [],
    "cuCtxGetCurrent": [],
    "aoti_torch_get_current_cuda_stream": [],
}
# The functions that only scopes inside CUDA graphs call.
GRAPH_FUNCTIONS: dict[str, list[tuple[str, int, int, int]]] = {
    "cuModuleLoadData": [],
    "cuModuleGetFunction": [],
    "cuLaunchKernel": [],
    "cuStreamGetCaptureInfo_v2": [],
    "cuUserObjectCreate": [],
    "cuGraphRetainUserObject": [],
    "cuUserObjectRelease": [("cuGraphRetainUserObject", INVALID_VALUE, 0, 1)],
    "cudaHostAlloc": [],
}
COMPANIONS = FUNCTIONS | GRAPH_FUNCTIONS
# A failure of a driver function is reported under the name of the runtime's function.
TOLD_AS = {"cuEventRecord": "cudaEventRecord", "cuEventElapsedTime_v2": "cudaEventElapsedTime"}
READING = {"cuEventElapsedTime_v2", "cudaEventElapsedTime"}
WITHOUT_STATUS = {"cudaGetErrorName", "cudaGetErrorString"}
# No scope calls these: test_stream_hold.py and test_waits.py.
OF_MEASURE = {
    "cuStreamWaitValue32_v2",
    "cudaDeviceSynchronize",
    "cudaStreamSynchronize",
}
ERROR_QUERIES = {"cudaGetLastError", "cudaPeekAtLastError"}

# (after, times): the first call fails; the second; the first three.
PATTERNS = [(0, 1), (1, 1), (0, 3)]


class OtherDevice:
    """A stream object for the default stream of cuda:1."""

    device_index = 1
    cuda_stream = 0


@dataclass
class Program:
    """A program with a recorder. The functions below bring it into a state; `arm` sets a fault."""

    cuda: Simulated
    streams: list[int]
    fault: Callable[[], None]
    recorder: Recorder = field(default_factory=lambda: Recorder(share_boundaries=False))
    begun: int = 0
    wrong: list[str] = field(default_factory=list)
    skipped: int = 0  # streams that a stream check left out

    def arm(self) -> None:
        self.fault()

    def scope(self, name: str, stream: object = None, work: int = MS) -> None:
        handle = stream if isinstance(stream, int) else 0
        self.begun += 1
        with self.recorder.scope(name, stream=stream):  # type: ignore[arg-type]
            self.cuda.enqueue(handle, work)

    def report(self) -> Report:
        self.cuda.advance(10 * MS)
        return self.recorder.report()

    def earlier(self) -> None:
        """Some scopes were measured before the fault."""
        self.scope("earlier")
        assert self.report()["earlier"].counts["ok"] == 1


def first_scope_ever(program: Program) -> None:
    program.arm()
    rebind(program.cuda)
    if program.cuda.peek_error() != 0:
        program.wrong.append("binding left the thread's last error set")
    program.scope("a")
    program.report()


def begin(program: Program) -> None:
    program.earlier()
    program.arm()
    program.scope("a")
    program.scope("a", program.streams[0])
    program.report()


def end(program: Program) -> None:
    program.earlier()
    program.begun += 2
    outer = program.recorder.begin("a")
    inner = program.recorder.begin("b", stream=program.streams[0])
    program.arm()
    program.recorder.end(inner)
    program.recorder.end(outer)
    program.report()


def first_phase(program: Program) -> None:
    program.earlier()
    program.begun += 3
    with program.recorder.phases("block", stream=program.streams[0]) as phase:
        program.arm()
        phase("a")
        program.cuda.enqueue(program.streams[0], MS)
        phase("b")
    program.report()


def later_phases(program: Program) -> None:
    program.earlier()
    program.begun += 5
    with program.recorder.phases("block") as phase:
        phase("a")
        program.cuda.enqueue(0, MS)
        program.arm()
        phase("b")
        phase("c")
        phase(None)
        phase("d")
    program.report()


def several_streams(program: Program) -> None:
    """Scopes over several streams: begun, ended, and waiting for one of their streams."""
    program.earlier()
    both: Any = program.streams[:2]
    with program.cuda.held(program.streams[1]):
        program.begun += 3
        with program.recorder.scope("pending", streams=both):
            program.cuda.enqueue(both[0], MS)
        early = program.recorder.begin("early", streams=both)
        program.arm()
        with program.recorder.scope("a", streams=both):
            program.cuda.enqueue(both[0], MS)
        program.recorder.end(early)
        program.report()
    program.report()


def watched_streams(program: Program) -> None:
    """A stream check that finds a stream busy after the end of a scope."""
    program.earlier()
    own, side = program.streams[:2]
    watch = _C.StreamWatch()
    watch.prepare(0)
    with program.cuda.on_device(1):
        program.cuda.enqueue(0, MS // 100)  # within the margin
    program.arm()
    program.cuda.enqueue(side, MS)
    watch.mark(1, [(0, 0), (0, own)], [(0, side), (1, 0)])
    program.cuda.advance(10 * MS)
    busy, _ = watch.read()
    if len(busy) > 1 or (busy and busy[0][2:] != (side, MS)):
        program.wrong.append(f"found other work than there was: {busy}")
    watch.read()
    program.skipped = watch.skipped
    program.report()


def reading(program: Program) -> None:
    program.earlier()
    held = program.streams[0]
    program.scope("ready")
    with program.cuda.held(held):
        program.scope("pending", held)
        dropped = program.recorder.begin("dropped", stream=held)
        program.begun += 1
        del dropped
        program.arm()
        program.report()
        program.report()
        # Events that were freed too early would be used again here.
        for _ in range(70):
            program.scope("behind", held)
    program.report()


def waiting(program: Program) -> None:
    program.earlier()
    held = program.streams[0]
    with program.cuda.held(held):
        program.scope("pending", held)
        program.scope("ready", work=30 * MS)
        program.arm()
        started = program.cuda.now_ns
        program.recorder.report(wait=True, timeout=0.2)
        assert program.cuda.now_ns - started <= 201 * MS
        for _ in range(70):
            program.scope("behind", held)
    program.recorder.report(wait=True, timeout=1)


def capturing(program: Program) -> None:
    program.earlier()
    other, graph = program.streams[:2]
    early = program.recorder.begin("early", stream=graph)
    program.begun += 1
    program.cuda.begin_capture(graph, GLOBAL)
    nodes = program.cuda.capture_nodes(graph)
    program.arm()
    for stream in (None, graph, other):
        program.scope("a", stream, work=0)
    with program.recorder.scope("b", stream=OtherDevice()):  # type: ignore[arg-type]
        program.begun += 1  # the first scope of its device
    program.recorder.end(early)
    program.recorder.report(wait=True, timeout=0.01)
    assert program.cuda.capture_alive(graph)
    assert program.cuda.capture_nodes(graph) == nodes + 1  # the test's own node
    assert program.cuda.end_capture(graph)[0] == 0
    program.report()


def two_devices(program: Program) -> None:
    program.earlier()
    program.arm()
    for _ in range(2):
        program.begun += 2
        with program.recorder.scope("a", stream=OtherDevice()):  # type: ignore[arg-type]
            with program.recorder.scope("b"):
                pass
        program.report()


def time_a_graph(program: Program, arm: str) -> None:
    """Capture two stages, replay them twice, and count what they should yield."""
    program.earlier()
    cuda, recorder, stream = program.cuda, program.recorder, program.streams[0]
    if arm == "before":
        program.arm()
    with recorder.graph_timing(max_scopes=4, depth=8):
        cuda.begin_capture(stream, GLOBAL)
        cuda.enqueue(stream, MS)
        if arm == "inside":
            program.arm()
        for name in ("stage 1", "stage 2"):
            with recorder.scope(name, stream=stream):  # type: ignore[arg-type]
                cuda.enqueue(stream, MS)
        assert cuda.capture_alive(stream)
        code, graph = cuda.end_capture(stream)
        assert code == 0
    executable = cuda.instantiate(graph)
    if arm == "after":
        program.arm()
    for _ in range(2):
        cuda.launch_graph(executable, stream)
        cuda.advance(10 * MS)
        recorder.report()
    report = program.report()
    for path in ("stage 1", "stage 2"):
        found = next((site for site in report.walk() if site.path == path), None)
        count = found.count if found else 0
        untimed = count - found.counts["ok"] - found.lost if found else 0
        program.begun += count
        if report.backend == "cuda" and (count, untimed) not in ((2, 0), (1, 1)):
            program.wrong.append(f"{path}: {count} counted, {untimed} without a time")
        if found and found.device and {found.device.min, found.device.max} != {1e-3}:
            program.wrong.append(f"{path} took {found.device.min} to {found.device.max}")


def preparing_a_graph(program: Program) -> None:
    time_a_graph(program, "before")


def capturing_a_graph(program: Program) -> None:
    time_a_graph(program, "inside")


def replaying_a_graph(program: Program) -> None:
    time_a_graph(program, "after")


GRAPH_STATES = [preparing_a_graph, capturing_a_graph, replaying_a_graph]
STATES = [
    first_scope_ever,
    begin,
    end,
    first_phase,
    later_phases,
    several_streams,
    watched_streams,
    reading,
    waiting,
    capturing,
    two_devices,
]


@pytest.fixture
def simulation(simulated_library: Path, tmp_path: Path) -> Iterator[tuple[Simulated, list[int]]]:
    with private_simulation(simulated_library, tmp_path) as cuda:
        yield cuda, [cuda.create_stream(), cuda.create_stream(blocking=True)]


def patiently(ask: Callable[[], int]) -> int:
    """Return the answer of a call that an armed fault may fail."""
    for _ in range(5):
        try:
            return ask()
        except RuntimeError:
            pass
    return ask()


def capture_mode(cuda: Simulated) -> int:
    """Return this thread's capture mode, and leave it as it is."""
    mode = ctypes.c_int(GLOBAL)
    for _ in range(8):
        if cuda.lib.cudaThreadExchangeStreamCaptureMode(ctypes.byref(mode)) == 0:
            break
    return mode.value


def is_told(report: Report, function: str, error: int) -> bool:
    """Return whether the report says that `function` returned `error`."""
    if (
        f"{TOLD_AS.get(function, function)} returned {error} "
        in report.last_failure + report.backend_reason
    ):
        return True
    if function == "cuStreamGetCaptureInfo_v2" and report.captured_reason:
        return True
    if function.startswith("aoti") and report.last_failure.startswith("torch could not say"):
        return True
    if error == CAPTURE_IMPLICIT and function.endswith("StreamIsCapturing"):
        return report.captured > 0 or "stage 1" in report  # right: the stream does capture
    return function in READING and error in {INVALID_VALUE, CAPTURED_EVENT} and report.captured > 0


def is_no_failure(function: str, error: int) -> bool:
    """Return whether an error is normal here, or makes fasttime use another function."""
    if function == "cuStreamIsCapturing":  # cudaStreamIsCapturing is called next
        return error != CAPTURE_IMPLICIT
    if function == "cuLaunchKernel" and error == INVALID_CONTEXT:  # the runtime makes one current
        return True
    if function == "cuStreamGetCaptureInfo_v2":  # without an answer, boundaries share no stamp
        return True
    if function in TOLD_AS and error == INVALID_CONTEXT:  # the runtime's function is called next
        return True
    if function in READING:  # not done; not recorded yet; recorded in a capture
        return error in {NOT_READY, INVALID_HANDLE, INVALID_VALUE, CAPTURED_EVENT}
    if function in {"cudaStreamQuery", "cuStreamQuery"} and error == NOT_READY:  # it has work
        return True
    if function == "cuStreamQuery" and error == INVALID_CONTEXT:  # this thread has no context yet
        return True
    return function in ERROR_QUERIES


def faulty_run(
    simulation: tuple[Simulated, list[int]],
    state: Callable[[Program], None],
    function: str,
    error: int,
    pattern: tuple[int, int],
) -> Iterator[str]:
    """Yield each problem that one fault causes in one state."""
    cuda, streams = simulation
    cuda.reset()
    rebind(cuda)
    calls_before = 0

    def fault() -> None:
        nonlocal calls_before
        calls_before = cuda.calls(function)
        cuda.fail(function, error, *pattern)
        for companion in COMPANIONS[function]:
            cuda.fail(*companion)

    program = Program(cuda, streams, fault)
    recorder = program.recorder
    state(program)
    if function not in ERROR_QUERIES:
        yield from program.wrong
    was_hit = cuda.calls(function) - calls_before > pattern[0]
    report = recorder.report()
    was_skipped = program.skipped > 0 and error in {CAPTURE_IMPLICIT, CAPTURED_EVENT, INVALID_VALUE}
    is_known = was_skipped or is_told(report, function, error)
    if was_hit and not is_no_failure(function, error) and not is_known:
        yield "not told"
    if report.failed and not report.last_failure:
        yield "a scope failed without a word"
    if function not in ERROR_QUERIES and cuda.peek_error() != 0:
        yield "left the thread's last error set"
    cuda.last_error()
    if (device := patiently(cuda.device)) != 0:
        yield f"left device {device} current"
        cuda.set_device(0)
    if (mode := capture_mode(cuda)) != GLOBAL:
        yield f"left the thread's capture mode at {mode}"

    if report.backend == "host":
        if error not in STICKY:
            yield f"gave up for {error}: {report.backend_reason}"
        if f"returned {error} " not in report.backend_reason:
            yield f"does not say why it went quiet: {report.backend_reason}"
        calls = cuda.calls("cudaEventRecord"), cuda.calls("cudaEventElapsedTime")
        program.scope("quiet")
        if program.report()["quiet"].counts["host_only"] != 1:
            yield "did not go on with host time"
        if calls != (cuda.calls("cudaEventRecord"), cuda.calls("cudaEventElapsedTime")):
            yield "did not go quiet"
    else:
        if error in STICKY and f"returned {error} " in report.last_failure:
            yield "still uses a lost device"
        for _ in range(4):  # faults that are still armed strike
            for stream in (None, OtherDevice()):
                program.scope("after", stream)
            cuda.advance(SECOND)
            recorder.report()
        cuda.last_error()
        for name, stream in (("well", None), ("well on cuda:1", OtherDevice())):
            program.scope(name, stream)
            counts = program.report()[name].counts
            if not counts["ok"] and recorder.report().backend == "cuda":
                yield f"did not recover: {name} {counts}"

    report = recorder.report()
    counted = sum(site.count for site in report.walk())
    if (counted, report.open, report.pending) != (program.begun, 0, 0):
        yield f"{program.begun} begun: {counted} counted, {report.open=}, {report.pending=}"
    if state is not first_scope_ever:
        earlier = report["earlier"]
        if (earlier.counts["ok"], earlier.device and earlier.device.total) != (1, 1e-3):
            yield f"an earlier sample is lost: {earlier}"
    if cuda.rerecorded_in_flight:
        yield "an event was used again while in flight"
    if cuda.used_after_destroy:
        yield "an event was used after its end"
    del program, recorder
    if not all(pool_is_whole(device) for device in (0, 1)):
        yield "an event is missing from its pool"


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_cuda_errors_do_no_harm(
    simulation: tuple[Simulated, list[int]], state: Callable[[Program], None], function: str
) -> None:
    wrong = defaultdict(list)
    for (after, times), error in product(PATTERNS, PASSING + STICKY):
        for what in faulty_run(simulation, state, function, error, (after, times)):
            wrong[f"{what}; {times} of {function} after {after}"].append(error)
    if wrong:
        pytest.fail("\n".join(f"{what}: {errors}" for what, errors in wrong.items()))


@pytest.mark.parametrize("function", COMPANIONS)
@pytest.mark.parametrize("state", GRAPH_STATES, ids=lambda state: state.__name__)
def test_cuda_errors_do_no_harm_to_graphs(
    simulation: tuple[Simulated, list[int]], state: Callable[[Program], None], function: str
) -> None:
    test_cuda_errors_do_no_harm(simulation, state, function)


def test_another_error_outlives_the_first_scope(
    simulation: tuple[Simulated, list[int]],
) -> None:
    cuda, _ = simulation
    rebind(cuda)
    recorder = Recorder()
    cuda.lib.cudaSetDevice(99)
    theirs = cuda.peek_error()
    assert theirs != 0
    for _ in range(3):  # these include the first comparisons of the clocks
        with recorder.scope("a"):
            pass
        cuda.advance(SECOND)
        recorder.report()
    assert cuda.last_error() == theirs


def test_the_matrix_has_every_function_of_the_table() -> None:
    source = Path(__file__).parent.parent / "csrc" / "cuda" / "cuda_runtime.cpp"
    looked_up = re.findall(
        r'(?:(?:find|driver)\(table\.\w+,|source\.\w+\()\s*"((?:cu|aoti)\w+)"', source.read_text()
    )
    assert set(looked_up) == set(COMPANIONS) | WITHOUT_STATUS | OF_MEASURE

# SPDX-License-Identifier: BSD-3-Clause
"""`measure` beside other streams, other libraries and other threads on a GPU."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from known_kernels import kernel

import fasttime

pytestmark = pytest.mark.gpu

SHORT_NS, SIDE_NS = 10_000, 150_000
CAPTURES = 10
HANG_S = 60.0


def kinds(measurement: fasttime.Measurement) -> set[str]:
    return {warning.kind for warning in measurement.warnings}


@pytest.fixture(scope="module", autouse=True)
def _kernels_are_loaded() -> None:
    kernel(SHORT_NS)()
    torch.cuda.synchronize()


def forking(joined: bool) -> Callable[[], None]:
    """Return a call of 10 us that forks 150 us to another stream, and perhaps joins it."""
    side, short, long = torch.cuda.Stream(), kernel(SHORT_NS), kernel(SIDE_NS)

    def fn() -> None:
        short()
        current = torch.cuda.current_stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            long()
        if joined:
            current.wait_stream(side)

    return fn


# --- short work beside ---


def test_short_work_beside_a_held_run_is_told() -> None:
    apart = fasttime.measure(forking(joined=False), hold=True, warmup=2, repeat=22)
    assert apart.held
    assert "other_streams" in kinds(apart)
    joined = fasttime.measure(forking(joined=True), hold=True, warmup=2, repeat=22)
    assert "other_streams" not in kinds(joined)
    assert joined.median > SIDE_NS * 1e-9 > apart.median


@pytest.mark.parametrize("repeat", [1, 2, 5])
def test_short_work_beside_few_runs_is_told(repeat: int) -> None:
    fn = forking(joined=False)
    fn()
    assert "other_streams" in kinds(fasttime.measure(fn, warmup=0, repeat=repeat))
    joined = forking(joined=True)
    joined()
    assert "other_streams" not in kinds(fasttime.measure(joined, warmup=0, repeat=repeat))


def test_short_work_beside_is_told_by_default() -> None:
    assert "other_streams" in kinds(fasttime.measure(forking(joined=False), budget=0.2))
    assert "other_streams" not in kinds(fasttime.measure(forking(joined=True), budget=0.2))


def test_a_candidate_that_forks_is_told() -> None:
    found = fasttime.compare(
        {"joined": forking(joined=True), "forks": forking(joined=False)}, rounds=8, budget=0.5
    )
    assert "other_streams" in kinds(found.measurements["forks"])
    assert "other_streams" not in kinds(found.measurements["joined"])


# --- what a graph lacks ---


def test_a_graph_lacks_a_librarys_own_stream() -> None:
    own = ctypes.c_void_p()
    assert ctypes.CDLL(None).cudaStreamCreateWithFlags(ctypes.byref(own), 1) == 0
    short, long = kernel(50_000), kernel(400_000, own)

    def fn() -> None:
        short()
        long()

    fn()
    torch.cuda.synchronize()
    found = fasttime.measure(fn, method="graph", budget=0.2)
    assert "outside_capture" in kinds(found), found
    assert "outside_capture" not in kinds(fasttime.measure(short, method="graph", budget=0.2))


def test_a_graph_lacks_another_stream_of_torch() -> None:
    side, short, long = torch.cuda.Stream(), kernel(50_000), kernel(400_000)

    def fn() -> None:
        short()
        with torch.cuda.stream(side):
            long()

    assert "outside_capture" in kinds(fasttime.measure(fn, method="graph", budget=0.2))
    joined = fasttime.measure(forking(joined=True), method="graph", budget=0.2)
    assert "outside_capture" not in kinds(joined)


def test_a_graph_lacks_cupy_on_the_null_stream() -> None:
    cupy = pytest.importorskip("cupy")
    values, short = cupy.zeros(1 << 28, dtype=cupy.float32), kernel(50_000)  # some 0.5 ms to read

    def fn() -> None:
        short()
        cupy.add(values, 1, out=values)

    with cupy.cuda.Stream.null:
        fn()
        torch.cuda.synchronize()
        found = fasttime.measure(fn, method="graph", budget=0.2)
    assert "outside_capture" in kinds(found), found


# --- other threads ---


@pytest.fixture
def pinning() -> Iterator[list[BaseException]]:
    """Pin memory and query events on another thread; yield the errors of that thread."""
    stop, errors = threading.Event(), []

    def body() -> None:
        own, size = torch.cuda.Stream(), 0
        device = torch.empty(1 << 20, dtype=torch.uint8, device="cuda")
        try:
            while not stop.is_set():
                size = size % 64 + 1
                pinned = torch.empty(size << 20, dtype=torch.uint8, pin_memory=True)
                with torch.cuda.stream(own):
                    device.copy_(pinned[: 1 << 20], non_blocking=True)
                    event = own.record_event()
                event.query()
                event.synchronize()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    yield errors
    stop.set()
    thread.join(HANG_S)


def test_captures_survive_a_thread_that_pins_memory(pinning: list[BaseException]) -> None:
    x = torch.zeros(1 << 16, device="cuda")

    def fn() -> None:
        for _ in range(200):  # long enough for the thread to pin memory meanwhile
            x.add_(1)

    for _ in range(CAPTURES):
        assert fasttime.measure(fn, method="graph", warmup=1, repeat=5).median > 0
    assert not pinning, pinning


def measured_beside_a_capture(mode: str, measure: Callable[[], object]) -> list[BaseException]:
    """Measure ten times while another thread captures; return the errors of that thread."""
    stream, errors = torch.cuda.Stream(), []
    x = torch.zeros(1 << 16, device="cuda")
    x.add_(1)
    begun, measured = threading.Semaphore(0), threading.Semaphore(0)

    def capture() -> None:
        try:
            for _ in range(CAPTURES):
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.stream(stream):
                    graph.capture_begin(capture_error_mode=mode)
                    begun.release()
                    assert measured.acquire(timeout=HANG_S)
                    x.add_(1)
                    graph.capture_end()
                graph.replay()
        except BaseException as error:
            errors.append(error)
            begun.release(CAPTURES)

    measure()  # allocations and kernels at their first use are not what is tested
    torch.cuda.synchronize()
    thread = threading.Thread(target=capture)
    thread.start()
    for _ in range(CAPTURES):
        assert begun.acquire(timeout=HANG_S)
        measure()
        measured.release()
    thread.join(HANG_S)
    return errors


WAYS: dict[str, dict[str, object]] = {
    "sync": {"method": "sync", "warmup": 1, "repeat": 5},
    "naive": {"method": "naive", "warmup": 1, "repeat": 5},
    "event": {"warmup": 1, "repeat": 20},
    "held": {"hold": True, "warmup": 1, "repeat": 5},
    "cold": {"hold": True, "cache": "cold", "warmup": 1, "repeat": 5},
    "automatic": {"budget": 0.05},
}


@pytest.mark.parametrize("mode", ["global", "thread_local", "relaxed"])
@pytest.mark.parametrize("way", WAYS)
def test_captures_of_another_thread_survive(way: str, mode: str) -> None:
    fn = kernel(SHORT_NS)
    errors = measured_beside_a_capture(mode, lambda: fasttime.measure(fn, **WAYS[way]))  # type: ignore[arg-type]
    assert errors == []


def test_a_wait_for_the_device_would_destroy_them() -> None:
    """The negative control of the tests above, in a process that a destroyed capture may spoil."""
    code = """
import contextlib, torch
from test_measure_beside_on_gpu import measured_beside_a_capture

def wait():
    with contextlib.suppress(RuntimeError):
        torch.cuda.synchronize()

assert measured_beside_a_capture("relaxed", wait) != []
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
def test_waits_are_not_the_users() -> None:
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for options in (*WAYS.values(), {"method": "graph", "budget": 0.05}):
            fasttime.measure(kernel(SHORT_NS), **options)  # type: ignore[arg-type]
    finally:
        torch.cuda.set_sync_debug_mode(before)

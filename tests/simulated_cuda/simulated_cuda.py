# SPDX-License-Identifier: BSD-3-Clause
"""Steer the simulated CUDA runtime from Python tests.

Use it in two ways. `Simulated(build(directory))` in this process is for unit tests.
`run_under_simulation` runs Python code under the real CUDA build of torch on simulated devices.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import c_char_p, c_float, c_int, c_int32, c_int64, c_uint, c_void_p
from pathlib import Path
from typing import TypeVar

from simulation_build import (
    HERE,
    build,
    cached_build,
    run_under_simulation,
    simulation_environment,
    torch_can_be_simulated,
)

__all__ = [
    "HERE",
    "CudaError",
    "Simulated",
    "build",
    "cached_build",
    "in_thread",
    "run_under_simulation",
    "simulation_environment",
    "torch_can_be_simulated",
]

T = TypeVar("T")

# Error numbers of the runtime that tests name.
SUCCESS = 0
INVALID_VALUE = 1
INVALID_DEVICE = 101
INVALID_CONTEXT = 201
INVALID_HANDLE = 400
ILLEGAL_STATE = 401
NOT_READY = 600
CAPTURE_UNSUPPORTED = 900
CAPTURE_INVALIDATED = 901
CAPTURE_ISOLATION = 905
CAPTURE_IMPLICIT = 906
CAPTURED_EVENT = 907
CAPTURE_WRONG_THREAD = 908
UNKNOWN = 999  # a real wait that never ended

GLOBAL, THREAD_LOCAL, RELAXED = 0, 1, 2  # capture modes
EVENT_DISABLE_TIMING = 2
EVENT_RECORD_EXTERNAL = 1


HANG_S = 30.0  # only a broken test waits that long


def in_thread(body: Callable[[], T]) -> T:
    """Run `body` on a new thread, with its own current device, last error and capture mode."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(body).result(HANG_S)


# The result type and argument types of each function. Handles are integers in Python.
_SIGNATURES: dict[str, tuple[type | None, list[type]]] = {
    "sim_reset": (None, []),
    "sim_set_devices": (None, [c_int]),
    "fasttime_host_now_ns": (c_int64, []),
    "fasttime_pause": (None, [c_int64]),
    "sim_advance": (None, [c_int64]),
    "sim_set_host_cost": (None, [c_int64]),
    "sim_set_launch_time": (None, [c_int64]),
    "sim_set_event_time": (None, [c_int64]),
    "sim_enqueue": (None, [c_void_p, c_int64]),
    "sim_hold": (None, [c_void_p]),
    "sim_release": (None, [c_void_p]),
    "sim_backlog_ns": (c_int64, [c_void_p]),
    "sim_set_queue_limit": (None, [c_int64]),
    "sim_set_one_queue": (None, [c_int]),
    "sim_set_hardware_queue": (None, [c_void_p, c_int]),
    "sim_hold_allocations": (None, [c_int]),
    "sim_restart_clock": (None, []),
    "sim_set_timer_step": (None, [c_int64]),
    "sim_set_stamp_time": (None, [c_int64]),
    "sim_capture_nodes": (c_int64, [c_void_p]),
    "sim_capture_alive": (c_int, [c_void_p]),
    "sim_fail": (c_int, [c_char_p, c_int, c_int64, c_int64]),
    "sim_set_sticky": (None, [c_int]),
    "sim_calls": (c_int64, [c_char_p]),
    "sim_calls_without_gil": (c_int64, [c_char_p]),
    "sim_events_alive": (c_int64, []),
    "sim_rerecorded_in_flight": (c_int64, []),
    "sim_used_after_destroy": (c_int64, []),
    "sim_set_current_stream": (None, [c_int32, c_void_p]),
    "sim_set_torch_device": (None, [c_int]),
    "sim_set_unused": (None, [c_int]),
    "sim_is_started": (c_int, [c_int]),
    "sim_set_driver_needs_context": (None, [c_int]),
    "cudaSetDevice": (c_int, [c_int]),
    "cudaGetDevice": (c_int, [c_void_p]),
    "cudaGetDeviceCount": (c_int, [c_void_p]),
    "cudaGetLastError": (c_int, []),
    "cudaPeekAtLastError": (c_int, []),
    "cudaGetErrorName": (c_char_p, [c_int]),
    "cudaStreamCreateWithFlags": (c_int, [c_void_p, c_uint]),
    "cudaStreamCreateWithPriority": (c_int, [c_void_p, c_uint, c_int]),
    "cudaStreamDestroy": (c_int, [c_void_p]),
    "cudaStreamQuery": (c_int, [c_void_p]),
    "cuStreamQuery": (c_int, [c_void_p]),
    "cudaStreamSynchronize": (c_int, [c_void_p]),
    "cudaStreamWaitEvent": (c_int, [c_void_p, c_void_p, c_uint]),
    "cudaDeviceSynchronize": (c_int, []),
    "cudaStreamBeginCapture": (c_int, [c_void_p, c_int]),
    "cudaStreamEndCapture": (c_int, [c_void_p, c_void_p]),
    "cudaStreamIsCapturing": (c_int, [c_void_p, c_void_p]),
    "cuStreamIsCapturing": (c_int, [c_void_p, c_void_p]),
    "cuStreamWaitValue32_v2": (c_int, [c_void_p, c_void_p, c_uint, c_uint]),
    "cudaThreadExchangeStreamCaptureMode": (c_int, [c_void_p]),
    "cudaEventCreateWithFlags": (c_int, [c_void_p, c_uint]),
    "cudaEventDestroy": (c_int, [c_void_p]),
    "cudaEventRecord": (c_int, [c_void_p, c_void_p]),
    "cudaEventRecordWithFlags": (c_int, [c_void_p, c_void_p, c_uint]),
    "cudaEventQuery": (c_int, [c_void_p]),
    "cudaEventSynchronize": (c_int, [c_void_p]),
    "cudaEventElapsedTime": (c_int, [c_void_p, c_void_p, c_void_p]),
    "cudaGraphInstantiateWithFlags": (c_int, [c_void_p, c_void_p, ctypes.c_ulonglong]),
    "cudaGraphLaunch": (c_int, [c_void_p, c_void_p]),
    "cudaGraphDestroy": (c_int, [c_void_p]),
    "cudaGraphExecDestroy": (c_int, [c_void_p]),
    "cudaGraphGetNodes": (c_int, [c_void_p, c_void_p, c_void_p]),
    "cudaHostAlloc": (c_int, [c_void_p, ctypes.c_size_t, c_uint]),
    "cudaFreeHost": (c_int, [c_void_p]),
}


class CudaError(RuntimeError):
    """A runtime call failed that should have succeeded; `code` is the runtime's error number."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function} returned {code}")
        self.code = code


class Simulated:
    """The simulated runtime: its controls and the runtime's own functions.

    Streams and events are integer handles; stream 0 is the current device's default stream. All
    times are in virtual ns. Methods raise CudaError on failure. Methods whose result tests check
    return the error number instead: `record`, `query`, `query_stream`, `synchronize`, `elapsed`,
    `wait_event`, `end_capture`, `is_capturing`.
    """

    def __init__(self, library: str | os.PathLike[str] | None) -> None:
        self.path = None if library is None else Path(library)
        self.lib = ctypes.CDLL(None if library is None else str(library))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments

    @classmethod
    def preloaded(cls) -> Simulated:
        """Return the simulation that this process runs under."""
        return cls(None)

    def _made(self, function: str, *arguments: object) -> int:
        made = c_void_p()
        self._check(function, ctypes.byref(made), *arguments)
        return made.value or 0

    def _check(self, function: str, *arguments: object) -> None:
        code = getattr(self.lib, function)(*arguments)
        if code != SUCCESS:
            raise CudaError(function, code)

    # ---- the world

    def reset(self) -> None:
        """Reset everything. Existing handles stay usable but no longer count."""
        self.lib.sim_reset()

    def set_devices(self, count: int) -> None:
        self.lib.sim_set_devices(count)

    @property
    def now_ns(self) -> int:
        return int(self.lib.fasttime_host_now_ns())

    def advance(self, ns: int) -> None:
        """Move the clock."""
        self.lib.sim_advance(ns)

    def restart_clock(self) -> None:
        """Let the clock start anew, as a host clock may after a suspension."""
        self.lib.sim_restart_clock()

    def pause(self, ns: int) -> None:
        """Pause as a drain does between two readings: the clock moves, another thread may run."""
        self.lib.fasttime_pause(ns)

    def set_host_cost(self, ns: int) -> None:
        """Let every record, launch and copy take the host that long."""
        self.lib.sim_set_host_cost(ns)

    def set_launch_time(self, ns: int) -> None:
        """Let every kernel and asynchronous copy take the device that long (default 10,000)."""
        self.lib.sim_set_launch_time(ns)

    def set_event_time(self, ns: int) -> None:
        """Let every record take the device that long, so that an empty pair of events reads it."""
        self.lib.sim_set_event_time(ns)

    def set_timer_step(self, ns: int) -> None:
        """Let the devices' timer advance in steps of that length (default 1)."""
        self.lib.sim_set_timer_step(ns)

    def set_stamp_time(self, ns: int) -> None:
        """Let every kernel that writes the timer take the device that long (default 0)."""
        self.lib.sim_set_stamp_time(ns)

    # ---- devices and streams

    def set_device(self, device: int) -> None:
        self._check("cudaSetDevice", device)

    def device(self) -> int:
        value = c_int()
        self._check("cudaGetDevice", ctypes.byref(value))
        return value.value

    def set_unused(self, device: int) -> None:
        """Make the device unused by this process: its first use makes a context there."""
        self.lib.sim_set_unused(device)

    def is_started(self, device: int) -> bool:
        return bool(self.lib.sim_is_started(device))

    def create_stream(self, device: int | None = None, blocking: bool = False) -> int:
        """Create a stream; non-blocking by default, as in torch."""
        flags = 0 if blocking else 1
        with self.on_device(device):
            return self._made("cudaStreamCreateWithFlags", flags)

    @contextmanager
    def on_device(self, device: int | None) -> Iterator[None]:
        before = self.device()
        self.set_device(before if device is None else device)
        try:
            yield
        finally:
            self.set_device(before)

    def set_current_stream(self, stream: int, device: int = -1) -> None:
        """Set what torch's shim returns on this thread. Has no effect under a real torch."""
        self.lib.sim_set_current_stream(device, stream)

    def set_torch_device(self, device: int) -> None:
        """Set the device that torch uses next on this thread; -1: the current one."""
        self.lib.sim_set_torch_device(device)

    def enqueue(self, stream: int, ns: int) -> None:
        """Add ns of device work."""
        self.lib.sim_enqueue(stream, ns)

    def hold(self, stream: int) -> None:
        """Let no further work on the stream complete before `release`."""
        self.lib.sim_hold(stream)

    def release(self, stream: int) -> None:
        self.lib.sim_release(stream)

    @contextmanager
    def held(self, stream: int) -> Iterator[None]:
        self.hold(stream)
        try:
            yield
        finally:
            self.release(stream)

    def query_stream(self, stream: int) -> int:
        return int(self.lib.cudaStreamQuery(stream))

    def backlog_ns(self, stream: int) -> int | None:
        """Return the work ahead of the next launch; None while held."""
        ns = int(self.lib.sim_backlog_ns(stream))
        return None if ns < 0 else ns

    def set_queue_limit(self, entries: int) -> None:
        """Make records and launches wait while this many entries are queued; 0: no limit."""
        self.lib.sim_set_queue_limit(entries)

    def set_one_queue(self, on: bool) -> None:
        """Let all streams of a device share one queue, as with CUDA_DEVICE_MAX_CONNECTIONS=1."""
        self.lib.sim_set_one_queue(int(on))

    def share_hardware_queue(self, *streams: int) -> None:
        """Let work on these streams run in the order of its issue, as in one hardware queue."""
        for stream in streams:
            self.lib.sim_set_hardware_queue(stream, 1)

    def hold_allocations(self, on: bool) -> None:
        """Make allocations wait until this is called with False."""
        self.lib.sim_hold_allocations(int(on))

    # ---- events

    def create_event(self, device: int | None = None, timing: bool = True) -> int:
        with self.on_device(device):
            return self._made("cudaEventCreateWithFlags", 0 if timing else EVENT_DISABLE_TIMING)

    def destroy_event(self, event: int) -> None:
        self._check("cudaEventDestroy", event)

    def record(self, event: int, stream: int = 0, external: bool = False) -> int:
        if external:
            return int(self.lib.cudaEventRecordWithFlags(event, stream, EVENT_RECORD_EXTERNAL))
        return int(self.lib.cudaEventRecord(event, stream))

    def recorded(self, stream: int = 0) -> int:
        """Create an event and record it on the stream."""
        event = self.create_event()
        code = self.record(event, stream)
        if code != SUCCESS:
            raise CudaError("cudaEventRecord", code)
        return event

    def query(self, event: int) -> int:
        return int(self.lib.cudaEventQuery(event))

    def synchronize(self, event: int) -> int:
        return int(self.lib.cudaEventSynchronize(event))

    def elapsed(self, begin: int, end: int) -> tuple[int, float]:
        """Return the error number and the time in ms, which is NaN if the call failed."""
        ms = c_float(float("nan"))
        code = self.lib.cudaEventElapsedTime(ctypes.byref(ms), begin, end)
        return int(code), ms.value

    def elapsed_ms(self, begin: int, end: int) -> float:
        code, ms = self.elapsed(begin, end)
        if code != SUCCESS:
            raise CudaError("cudaEventElapsedTime", code)
        return ms

    def wait_event(self, stream: int, event: int) -> int:
        return int(self.lib.cudaStreamWaitEvent(stream, event, 0))

    # ---- errors and faults

    def last_error(self) -> int:
        """Return the last error of this thread, and clear it."""
        return int(self.lib.cudaGetLastError())

    def peek_error(self) -> int:
        return int(self.lib.cudaPeekAtLastError())

    def fail(self, function: str, error: int, after: int = 0, times: int = 1) -> None:
        """Let `times` calls of `function` fail (-1: all) after the next `after` calls."""
        if self.lib.sim_fail(function.encode(), error, after, times) != 0:
            raise ValueError(f"the simulated runtime has no function {function!r}")

    def set_sticky(self, error: int) -> None:
        """Let every call return `error`, as after a crashed kernel; 0 ends this."""
        self.lib.sim_set_sticky(error)

    def set_driver_needs_context(self, on: bool) -> None:
        self.lib.sim_set_driver_needs_context(int(on))

    # ---- counters

    def calls(self, function: str) -> int:
        return int(self.lib.sim_calls(function.encode()))

    def calls_without_gil(self, function: str) -> int:
        """Return how many of these calls were made without the GIL; needs a single thread."""
        return int(self.lib.sim_calls_without_gil(function.encode()))

    @property
    def events_alive(self) -> int:
        return int(self.lib.sim_events_alive())

    @property
    def rerecorded_in_flight(self) -> int:
        return int(self.lib.sim_rerecorded_in_flight())

    @property
    def used_after_destroy(self) -> int:
        return int(self.lib.sim_used_after_destroy())

    # ---- captures

    def begin_capture(self, stream: int, mode: int = GLOBAL) -> None:
        self._check("cudaStreamBeginCapture", stream, mode)

    def end_capture(self, stream: int) -> tuple[int, int]:
        """Return the error number and the graph (0 if the capture was destroyed)."""
        graph = c_void_p()
        code = self.lib.cudaStreamEndCapture(stream, ctypes.byref(graph))
        return int(code), graph.value or 0

    def is_capturing(self, stream: int, driver: bool = False) -> tuple[int, int]:
        """Return the error number and the status (0 none, 1 active, 2 destroyed, -1 failed)."""
        status = c_int(-1)
        ask = self.lib.cuStreamIsCapturing if driver else self.lib.cudaStreamIsCapturing
        return int(ask(stream, ctypes.byref(status))), status.value

    def capture_alive(self, stream: int) -> bool:
        return bool(self.lib.sim_capture_alive(stream))

    def capture_nodes(self, stream: int) -> int:
        """Return the number of operations in the capture; -1: the stream is not capturing."""
        return int(self.lib.sim_capture_nodes(stream))

    def exchange_capture_mode(self, mode: int) -> int:
        value = c_int(mode)
        self._check("cudaThreadExchangeStreamCaptureMode", ctypes.byref(value))
        return value.value

    @contextmanager
    def capture_mode(self, mode: int) -> Iterator[None]:
        before = self.exchange_capture_mode(mode)
        try:
            yield
        finally:
            self.exchange_capture_mode(before)

    def instantiate(self, graph: int) -> int:
        return self._made("cudaGraphInstantiateWithFlags", graph, 0)

    def destroy_graph(self, graph: int) -> None:
        self._check("cudaGraphDestroy", graph)

    def destroy_executable(self, executable: int) -> None:
        self._check("cudaGraphExecDestroy", executable)

    def graph_nodes(self, graph: int) -> int:
        """Return the number of nodes of a graph."""
        count = ctypes.c_size_t()
        self._check("cudaGraphGetNodes", graph, None, ctypes.byref(count))
        return count.value

    def launch_graph(self, executable: int, stream: int) -> None:
        self._check("cudaGraphLaunch", executable, stream)

# SPDX-License-Identifier: BSD-3-Clause
"""The simulated runtime under every measurement: all waits and times are virtual."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field

import pytest
from simulated_cuda import NOT_READY, Simulated

machine = importlib.import_module("fasttime.measuring.machine")
calibration = importlib.import_module("fasttime.measuring.calibration")
held = importlib.import_module("fasttime.measuring.held")
adaptive = importlib.import_module("fasttime.measuring.adaptive")

US, MS, S = 1_000, 1_000_000, 1_000_000_000  # in ns

CLEAR_HOST, CLEAR_DEVICE = 5 * US, 40 * US


@dataclass
class Mark:
    """An event between two runs."""

    cuda: Simulated
    event: int

    def elapsed_time(self, later: Mark) -> float:
        return self.cuda.elapsed_ms(self.event, later.event)


@dataclass
class SimulatedMachine:
    """A host and a device whose work takes as long as a test says.

    A watchdog releases a held stream in real time. Here it waits for an hour, so that a slow test
    machine changes nothing. Tests of the watchdog call `let_go_soon`.

    The machine never changes by itself, so a measurement need not watch it for half a second.
    """

    cuda: Simulated
    monkeypatch: pytest.MonkeyPatch
    cuda_is_up: bool = True
    stream: int = 0
    torch_streams: list[tuple[int, int]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, value in {
            "clock": lambda: self.cuda.now_ns * 1e-9,
            "cuda_is_up": lambda: self.cuda_is_up,
            "is_capturing": lambda: False,
            "synchronize": self.synchronize,
            "synchronize_stream": self.synchronize_stream,
            "synchronize_device": self.synchronize_device,
            "current_device": self.cuda.device,
            "devices_in_use": lambda: (0, 1),
            "busy_streams": self.busy_streams,
            "mark": lambda: Mark(self.cuda, self.cuda.recorded(self.stream)),
            "device_name": lambda: "cuda:0 Simulated",
            "environment": lambda: None,
            "gpu_state": lambda: None,
            "sm_clock": lambda: None,
            "short_work": lambda: lambda: self.cuda.enqueue(self.stream, 2 * US),
            "cache_clearer": lambda: self.clear_cache,
        }.items():
            self.monkeypatch.setattr(machine, name, value)
        self.monkeypatch.setattr(adaptive, "_SOONEST", 0.1)
        self.monkeypatch.setattr(held, "_PATIENCE", 3600.0)
        self.monkeypatch.setattr(calibration, "_PATIENCE", 3600.0)

    def let_go_soon(self) -> None:
        """Let the watchdog release streams after 20 ms of real time."""
        self.monkeypatch.setattr(held, "_PATIENCE", 0.02)
        self.monkeypatch.setattr(held, "_PATIENCE_FACTOR", 0.0)

    def use_stream(self, stream: int) -> None:
        """Make a stream the current one."""
        self.stream = stream
        self.cuda.set_current_stream(stream)

    def work(self, host_ns: int, device_ns: int, stream: int | None = None) -> None:
        """Occupy the host for `host_ns`, then queue `device_ns` of work."""
        self.log.append("run")
        self.cuda.advance(host_ns)
        if device_ns:
            self.cuda.enqueue(self.stream if stream is None else stream, device_ns)

    def clear_cache(self) -> None:
        self.log.append("clear")
        self.cuda.advance(CLEAR_HOST)
        self.cuda.enqueue(self.stream, CLEAR_DEVICE)

    def synchronize(self) -> None:
        for device in (0, 1):
            self.synchronize_device(device)

    def synchronize_device(self, device: int) -> None:
        if device == self.cuda.device():
            self.log.append("wait")
        with self.cuda.on_device(device):
            assert self.cuda.lib.cudaDeviceSynchronize() == 0

    def busy_streams(self) -> list[tuple[int, int]]:
        """Return the `torch_streams` with unfinished work, except the current stream."""
        return [
            (device, stream)
            for device, stream in self.torch_streams
            if stream != self.stream and self.cuda.query_stream(stream) == NOT_READY
        ]

    def synchronize_stream(self) -> None:
        self.log.append("wait for the stream")
        assert self.cuda.lib.cudaStreamSynchronize(self.stream) == 0

    @property
    def runs(self) -> int:
        """How often `work` has run."""
        return self.log.count("run")

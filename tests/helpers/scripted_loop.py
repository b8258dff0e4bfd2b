# SPDX-License-Identifier: BSD-3-Clause
"""A scripted clock and device under the loops of `measure` and `compare`.

Times are seconds that binary fractions represent exactly, so tests can compare with ==.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field

import pytest

machine = importlib.import_module("fasttime.measuring.machine")


@dataclass
class Mark:
    """A moment on the device's stream."""

    reached: float

    def elapsed_time(self, later: Mark) -> float:
        return (later.reached - self.reached) * 1e3


@dataclass
class ScriptedLoop:
    """One host, one device with one stream, and a clock that a test moves."""

    cuda_is_up: bool = True
    is_capturing: bool = False
    now: float = 0.0
    done: float = 0.0  # when the device will have finished all launched work
    queue_limit: float = float("inf")  # seconds of queued work before a launch blocks
    log: list[str] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "clock", lambda: self.now)
        monkeypatch.setattr(machine, "cuda_is_up", lambda: self.cuda_is_up)
        monkeypatch.setattr(machine, "synchronize", self.synchronize)
        monkeypatch.setattr(machine, "synchronize_stream", self.synchronize)
        monkeypatch.setattr(machine, "synchronize_device", lambda device: self.synchronize())
        monkeypatch.setattr(machine, "current_device", lambda: 0)
        monkeypatch.setattr(machine, "devices_in_use", lambda: (0,))
        monkeypatch.setattr(machine, "busy_streams", lambda: ())
        monkeypatch.setattr(machine, "environment", lambda: None)
        monkeypatch.setattr(machine, "gpu_state", lambda: None)
        monkeypatch.setattr(machine, "sm_clock", lambda: None)
        monkeypatch.setattr(machine, "mark", self.mark)
        monkeypatch.setattr(machine, "is_capturing", lambda: self.is_capturing)
        monkeypatch.setattr(
            machine, "device_name", lambda: "cuda:0 Scripted" if self.cuda_is_up else "cpu"
        )

    def work(self, host: float, device: float) -> None:
        """Occupy the host for `host` seconds, then queue `device` seconds of work."""
        self.log.append("run")
        self.now += host
        self.done = max(self.now, self.done) + device
        self.now = max(self.now, self.done - self.queue_limit)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def synchronize(self) -> None:
        self.log.append("wait")
        if self.cuda_is_up:
            self.now = max(self.now, self.done)

    def mark(self) -> Mark | None:
        return Mark(max(self.now, self.done)) if self.cuda_is_up else None

# SPDX-License-Identifier: BSD-3-Clause
"""The simulated runtime, clock and all, under what measures: every wait and time is virtual."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field

import pytest
from simulated_cuda import Simulated

machine = importlib.import_module("fasttime.measuring.machine")

US, MS = 1_000, 1_000_000  # in ns


@dataclass
class SimulatedMachine:
    """A host and a device whose work is as long as a test says."""

    cuda: Simulated
    log: list[str] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "clock", lambda: self.cuda.now_ns() * 1e-9)
        monkeypatch.setattr(machine, "cuda_is_up", lambda: True)
        monkeypatch.setattr(machine, "is_capturing", lambda: False)
        monkeypatch.setattr(machine, "synchronize", self.synchronize)
        monkeypatch.setattr(machine, "synchronize_stream", self.synchronize_stream)
        monkeypatch.setattr(machine, "mark", lambda: None)
        monkeypatch.setattr(machine, "device_name", lambda: "cuda:0 Simulated")
        monkeypatch.setattr(machine, "environment", lambda: None)
        monkeypatch.setattr(machine, "cache_clearer", lambda: self.clear_cache)

    def work(self, host_ns: int, device_ns: int, stream: int = 0) -> None:
        """Take the host so long to issue what takes the device so long."""
        self.log.append("run")
        self.cuda.advance(host_ns)
        if device_ns:
            self.cuda.enqueue(stream, device_ns)

    def clear_cache(self) -> None:
        self.log.append("clear")
        self.cuda.advance(5 * US)
        self.cuda.enqueue(0, 40 * US)

    def synchronize(self) -> None:
        self.log.append("wait")
        self.cuda.lib.cudaDeviceSynchronize()

    def synchronize_stream(self) -> None:
        self.log.append("wait")
        self.cuda.synchronize(self.cuda.recorded(self.cuda.current_stream()))

# SPDX-License-Identifier: BSD-3-Clause
"""Scopes of known length on the simulated runtime."""

from __future__ import annotations

from simulated_cuda import Simulated

from fasttime import Recorder

MS = 1_000_000  # nanoseconds


def run(cuda: Simulated, recorder: Recorder, name: str, device_ns: int, host_ns: int = 0) -> None:
    """Time one scope that takes `device_ns` on the device and `host_ns` on the host."""
    with recorder.scope(name):
        cuda.enqueue(0, device_ns)
        cuda.advance(host_ns)

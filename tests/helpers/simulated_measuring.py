# SPDX-License-Identifier: BSD-3-Clause
"""Code that measures on torch's own CUDA build with simulated devices, each in a new process."""

from __future__ import annotations

from forked import Forking

# CUDA has not been started. Time is virtual for `measure` too. The watchdog has an hour, however
# slow this machine is.
_BEGIN = """
import os
import threading
import warnings

import fasttime
import torch
from fasttime import _native
from fasttime.measuring import held, machine
from fasttime.streams import pooled_streams
from simulated_cuda import Simulated

sim = Simulated.preloaded()
machine.clock = lambda: sim.now_ns * 1e-9
held._PATIENCE = 3600.0


def kinds(measurement):
    return [warning.kind for warning in measurement.warnings]
"""

_END = "os._exit(0)  # sooner than Python, which would free torch"


def run_measuring(forking: Forking, code: str) -> None:
    """Run the code after the imports above, and expect success without output on stderr."""
    done = forking.run(f"{_BEGIN}\n{code}\n{_END}")
    assert (done.returncode, done.stderr) == (0, "")

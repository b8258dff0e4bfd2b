# SPDX-License-Identifier: BSD-3-Clause
"""Where a result comes from: the machine, the versions, the day."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import torch


@dataclass(frozen=True)
class Environment:
    """The machine and the versions that a result was measured with.

    Attributes:
        date: when, in UTC, to the second.
        fasttime, torch, python: versions.
        cuda: the CUDA version that torch was built for; None without.
        gpu: the device's name; None on the CPU.
        driver: version of the GPU's driver, or ``unknown``; None on the CPU.
        cpu: the processor's name.
        cpu_count: its logical cores.
        platform: the operating system.
    """

    date: str
    fasttime: str
    torch: str
    cuda: str | None
    python: str
    gpu: str | None
    driver: str | None
    cpu: str
    cpu_count: int
    platform: str

    @property
    def device(self) -> str:
        """The device in a few words."""
        return self.gpu or f"{self.cpu}, {self.cpu_count} cores"


def describe(device: str) -> Environment:
    """Return the environment of results measured on `device`."""
    from . import __version__

    on_gpu = device != "cpu"
    return Environment(
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        fasttime=__version__,
        torch=torch.__version__,
        cuda=torch.version.cuda,
        python=platform.python_version(),
        gpu=torch.cuda.get_device_name(device) if on_gpu else None,
        driver=_driver_version() if on_gpu else None,
        cpu=_cpu_name(),
        cpu_count=os.cpu_count() or 1,
        platform=platform.platform(),
    )


def _driver_version() -> str:
    """Return the version of NVIDIA's driver; torch itself does not know it."""
    if tool := shutil.which("nvidia-smi"):
        query = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
        answer = subprocess.run(query, capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip():
            return answer.stdout.split()[0]
    with contextlib.suppress(OSError):
        kernel_module = Path("/proc/driver/nvidia/version").read_text()
        if found := re.search(r"\d+\.\d+(\.\d+)?", kernel_module):
            return found[0]
    return "unknown"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())

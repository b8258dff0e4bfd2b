# SPDX-License-Identifier: BSD-3-Clause
"""Where a result comes from: machine, versions, settings, the day; and the state of its GPU."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import torch

from .._version import __version__
from . import nvidia_smi, nvml
from .gpu_state import GpuState
from .nvml import gpu_state

__all__ = [
    "Environment",
    "GpuState",
    "cpu_governor",
    "cpu_name",
    "describe",
    "driver_version",
    "gpu_state",
]


@dataclass(frozen=True)
class Environment:
    """The machine, the versions and the settings of torch that a result was measured with.

    Attributes:
        date: when, in UTC, to the second.
        fasttime, torch, python: versions.
        cuda: the CUDA version that torch was built for; None without.
        gpu: the device's name; None on the CPU.
        driver: version of the GPU's driver, or ``unknown``; None on the CPU.
        cpu: the processor's name.
        cpu_count: its logical cores.
        platform: the operating system.
        gpu_index: the device's number, as torch counts; None on the CPU.
        gpu_uuid: which GPU of all it was; None on the CPU, or if unknown.
        compute_capability: of the GPU, such as ``9.0``; None on the CPU.
        host_name: the machine's name in its network; only reports of scopes have it.
        process_id: the process's number there; only these have it.
        threads: how many threads torch has for one operation on the CPU.
        matmul_precision: of products of float32 matrices, as `torch.set_float32_matmul_precision`
            takes it: ``highest``, or ``high`` where TF32 does.
        cudnn_tf32: whether convolutions of float32 may be done in TF32; None on the CPU.
        cudnn_benchmark: whether cuDNN tries its algorithms and takes the fastest; None on the CPU.

    The last four are None, too, in what an earlier version of fasttime has saved.
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
    # Later ones have defaults, so that what was saved before they were there can still be read.
    gpu_index: int | None = None
    gpu_uuid: str | None = None
    compute_capability: str | None = None
    host_name: str | None = None
    process_id: int | None = None
    threads: int | None = None
    matmul_precision: str | None = None
    cudnn_tf32: bool | None = None
    cudnn_benchmark: bool | None = None

    @property
    def device(self) -> str:
        """The device in a few words."""
        return self.gpu or f"{self.cpu}, {self.cpu_count} cores"


def describe(device: str | torch.device) -> Environment:
    """Return the environment of results measured on `device`: ``cpu``, ``cuda``, ``cuda:<index>``.

    Starts CUDA if the device is a CUDA device. Waits for nothing, but may take a second where the
    driver's version has to be asked of nvidia-smi; that is asked once in a process.
    """
    where = torch.device(device)
    on_gpu = where.type == "cuda"
    index = _index(where) if on_gpu else None
    return Environment(
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        fasttime=__version__,
        torch=str(torch.__version__),
        cuda=torch.version.cuda,
        python=platform.python_version(),
        gpu=None if index is None else torch.cuda.get_device_name(index),
        driver=driver_version() or "unknown" if on_gpu else None,
        cpu=cpu_name(),
        cpu_count=os.cpu_count() or 1,
        platform=platform.platform(),
        gpu_index=index,
        gpu_uuid=None if index is None else nvml.device_uuid(index),
        compute_capability=None if index is None else _compute_capability(index),
        threads=torch.get_num_threads(),
        matmul_precision=_matmul_precision(),
        cudnn_tf32=_cudnn_tf32() if on_gpu else None,
        cudnn_benchmark=torch.backends.cudnn.benchmark if on_gpu else None,
    )


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index


def _compute_capability(index: int) -> str:
    major, minor = torch.cuda.get_device_capability(index)
    return f"{major}.{minor}"


def _matmul_precision() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set by the names of torch 2.9, which the old ones do not read
        is_tf32 = torch.backends.cuda.matmul.fp32_precision == "tf32"
        return "high" if is_tf32 else "highest"


def _cudnn_tf32() -> bool:
    try:
        return bool(torch.backends.cudnn.allow_tf32)
    except RuntimeError:
        return bool(torch.backends.cudnn.conv.fp32_precision == "tf32")  # type: ignore[attr-defined]


@functools.cache
def driver_version() -> str | None:
    """Return the version of NVIDIA's driver, None if unknown; torch itself does not know it."""
    with contextlib.suppress(OSError):
        kernel_module = Path("/proc/driver/nvidia/version").read_text()
        if found := re.search(r"\d+\.\d+(\.\d+)?", kernel_module):
            return found[0]
    return nvml.driver_version() or next((gpu.driver for gpu in nvidia_smi.query().values()), None)


@functools.cache
def cpu_name() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def cpu_governor() -> str | None:
    """Return what sets the processor's clock, such as ``performance``; None if unknown."""
    with contextlib.suppress(OSError):
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text().strip()
    return None

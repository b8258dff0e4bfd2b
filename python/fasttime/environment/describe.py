# SPDX-License-Identifier: BSD-3-Clause
"""The environment of a result: machine, versions, settings and date."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import platform
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .._version import __version__
from . import nvml
from .gpu_state import GpuState
from .nvml import gpu_state

if TYPE_CHECKING:
    from ..documents import Fields

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
    """The machine, the versions and torch's settings behind a result.

    Attributes:
        date: the date and time of the measurement, in UTC, to the second.
        fasttime, torch, python: versions.
        cuda: the CUDA version that torch was built for; None without CUDA.
        gpu: the GPU's name; None on the CPU.
        driver: the version of the GPU's driver, or ``unknown``; None on the CPU.
        cpu: the processor's name.
        cpu_count: the number of logical cores.
        platform: the operating system.
        gpu_index: the GPU's number in torch; None on the CPU.
        gpu_uuid: the GPU's unique id; None on the CPU, or if unknown.
        compute_capability: the GPU's compute capability, such as ``9.0``; None on the CPU.
        host_name: the machine's network name. Only reports of scopes have it.
        process_id: the number of the process. Only reports of scopes have it.
        threads: how many threads torch uses for one operation on the CPU.
        matmul_precision: the precision of float32 matrix products, as in
            `torch.set_float32_matmul_precision`: ``highest``, or ``high`` with TF32.
        cudnn_tf32: whether float32 convolutions may use TF32; None on the CPU.
        cudnn_benchmark: whether cuDNN tries its algorithms and uses the fastest; None on the CPU.

    The last four are also None in results that an earlier version of fasttime saved.
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
    # Fields that came later have defaults, so that older files can be read.
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

    @classmethod
    def from_fields(cls, found: Fields) -> Environment:
        """Return the environment in a document.

        The document may come from a fasttime with more fields or fewer fields. Raises ValueError if
        a field without a default is missing.
        """
        known = {}
        for field in dataclasses.fields(cls):
            if field.name in found.names() or field.default is dataclasses.MISSING:
                known[field.name] = found.raw(field.name)
        return cls(**known)


def describe(device: str | torch.device) -> Environment:
    """Return the environment of results on `device`: ``cpu``, ``cuda`` or ``cuda:<index>``.

    Starts CUDA for a CUDA device. Waits for nothing.
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
    except RuntimeError:  # it was set by the names of torch 2.9, which the old names cannot read
        is_tf32 = torch.backends.cuda.matmul.fp32_precision == "tf32"
        return "high" if is_tf32 else "highest"


def _cudnn_tf32() -> bool:
    try:
        return bool(torch.backends.cudnn.allow_tf32)
    except RuntimeError:
        return bool(torch.backends.cudnn.conv.fp32_precision == "tf32")  # type: ignore[attr-defined]


@functools.cache
def driver_version() -> str | None:
    """Return the version of NVIDIA's driver, or None if unknown. Torch does not know it."""
    with contextlib.suppress(OSError):
        kernel_module = Path("/proc/driver/nvidia/version").read_text()
        if found := re.search(r"\d+\.\d+(\.\d+)?", kernel_module):
            return found[0]
    return nvml.driver_version()


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
    """Return the policy of the processor's clock, such as ``performance``; None if unknown."""
    with contextlib.suppress(OSError):
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text().strip()
    return None

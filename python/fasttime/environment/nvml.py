# SPDX-License-Identifier: BSD-3-Clause
"""What NVIDIA's management library tells of a GPU, through nvidia-ml-py where that is installed.

Nothing here starts CUDA, raises, or is needed: what is not to be had is None.
"""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from .gpu_state import GpuModes, GpuState, throttle_reasons

_T = TypeVar("_T")

_COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}
_ON_OFF = {0: "off", 1: "on"}


def gpu_state(index: int) -> GpuState | None:
    """Return the state of torch's CUDA device `index` now, or None where it is not to be had.

    That takes nvidia-ml-py (``pip install nvidia-ml-py``), NVIDIA's driver, and CUDA being up.
    Takes a few milliseconds, waits for nothing, never starts CUDA and never raises.
    """
    found = _handle(os.getpid(), index) if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    if found is None:
        return None
    nvml, handle = found
    power_mw = _ask(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
    limit_mw = _ask(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
    return GpuState(
        sm_clock_mhz=_ask(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
        sm_clock_max_mhz=_ask(lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)),
        memory_clock_mhz=_ask(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
        power_w=None if power_mw is None else power_mw / 1e3,
        power_limit_w=None if limit_mw is None else limit_mw / 1e3,
        temperature_c=_ask(
            lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        ),
        throttle_reasons=throttle_reasons(
            # Throttle reasons are called event reasons by newer drivers, and by theirs alone.
            _ask(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
            or _ask(lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
            or 0
        ),
    )


def gpu_modes(index: int) -> GpuModes | None:
    """Return how torch's CUDA device `index` is set up; as `gpu_state` otherwise."""
    found = _handle(os.getpid(), index) if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    if found is None:
        return None
    nvml, handle = found
    compute = _ask(lambda: nvml.nvmlDeviceGetComputeMode(handle))
    # Two numbers each: what holds now, and what will after the next reset.
    mig = _ask(lambda: nvml.nvmlDeviceGetMigMode(handle)[0])
    ecc = _ask(lambda: nvml.nvmlDeviceGetEccMode(handle)[0])
    persistence = _ask(lambda: nvml.nvmlDeviceGetPersistenceMode(handle))
    return GpuModes(
        compute=_word(_COMPUTE_MODES, compute),
        mig=_word(_ON_OFF, mig),
        persistence=_word(_ON_OFF, persistence),
        ecc=_word(_ON_OFF, ecc),
    )


def driver_version() -> str | None:
    """Return the version of NVIDIA's driver, or None where it is not to be had."""
    nvml = _library(os.getpid())
    version = None if nvml is None else _ask(lambda: nvml.nvmlSystemGetDriverVersion())
    # Older versions of nvidia-ml-py answer in bytes.
    return version.decode() if isinstance(version, bytes) else version


def device_uuid(index: int) -> str | None:
    """Return the UUID of torch's CUDA device `index`, without NVIDIA's prefix; None if unknown."""
    uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    return None if uuid is None else str(uuid)


# Both are kept by process, as a forked child has to open the library anew.


@functools.cache
def _library(process: int) -> Any:
    try:
        with warnings.catch_warnings():
            # A package of the same name that is long out of use warns that it is.
            warnings.simplefilter("ignore")
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
    except Exception:
        # Whatever is wrong with an optional library on a machine unknown to us: do without.
        return None
    return nvml


@functools.cache
def _handle(process: int, index: int) -> tuple[Any, Any] | None:
    nvml = _library(process)
    if nvml is None:
        return None
    # NVML counts all GPUs of the machine, in another order: an index would lead to another one.
    uuid = _ask(lambda: device_uuid(index))
    ways: list[Callable[[], Any]] = [
        lambda: nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"),
        lambda: nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}"),
        lambda: nvml.nvmlDeviceGetHandleByPciBusId(_pci_bus_id(index)),
    ]
    for way in ways:
        if (handle := _ask(way)) is not None:
            return nvml, handle
    return None


def _pci_bus_id(index: int) -> str:
    device: Any = torch.cuda.get_device_properties(index)
    return f"{device.pci_domain_id:08X}:{device.pci_bus_id:02X}:{device.pci_device_id:02X}.0"


def _word(words: dict[int, str], number: int | None) -> str | None:
    return None if number is None else words.get(number, f"mode {number}")


def _ask(question: Callable[[], _T]) -> _T | None:
    try:
        return question()
    except Exception:
        # Not every GPU, driver or version of nvidia-ml-py answers every question.
        return None

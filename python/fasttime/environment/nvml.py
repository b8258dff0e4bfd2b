# SPDX-License-Identifier: BSD-3-Clause
"""Questions to NVIDIA's management library, through nvidia-ml-py.

These functions never start CUDA and never raise. Unknown values are None.
"""

from __future__ import annotations

import functools
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
    """Return the current state of torch's CUDA device `index`.

    None without NVIDIA's driver, and before CUDA is up. Takes a few milliseconds and waits for
    nothing.
    """
    found = _gpu(index)
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
            # Newer drivers call throttle reasons event reasons, and know only that name.
            _ask(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
            or _ask(lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
            or 0
        ),
    )


def sm_clock(index: int) -> int | None:
    """Return the SM clock of torch's CUDA device `index` in MHz. None in the cases of `gpu_state`.

    Asks one question only, so it is fast enough to be called between batches of runs.
    """
    found = _gpu(index)
    if found is None:
        return None
    nvml, handle = found
    return _ask(lambda: int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)))


def gpu_modes(index: int) -> GpuModes | None:
    """Return the settings of torch's CUDA device `index`. None in the cases of `gpu_state`."""
    found = _gpu(index)
    if found is None:
        return None
    nvml, handle = found
    # MIG and ECC have two values each: the current value, and the value after the next reset.
    return GpuModes(
        compute=_word(_COMPUTE_MODES, lambda: nvml.nvmlDeviceGetComputeMode(handle)),
        mig=_word(_ON_OFF, lambda: nvml.nvmlDeviceGetMigMode(handle)[0]),
        persistence=_word(_ON_OFF, lambda: nvml.nvmlDeviceGetPersistenceMode(handle)),
        ecc=_word(_ON_OFF, lambda: nvml.nvmlDeviceGetEccMode(handle)[0]),
    )


def driver_version() -> str | None:
    """Return the version of NVIDIA's driver, or None if unknown."""
    nvml = _library(os.getpid())
    version = None if nvml is None else _ask(lambda: nvml.nvmlSystemGetDriverVersion())
    # Older versions of nvidia-ml-py answer in bytes.
    return version.decode() if isinstance(version, bytes) else version


def device_uuid(index: int) -> str | None:
    """Return the UUID of torch's CUDA device `index` without NVIDIA's prefix; None if unknown."""
    uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    return None if uuid is None else str(uuid)


def _gpu(index: int) -> tuple[Any, Any] | None:
    """Return the library and its handle for the device."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    nvml, handle = _library(os.getpid()), _handle(os.getpid(), index)
    return None if handle is None else (nvml, handle)


# The process is part of the key, because a forked child has to open the library again.


@functools.cache
def _library(process: int) -> Any:
    try:
        with warnings.catch_warnings():
            # An outdated package of the same name warns when it is imported.
            warnings.simplefilter("ignore")
            import pynvml  # type: ignore[import-untyped]

            pynvml.nvmlInit()
    except Exception:
        # There is no driver, or the library fails on this machine.
        return None
    return pynvml


@functools.cache
def _handle(process: int, index: int) -> Any:
    nvml = _library(process)
    if nvml is None:
        return None
    # NVML numbers all GPUs of the machine in its own order, so torch's index does not help.
    uuid = _ask(lambda: device_uuid(index))
    ways: list[Callable[[], Any]] = [
        lambda: nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"),
        lambda: nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}"),
        lambda: nvml.nvmlDeviceGetHandleByPciBusId(_pci_bus_id(index)),
    ]
    return next((handle for way in ways if (handle := _ask(way)) is not None), None)


def _pci_bus_id(index: int) -> str:
    device: Any = torch.cuda.get_device_properties(index)
    return f"{device.pci_domain_id:08X}:{device.pci_bus_id:02X}:{device.pci_device_id:02X}.0"


def _word(words: dict[int, str], question: Callable[[], int]) -> str | None:
    number = _ask(question)
    return None if number is None else words.get(number, f"mode {number}")


def _ask(question: Callable[[], _T]) -> _T | None:
    try:
        return question()
    except Exception:
        # Some GPUs, drivers and versions of nvidia-ml-py lack the answer.
        return None

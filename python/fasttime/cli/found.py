# SPDX-License-Identifier: BSD-3-Clause
"""What `fasttime env` finds out, as data that JSON can hold."""

from __future__ import annotations

import os
import platform
import sys
import warnings
from typing import Any

import torch

from .. import _native
from ..environment import describe as environment
from ..environment import nvml
from ..environment.variables import timing_variables


def find() -> dict[str, Any]:
    """Return what there is to know of this machine; starts CUDA, last of all.

    What fails on the way is part of the answer, in words.
    """
    from .. import __version__

    found: dict[str, Any] = {
        "fasttime": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "cpu": environment.cpu_name(),
        "cpu_count": os.cpu_count(),
        "cpus_allowed": _cpus_allowed(),
        "cpu_governor": environment.cpu_governor(),
        "torch": str(torch.__version__),
        "torch_cuda": torch.version.cuda,
        "torch_hip": torch.version.hip,
        "driver": environment.driver_version(),
        "variables": timing_variables(),
    }
    found["cuda"], found["warnings"] = _start_cuda()
    _native.bind_if_cuda_is_up()
    backend = _native.backend()
    found["cuda_runtime"] = _version(backend["runtime_version"])
    found["backend"] = "cuda" if backend["has_cuda"] else "host"
    found["backend_reason"] = backend["reason"]
    is_up = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    found["gpus"] = [_gpu(index) for index in range(torch.cuda.device_count())] if is_up else []
    return found


def _start_cuda() -> tuple[str, list[str]]:
    """Return ``up`` or why it is not, and what torch warns of on the way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if torch.version.cuda is None and torch.version.hip is None:
                said = "not up: this torch is built without CUDA"
            elif not torch.cuda.is_available():
                said = "not up: torch finds no CUDA device"
            else:
                torch.cuda.init()  # type: ignore[no-untyped-call]
                torch.cuda.synchronize()
                said = "up"
        except Exception as error:
            # Whatever keeps CUDA from starting is what the user wants to know.
            said = f"not up: {type(error).__name__}: {_one_line(error)}"
    return said, [_one_line(warning.message) for warning in caught]


def _gpu(index: int) -> dict[str, Any]:
    """Return what is known of torch's device `index`, its failure among it."""
    gpu: dict[str, Any] = {"index": index}
    try:
        properties = torch.cuda.get_device_properties(index)
        gpu["name"] = properties.name
        gpu["compute_capability"] = f"{properties.major}.{properties.minor}"
        gpu["memory_bytes"] = properties.total_memory
        gpu["multiprocessors"] = properties.multi_processor_count
        gpu["uuid"] = nvml.device_uuid(index)
    except Exception as error:
        gpu["failure"] = f"{type(error).__name__}: {_one_line(error)}"
        return gpu
    state, modes = nvml.gpu_state(index), nvml.gpu_modes(index)
    gpu["state"] = None if state is None else {**state._asdict(), "slowdowns": state.slowdowns}
    gpu["modes"] = None if modes is None else modes._asdict()
    return gpu


def _cpus_allowed() -> int | None:
    """Return on how many cores this process may run, which a container may narrow."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _version(number: int) -> str | None:
    """Return CUDA's way to number its versions, 13020, as people write it, 13.2."""
    return f"{number // 1000}.{number % 1000 // 10}" if number > 0 else None


def _one_line(words: object) -> str:
    return " ".join(str(words).split())

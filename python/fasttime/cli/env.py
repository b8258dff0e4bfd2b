# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime env``: the GPUs, versions and settings of this machine that affect timing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from .. import _native
from .._version import __version__
from ..environment import describe as environment
from ..environment import nvml
from ..environment.variables import TIMING_VARIABLES, timing_variables
from .arguments import add_command
from .output import put

if TYPE_CHECKING:
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime env                  for a bug report
  fasttime env --json | jq .gpus[0].state"""

_UNKNOWN = "unknown: NVIDIA's management library does not answer"
_Line = tuple[str, str]


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "env",
        "show the GPUs, versions and settings that affect timing",
        "Show the GPUs with their clocks and modes, the versions, fasttime's backend, and the\n"
        "environment variables that affect timing. This starts CUDA. If CUDA does not start,\n"
        "the reason is shown and the exit code is still 0.",
        _EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    facts = find()
    put(json.dumps(facts, indent=1) if options.json else as_text(facts))
    return 0


def as_text(facts: dict[str, Any]) -> str:
    """Return one line per fact: a key and a value."""
    lines = list(_lines(facts))
    width = max(len(key) for key, _ in lines)
    return "\n".join(f"{key:<{width}}  {value}" for key, value in lines)


def _lines(facts: dict[str, Any]) -> Iterator[_Line]:
    yield "fasttime", facts["fasttime"]
    yield "python", f"{facts['python']} ({facts['executable']})"
    yield "platform", facts["platform"]
    yield "cpu", _cpu(facts)
    built = f"CUDA {facts['torch_cuda']}" if facts["torch_cuda"] else "no CUDA"
    built = f"ROCm {facts['torch_hip']}" if facts["torch_hip"] else built
    yield "torch", f"{facts['torch']}, built for {built}"
    yield "driver", facts["driver"] or "none found"
    yield "cuda", facts["cuda"]
    yield "cuda runtime", facts["cuda_runtime"] or "not in use"
    yield "backend", f"{facts['backend']}: {facts['backend_reason']}"
    for warning in facts["warnings"]:
        yield "warning", warning
    for gpu in facts["gpus"]:
        yield from _gpu_lines(gpu)
    for name, value in facts["variables"].items():
        yield name, f"{value}  ({TIMING_VARIABLES[name]})"
    unset = [name for name in TIMING_VARIABLES if name not in facts["variables"]]
    if unset:
        yield "not set", ", ".join(unset)


def _cpu(facts: dict[str, Any]) -> str:
    allowed = facts["cpus_allowed"]
    parts = [facts["cpu"], f"{facts['cpu_count']} cores"]
    if allowed is not None and allowed != facts["cpu_count"]:
        parts.append(f"{allowed} of them for this process")
    parts.append(f"governor {facts['cpu_governor'] or 'unknown'}")
    return ", ".join(parts)


def _gpu_lines(gpu: dict[str, Any]) -> Iterator[_Line]:
    name = f"gpu {gpu['index']}"
    if "failure" in gpu:
        yield name, gpu["failure"]
        return
    yield (
        name,
        f"{gpu['name']}, compute capability {gpu['compute_capability']}, "
        f"{gpu['multiprocessors']} multiprocessors, {gpu['memory_bytes'] / 2**30:.1f} GiB",
    )
    yield f"{name} uuid", gpu["uuid"] or "unknown"
    state, modes = gpu["state"], gpu["modes"]
    if state is None:
        yield f"{name} state", f"{_UNKNOWN} (clocks, power, temperature, throttling, modes)"
        return
    yield (
        f"{name} clocks",
        f"multiprocessors {_of(state['sm_clock_mhz'], state['sm_clock_max_mhz'], 'MHz')}, "
        f"memory {_of(state['memory_clock_mhz'], None, 'MHz')}",
    )
    yield f"{name} power", _of(state["power_w"], state["power_limit_w"], "W")
    yield f"{name} temperature", _of(state["temperature_c"], None, "°C")
    yield f"{name} throttled", _throttled(state)
    yield f"{name} modes", ", ".join(f"{key} {value or 'n/a'}" for key, value in modes.items())


def _of(value: float | None, most: float | None, unit: str) -> str:
    if value is None:
        return "unknown"
    return f"{value:.0f} {unit}" if most is None else f"{value:.0f} of {most:.0f} {unit}"


def _throttled(state: dict[str, Any]) -> str:
    reasons = state["throttle_reasons"]
    if state["slowdowns"]:
        return f"yes: {', '.join(state['slowdowns'])}"
    return f"no ({', '.join(reasons)})" if reasons else "no"


def find() -> dict[str, Any]:
    """Return the facts about this machine as data for JSON. Starts CUDA.

    A part that fails is described by its error.
    """
    facts: dict[str, Any] = {
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
    facts["cuda"], facts["warnings"] = _start_cuda()
    _native.bind_if_cuda_is_up()
    backend = _native.backend()
    facts["cuda_runtime"] = _version(backend["runtime_version"])
    facts["backend"] = "cuda" if backend["has_cuda"] else "host"
    facts["backend_reason"] = backend["reason"]
    is_up = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    facts["gpus"] = (
        [_gpu_facts(index) for index in range(torch.cuda.device_count())] if is_up else []
    )
    return facts


def _start_cuda() -> tuple[str, list[str]]:
    """Return ``up`` or why CUDA is not up, and the warnings of torch."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if torch.version.cuda is None and torch.version.hip is None:
                state = "not up: this torch is built without CUDA"
            elif not torch.cuda.is_available():
                state = "not up: torch finds no CUDA device"
            else:
                torch.cuda.init()  # type: ignore[no-untyped-call]
                torch.cuda.synchronize()
                state = "up"
        except Exception as error:
            # The user wants to know any reason that keeps CUDA from starting.
            state = f"not up: {type(error).__name__}: {_one_line(error)}"
    return state, [_one_line(warning.message) for warning in caught]


def _gpu_facts(index: int) -> dict[str, Any]:
    """Return the facts about torch's device `index`, or its failure."""
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
    """Return the number of cores that this process may use; a container may limit it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _version(number: int) -> str | None:
    """Return CUDA's version number as text: 13020 is 13.2."""
    return f"{number // 1000}.{number % 1000 // 10}" if number > 0 else None


def _one_line(words: object) -> str:
    return " ".join(str(words).split())

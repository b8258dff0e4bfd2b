# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime env``: what was found on this machine that affects timing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..environment.variables import TIMING_VARIABLES
from .arguments import add_command
from .output import put

if TYPE_CHECKING:
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime env                  to be pasted into a bug report
  fasttime env --json | jq .gpus[0].state"""

_NOT_KNOWN = "not known: NVIDIA's management library does not answer"
_Line = tuple[str, str]


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "env",
        "show the GPUs, versions and settings that affect timing",
        "Show the GPUs, their clocks and modes, the versions, fasttime's backend, and the\n"
        "environment variables that change how long things take. Starts CUDA to see whether it\n"
        "does; if it fails, that is shown and the exit code is still 0.",
        _EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from .found import find

    found = find()
    put(json.dumps(found, indent=1) if options.json else as_text(found))
    return 0


def as_text(found: dict[str, Any]) -> str:
    """Return what was found, a key and a value a line."""
    lines = list(_lines(found))
    width = max(len(key) for key, _ in lines)
    return "\n".join(f"{key:<{width}}  {value}" for key, value in lines)


def _lines(found: dict[str, Any]) -> Iterator[_Line]:
    yield "fasttime", found["fasttime"]
    yield "python", f"{found['python']} ({found['executable']})"
    yield "platform", found["platform"]
    yield "cpu", _cpu(found)
    built = f"CUDA {found['torch_cuda']}" if found["torch_cuda"] else "no CUDA"
    built = f"ROCm {found['torch_hip']}" if found["torch_hip"] else built
    yield "torch", f"{found['torch']}, built for {built}"
    yield "driver", found["driver"] or "none found"
    yield "cuda", found["cuda"]
    yield "cuda runtime", found["cuda_runtime"] or "not in use"
    yield "backend", f"{found['backend']}: {found['backend_reason']}"
    for warning in found["warnings"]:
        yield "warning", warning
    for gpu in found["gpus"]:
        yield from _gpu(gpu)
    for name, value in found["variables"].items():
        yield name, f"{value}  ({TIMING_VARIABLES[name]})"
    unset = [name for name in TIMING_VARIABLES if name not in found["variables"]]
    if unset:
        yield "not set", ", ".join(unset)


def _cpu(found: dict[str, Any]) -> str:
    allowed = found["cpus_allowed"]
    parts = [found["cpu"], f"{found['cpu_count']} cores"]
    if allowed is not None and allowed != found["cpu_count"]:
        parts.append(f"{allowed} of them for this process")
    parts.append(f"governor {found['cpu_governor'] or 'not known'}")
    return ", ".join(parts)


def _gpu(gpu: dict[str, Any]) -> Iterator[_Line]:
    name = f"gpu {gpu['index']}"
    if "failure" in gpu:
        yield name, gpu["failure"]
        return
    yield (
        name,
        f"{gpu['name']}, compute capability {gpu['compute_capability']}, "
        f"{gpu['multiprocessors']} multiprocessors, {gpu['memory_bytes'] / 2**30:.1f} GiB",
    )
    yield f"{name} uuid", gpu["uuid"] or "not known"
    state, modes = gpu["state"], gpu["modes"]
    if state is None:
        yield f"{name} state", f"{_NOT_KNOWN} (clocks, power, temperature, throttling, modes)"
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
        return "not told"
    return f"{value:.0f} {unit}" if most is None else f"{value:.0f} of {most:.0f} {unit}"


def _throttled(state: dict[str, Any]) -> str:
    reasons = state["throttle_reasons"]
    if state["slowdowns"]:
        return f"yes: {', '.join(state['slowdowns'])}"
    return f"no ({', '.join(reasons)})" if reasons else "no"

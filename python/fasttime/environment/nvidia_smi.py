# SPDX-License-Identifier: BSD-3-Clause
"""What the command ``nvidia-smi`` tells of GPUs, where nvidia-ml-py is not installed."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from .gpu_state import GpuModes, GpuState, throttle_reasons

_T = TypeVar("_T", int, float)

_FIELDS = (
    "uuid",
    "driver_version",
    "clocks.sm",
    "clocks.max.sm",
    "clocks.mem",
    "power.draw",
    "enforced.power.limit",
    "temperature.gpu",
    "clocks_throttle_reasons.active",
    "compute_mode",
    "mig.mode.current",
    "persistence_mode",
    "ecc.mode.current",
)
_PATIENCE_S = 20.0  # it has to wake a GPU that nobody has used


class SmiAnswer(NamedTuple):
    """What nvidia-smi says of one GPU."""

    driver: str | None
    state: GpuState
    modes: GpuModes


@functools.cache
def query() -> dict[str, SmiAnswer]:
    """Return what there is to know of each GPU by its UUID, without NVIDIA's prefix.

    Empty where there is no nvidia-smi or it fails. Asks once in a process, as that takes long.
    """
    answers = {}
    for line in _lines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == len(_FIELDS):
            values = dict(zip(_FIELDS, cells, strict=True))
            answers[values["uuid"].removeprefix("GPU-")] = _answer(values)
    return answers


def _lines() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _answer(values: dict[str, str]) -> SmiAnswer:
    return SmiAnswer(
        driver=values["driver_version"] or None,
        state=GpuState(
            sm_clock_mhz=_number(values["clocks.sm"], int),
            sm_clock_max_mhz=_number(values["clocks.max.sm"], int),
            memory_clock_mhz=_number(values["clocks.mem"], int),
            power_w=_number(values["power.draw"], float),
            power_limit_w=_number(values["enforced.power.limit"], float),
            temperature_c=_number(values["temperature.gpu"], int),
            throttle_reasons=throttle_reasons(
                _number(values["clocks_throttle_reasons.active"], lambda text: int(text, 16)) or 0
            ),
        ),
        modes=GpuModes(
            compute=_word(values["compute_mode"]),
            mig=_word(values["mig.mode.current"]),
            persistence=_word(values["persistence_mode"]),
            ecc=_word(values["ecc.mode.current"]),
        ),
    )


def _number(text: str, read: Callable[[str], _T]) -> _T | None:
    # "[N/A]" or "[Not Supported]" where the GPU does not tell.
    try:
        return read(text)
    except ValueError:
        return None


def _word(text: str) -> str | None:
    if not text or text.startswith("["):
        return None
    word = text.lower().replace("_", " ")
    return {"enabled": "on", "disabled": "off"}.get(word, word)

# SPDX-License-Identifier: BSD-3-Clause
"""The least that timing a section can cost: two records in C, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def compile_raw_pair(events: int) -> Any:
    """Compile raw_pair.cpp and return it as a module, with so many events to use in turn.

    Takes some seconds the first time. It records on the current device. Raises ImportError, OSError
    or RuntimeError where it cannot be had: no ninja, no compiler.
    """
    from torch.utils import cpp_extension

    raw = cpp_extension.load(
        name="fasttime_raw_pair",
        sources=[str(Path(__file__).with_name("raw_pair.cpp"))],
        extra_cflags=["-O2"],
    )
    raw.prepare(torch.cuda.current_device(), events)
    return raw

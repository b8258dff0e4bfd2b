# SPDX-License-Identifier: BSD-3-Clause
"""Compile the yardstick: two event records in C, the minimum cost of timing a block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def compile_raw_pair(events: int) -> Any:
    """Compile raw_pair.cpp and return it as a module that uses `events` events in turn.

    The first call takes a few seconds. The module records on the current device. Raises
    ImportError, OSError or RuntimeError if ninja or a C++ compiler is missing.
    """
    from torch.utils import cpp_extension

    raw = cpp_extension.load(
        name="fasttime_raw_pair",
        sources=[str(Path(__file__).with_name("raw_pair.cpp"))],
        extra_cflags=["-O2"],
    )
    raw.prepare(torch.cuda.current_device(), events)
    return raw

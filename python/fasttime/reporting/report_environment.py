# SPDX-License-Identifier: BSD-3-Clause
"""Where a report comes from: looked up once in a process, as but torch's settings can change."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from ..environment import Environment


@functools.cache
def environment_of(backend: str) -> Environment:
    """Return the environment of this process; the GPU only where CUDA is up, which starts none."""
    from ..environment import describe

    on_gpu = backend == "cuda" and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return describe("cuda" if on_gpu else "cpu")

# SPDX-License-Identifier: BSD-3-Clause
"""Where a report comes from: looked up once in a process, as it does not change there."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from ..environment import Environment


def environment_of(backend: str) -> Environment:
    """Return the environment of this process; the GPU only where CUDA is up, which starts none."""
    return _environment_of(backend, os.getpid())  # the child of a fork is another process


@functools.cache
def _environment_of(backend: str, process: int) -> Environment:
    from ..environment import describe

    on_gpu = backend == "cuda" and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return describe("cuda" if on_gpu else "cpu")

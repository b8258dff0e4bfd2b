# SPDX-License-Identifier: BSD-3-Clause
"""Where a report comes from: looked up once in a process; but torch's settings can change."""

from __future__ import annotations

import dataclasses
import functools
import os
import platform
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .describe import Environment


def environment_of(backend: str) -> Environment:
    """Return the environment of this process; the GPU only where CUDA is up, which starts none."""
    return _environment_of(backend, os.getpid())  # the child of a fork is another process


@functools.cache
def _environment_of(backend: str, process: int) -> Environment:
    from .describe import describe

    on_gpu = backend == "cuda" and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    # Which of several processes it is matters here alone: results of benchmarks are published.
    return dataclasses.replace(
        describe("cuda" if on_gpu else "cpu"),
        host_name=platform.node() or None,
        process_id=process,
    )

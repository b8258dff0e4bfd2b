# SPDX-License-Identifier: BSD-3-Clause
"""The environment of this process, collected once per process."""

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
    """Return the environment of this process. Includes the GPU only if CUDA is up already.

    Torch's settings are taken at the first call, so later changes do not show.
    """
    return _environment_of(backend, os.getpid())  # a forked child is another process


@functools.cache
def _environment_of(backend: str, process: int) -> Environment:
    from .describe import describe

    on_gpu = backend == "cuda" and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    # Only reports name the host and the process: results of benchmarks are often published.
    return dataclasses.replace(
        describe("cuda" if on_gpu else "cpu"),
        host_name=platform.node() or None,
        process_id=process,
    )

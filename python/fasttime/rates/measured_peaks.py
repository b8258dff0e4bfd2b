# SPDX-License-Identifier: BSD-3-Clause
"""Measure what this GPU can reach."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..environment.describe import describe
from ..measuring.measure import measure
from .peaks import COPY, Peaks, keep

_COPY_BYTES = 1 << 30  # per tensor: many times the L2 cache of any GPU
_MATMUL = 8192  # rows and columns: large enough that launching does not matter
_DTYPES = ("float64", "float32", "tf32", "float16", "bfloat16")


def measure_peaks() -> Peaks:
    """Measure the peaks of the current GPU and keep them. Takes about ten seconds.

    Waits for the device. Raises RuntimeError without a GPU, and torch's errors if its memory does
    not suffice: 2 GiB are needed. A file that cannot be written is no error.
    """
    if not torch.cuda.is_available():
        raise RuntimeError("peaks are measured on a GPU, and torch finds none")
    torch.cuda.init()  # type: ignore[no-untyped-call]
    environment = describe("cuda")
    made = Peaks(
        environment.gpu or "unknown",
        environment.gpu_uuid or "",
        environment.driver or "unknown",
        environment.torch,
        dict(_rates()),
        environment.date,
    )
    keep(made, environment)
    return made


def _rates() -> Iterator[tuple[str, float]]:
    source = torch.empty(_COPY_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    # The shortest run, because a peak is what the GPU reaches at best.
    yield COPY, 2 * _COPY_BYTES / measure(target.copy_, source).min
    del source, target
    before = torch.backends.cuda.matmul.allow_tf32
    try:
        for name in _DTYPES:
            torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
            dtype = torch.float32 if name == "tf32" else getattr(torch, name)
            size = _MATMUL // 4 if name == "float64" else _MATMUL
            a = torch.randn(size, size, device="cuda").to(dtype)
            out = torch.empty_like(a)
            yield name, 2 * size**3 / measure(_multiply, a, out).min
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _multiply(a: torch.Tensor, out: torch.Tensor) -> None:
    torch.mm(a, a, out=out)

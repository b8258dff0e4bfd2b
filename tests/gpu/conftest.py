# SPDX-License-Identifier: BSD-3-Clause
"""What the GPU tests need beyond torch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from latch import Latch

from fasttime import Recorder


@pytest.fixture
def latch() -> Iterator[Latch]:
    made = Latch()
    yield made
    made.release()
    torch.cuda.synchronize()


@pytest.fixture
def stream() -> Iterator[torch.cuda.Stream]:
    """A fresh stream of torch's, made current."""
    made = torch.cuda.Stream()
    with torch.cuda.stream(made):
        yield made
    torch.cuda.synchronize()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    torch.zeros(1, device="cuda")  # a device that nobody uses is not timed
    made = Recorder(keep_samples=1000, share_boundaries=False)
    yield made
    assert made.report(wait=True).open == 0

# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the GPU tests."""

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
    """A new stream, made current."""
    made = torch.cuda.Stream()
    with torch.cuda.stream(made):
        yield made
    torch.cuda.synchronize()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    torch.zeros(1, device="cuda")  # without a use of the device, scopes have no device time
    made = Recorder(keep_samples=1000, share_boundaries=False)
    yield made
    assert made.report(wait=True).open == 0

# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import simulated_cuda as cuda
from simulated_cuda import Simulated


@pytest.fixture(scope="session")
def library() -> Path:
    return cuda.cached_build()


@pytest.fixture
def sim(library: Path) -> Iterator[Simulated]:
    simulated = Simulated(library)
    simulated.reset()
    yield simulated
    simulated.reset()

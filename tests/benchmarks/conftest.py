# SPDX-License-Identifier: BSD-3-Clause
"""Import the scripts in the folder benchmarks."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return the function that imports a script by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module

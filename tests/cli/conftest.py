# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures for the tests of `fasttime run`."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fasttime


@pytest.fixture
def clean_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run the test in an empty folder, with an empty default recorder."""
    monkeypatch.chdir(tmp_path)
    fasttime.reset()
    yield
    fasttime.reset()
    fasttime.enable()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a script and return its name. A module of that name is forgotten at the end."""

    def write_(code: str, name: str = "script.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        if path.stem != "__main__":
            monkeypatch.delitem(sys.modules, path.stem, raising=False)
        return name

    return write_

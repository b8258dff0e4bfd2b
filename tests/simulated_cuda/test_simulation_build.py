# SPDX-License-Identifier: BSD-3-Clause
"""The simulation is compiled once for its sources, even after an interrupted build."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulation_build
from simulation_build import LIBRARY, cached_build


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The folders that were compiled into, in place of a compiler."""
    folders: list[Path] = []

    def build(folder: Path) -> Path:
        folder.mkdir()
        folders.append(folder)
        (folder / LIBRARY).touch()
        return folder / LIBRARY

    monkeypatch.setattr(simulation_build, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(simulation_build, "build", build)
    return folders


def test_unchanged_sources_are_compiled_once(built: list[Path]) -> None:
    first, second = cached_build(), cached_build()
    assert first == second
    assert first.exists()
    assert len(built) == 1


def test_other_flags_are_another_library(
    built: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_build()
    monkeypatch.setattr(simulation_build, "_FLAGS", ["-O3"])
    assert cached_build() != first
    assert len(built) == 2


def test_an_interrupted_build_leaves_no_library(
    built: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = simulation_build.build

    def interrupted(folder: Path) -> Path:
        build(folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(simulation_build, "build", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cached_build()
    assert cached_build().exists()
    assert len(built) == 2

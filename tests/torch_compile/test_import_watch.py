# SPDX-License-Identifier: BSD-3-Clause
"""The watch for an import: one call after the import, and imports as before."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fasttime.torch_compile.import_watch import call_after_import

NAME = "a_module_for_the_import_watch"


@pytest.fixture(autouse=True)
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module of that name can be imported, and every import finder is put back."""
    (tmp_path / f"{NAME}.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield
    sys.modules.pop(NAME, None)


@pytest.fixture
def seen() -> list[int]:
    """The values of the module at each call."""
    found: list[int] = []
    call_after_import(NAME, lambda: found.append(sys.modules[NAME].value))
    return found


def test_an_import_calls_the_function_once(seen: list[int]) -> None:
    finders = len(sys.meta_path)
    importlib.import_module(NAME)
    importlib.import_module(NAME)
    assert seen == [3]
    assert len(sys.meta_path) == finders - 1


def test_the_watch_imports_nothing(seen: list[int]) -> None:
    importlib.import_module("json")
    assert NAME not in sys.modules
    assert seen == []


def test_looking_for_a_module_does_not_import_it(seen: list[int]) -> None:
    assert importlib.util.find_spec(NAME) is not None
    assert seen == []
    importlib.import_module(NAME)
    assert seen == [3]


def test_an_imported_module_calls_at_once() -> None:
    importlib.import_module(NAME)
    found: list[str] = []
    call_after_import(NAME, lambda: found.append("called"))
    assert found == ["called"]


class AsksAll(importlib.abc.MetaPathFinder):
    """A finder that asks all other finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        for finder in list(sys.meta_path):
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                return spec
        return None


def test_finders_may_ask_each_other(seen: list[int]) -> None:
    sys.meta_path.insert(0, AsksAll())
    importlib.import_module(NAME)
    assert seen == [3]


def test_a_missing_module_is_an_import_error() -> None:
    call_after_import("a_module_that_is_not_there", lambda: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("a_module_that_is_not_there")

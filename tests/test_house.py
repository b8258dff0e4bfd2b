# SPDX-License-Identifier: BSD-3-Clause
"""The rules of the house: licences, layers, imports, names and package data."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from imports import cycles, imported_modules

import fasttime

ROOT = Path(__file__).parent.parent
INSTALLED = Path(fasttime.__file__).parent
CORE = sorted((ROOT / "csrc").rglob("*.[ch]*"))
PACKAGE_FOLDER = ROOT / "python" / "fasttime"
PACKAGE = sorted(PACKAGE_FOLDER.rglob("*.py*"))
ASSETS = sorted(path for path in PACKAGE_FOLDER.rglob("*") if path.suffix in {".css", ".js"})
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
LONGEST_TEST_NAME = 50  # characters after "test_"
# The project's folders by name: a virtual environment may lie beside them.
SOURCES = [
    ROOT / "setup.py",
    *(
        path
        for folder in ("benchmarks", "csrc", "docs", "examples", "python", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".pyi", ".cpp", ".h", ".c", ".cu", ".sh", ".css", ".js"}
    ),
]


def includes(path: Path) -> set[str]:
    return set(re.findall(r'#include [<"]([^>"]+)[>"]', path.read_text()))


def test_every_source_file_names_its_licence() -> None:
    assert len(SOURCES) > 50
    for path in SOURCES:
        head = "\n".join(path.read_text().splitlines()[:2])
        assert "SPDX-License-Identifier: BSD-3-Clause" in head, path


# --- C++ ---


def test_only_the_runtime_table_knows_cuda() -> None:
    for path in CORE:
        assert not any(name.startswith("cuda_runtime_api") for name in includes(path))
        named = re.findall(r'"(cuda[A-Z]\w+|cu[A-Z]\w+)"', path.read_text())
        if path.stem != "cuda_runtime":
            # Other files name CUDA functions only in the report of a failure.
            for name in named:
                assert re.search(rf'note_(runtime_)?failure\(cuda_?, "{name}"', path.read_text()), (
                    path,
                    name,
                )


def test_only_the_bindings_see_pybind11() -> None:
    for path in CORE:
        sees = any(name.startswith("pybind11") for name in includes(path))
        bindings = {
            "handle_binding.cpp",
            "module.cpp",
            "recorder_binding.cpp",
            "series_binding.cpp",
            "stream_watch_binding.cpp",
        }
        assert sees == (path.name in bindings), path


def test_only_the_python_folder_sees_python() -> None:
    for path in CORE:
        sees = "Python.h" in includes(path) or "PyObject" in path.read_text()
        assert not sees or path.parent.name == "python", path


def test_includes_flow_one_way() -> None:
    """Each folder of csrc includes only itself and the folders before it."""
    folders = ["host", "cuda", "core", "python"]
    for path in CORE:
        allowed = folders[: folders.index(path.parent.name) + 1]
        for name in includes(path):
            if "/" in name and name.split("/")[0] in folders:
                assert name.split("/")[0] in allowed, (path, name)


# --- the Python package ---


def test_only_native_imports_the_extension() -> None:
    for path in PACKAGE:
        if path.suffix == ".py" and path.name != "_native.py":
            assert not re.search(r"import _C|from \._C|fasttime\._C import", path.read_text()), path


def test_the_package_has_no_import_cycle() -> None:
    found = cycles(imported_modules(PACKAGE_FOLDER))
    assert not found, "\n".join(" -> ".join(cycle) for cycle in found)


@pytest.mark.parametrize(
    ("second", "has_cycle"),
    [
        ("from . import first", True),
        ("from .first import thing", True),
        ("import fasttime.first", True),
        ("def function():\n    from .first import thing", True),
        ("from . import CONSTANT", True),  # the package itself imports second
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import first", False),
        ("import first", False),
    ],
)
def test_import_cycles_are_found(second: str, has_cycle: bool, tmp_path: Path) -> None:
    package = tmp_path / "fasttime"
    package.mkdir()
    (package / "__init__.py").write_text("from .second import thing")
    (package / "first.py").write_text("from .second import thing")
    (package / "second.py").write_text(second)
    assert bool(cycles(imported_modules(package))) == has_cycle


def test_no_module_has_a_public_function_s_name() -> None:
    """Importing such a module would replace the function."""
    modules = {path.stem for path in PACKAGE_FOLDER.iterdir() if path.suffix == ".py"}
    packages = {path.parent.name for path in PACKAGE_FOLDER.glob("*/__init__.py")}
    assert "recorder" in modules
    assert "reports" in packages
    assert not (modules | packages) & set(fasttime.__all__)


def test_no_file_is_too_long() -> None:
    for path in [*CORE, *PACKAGE]:
        assert len(path.read_text().splitlines()) <= 400, path


def test_all_is_exact() -> None:
    public = {
        name
        for name, value in vars(fasttime).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }
    assert public == set(fasttime.__all__)
    assert sorted(fasttime.__all__) == list(fasttime.__all__)


def test_completion_offers_only_public_names() -> None:
    offered = dir(fasttime)
    assert [name for name in offered if not name.startswith("_")] == fasttime.__all__
    assert {"__all__", "__doc__", "__version__"} <= set(offered)


def test_every_public_name_is_described() -> None:
    for name in fasttime.__all__:
        assert getattr(fasttime, name).__doc__, name


def test_no_exit_claims_to_swallow_exceptions() -> None:
    """With bool, type checkers think that code after `with fasttime.scope(...)` always runs."""
    exits = [
        ast.unparse(node.returns)
        for path in PACKAGE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "__exit__" and node.returns
    ]
    assert len(exits) >= 4
    assert set(exits) <= {"None", "Literal[False]"}


# --- style sheets and scripts ---


@pytest.mark.parametrize("path", ASSETS, ids=lambda path: path.name)
def test_an_asset_is_balanced_and_self_contained(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"|'[^'\n]*'", "", text, flags=re.DOTALL)
    open_brackets = []
    for character in code:
        if character in "({[":
            open_brackets.append(character)
        elif character in ")}]":
            assert open_brackets.pop() + character in ("()", "{}", "[]")
    assert not open_brackets
    assert not re.search(r"https?:|url\(|@import|\bimport\b|</", text)


def test_package_data_is_installed() -> None:
    """Under `pip install .`, the imported package is not the folder of the checkout."""
    data = [path for path in PACKAGE_FOLDER.rglob("*") if path.suffix in {".css", ".js", ".typed"}]
    assert len(data) >= 4
    for path in data:
        assert (INSTALLED / path.relative_to(PACKAGE_FOLDER)).exists(), path


# --- tests and the tree ---


def test_test_names_are_short() -> None:
    names = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and len(node.name) > len("test_") + LONGEST_TEST_NAME
        and node.name.startswith("test_")
    ]
    assert not names, f"{len(names)} names are too long, among them {names[:5]}"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_the_tree_holds_nothing_built() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert not [name for name in tracked if name.endswith((".so", ".o", ".pyc"))]

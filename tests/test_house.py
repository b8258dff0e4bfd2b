# SPDX-License-Identifier: BSD-3-Clause
"""The rules of the house, checked."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

import fasttime

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "csrc").rglob("*.[ch]*"))
PACKAGE = sorted((ROOT / "python" / "fasttime").rglob("*.py*"))
# Its own folders by name: somebody may keep a virtual environment beside them.
SOURCES = [
    ROOT / "setup.py",
    *(
        path
        for folder in ("benchmarks", "csrc", "docs", "python", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".pyi", ".cpp", ".h", ".c", ".cu", ".sh"}
    ),
]


def includes(path: Path) -> set[str]:
    return set(re.findall(r'#include [<"]([^>"]+)[>"]', path.read_text()))


def test_every_source_file_names_its_licence() -> None:
    assert len(SOURCES) > 50
    for path in SOURCES:
        head = "\n".join(path.read_text().splitlines()[:2])
        assert "SPDX-License-Identifier: BSD-3-Clause" in head, path


def test_only_the_runtime_table_knows_cuda() -> None:
    for path in CORE:
        assert not any(name.startswith("cuda_runtime_api") for name in includes(path))
        named = re.findall(r'"(cuda[A-Z]\w+|cu[A-Z]\w+)"', path.read_text())
        if path.stem != "cuda_runtime":
            # Elsewhere a name of CUDA's may only be told to the user, after a failure.
            for name in named:
                assert re.search(rf'note_(runtime_)?failure\(cuda_?, "{name}"', path.read_text()), (
                    path,
                    name,
                )


def test_only_the_bindings_see_pybind11() -> None:
    for path in CORE:
        sees = any(name.startswith("pybind11") for name in includes(path))
        assert sees == (path.name in {"module.cpp", "series_binding.cpp"}), path


def test_only_the_python_folder_sees_python() -> None:
    for path in CORE:
        sees = "Python.h" in includes(path) or "PyObject" in path.read_text()
        assert not sees or path.parent.name == "python", path


def test_includes_flow_one_way() -> None:
    """Each folder of csrc may include itself and the folders before it."""
    folders = ["host", "cuda", "core", "python"]
    for path in CORE:
        allowed = folders[: folders.index(path.parent.name) + 1]
        for name in includes(path):
            if "/" in name and name.split("/")[0] in folders:
                assert name.split("/")[0] in allowed, (path, name)


def test_only_native_imports_the_extension() -> None:
    for path in PACKAGE:
        if path.suffix == ".py" and path.name != "_native.py":
            assert not re.search(r"import _C|from \._C|fasttime\._C import", path.read_text()), path


def test_no_file_of_the_product_is_too_long() -> None:
    for path in [*CORE, *PACKAGE]:
        assert len(path.read_text().splitlines()) <= 400, path


def test_all_is_exact() -> None:
    public = {
        name
        for name, value in vars(fasttime).items()
        if not name.startswith("_") and not isinstance(value, type(re)) and name != "annotations"
    }
    assert public == set(fasttime.__all__)
    assert sorted(fasttime.__all__) == list(fasttime.__all__)


def test_completion_offers_the_public_names_alone() -> None:
    offered = dir(fasttime)
    assert [name for name in offered if not name.startswith("_")] == fasttime.__all__
    assert {"__all__", "__doc__", "__version__"} <= set(offered)


def test_every_public_name_is_described() -> None:
    for name in fasttime.__all__:
        assert getattr(fasttime, name).__doc__, name


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_the_tree_holds_nothing_built() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert not [name for name in tracked if name.endswith((".so", ".o", ".pyc"))]


def test_no_exit_is_typed_as_one_that_may_swallow_an_exception() -> None:
    """A bool there makes type checkers miss a return after each `with fasttime.scope(...)`."""
    exits = [
        ast.unparse(node.returns)
        for path in PACKAGE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "__exit__" and node.returns
    ]
    assert len(exits) >= 4
    assert set(exits) <= {"None", "Literal[False]"}

# SPDX-License-Identifier: BSD-3-Clause
"""Which modules of a package import which, and the cycles among them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path


def imported_modules(package: Path) -> dict[str, set[str]]:
    """Return, by module, which modules of the package it imports at run time.

    Imports inside functions count, and imports under ``if TYPE_CHECKING`` do not. A module that
    imports `from . import name` imports the submodule of that name, or else the package.
    """
    modules = {_module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    extensions = {_module_name(path, package) for path in package.rglob("*.pyi")}
    known = modules.keys() | extensions
    return {
        module: {
            found
            for name in _imports(module, path)
            if (found := _known_module(name, known)) is not None and found != module
        }
        for module, path in modules.items()
    }


def cycles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Return one cycle per group of modules that import each other: a path back to its start."""
    reachable = {module: _reachable(module, imports) for module in imports}
    found = []
    seen: set[str] = set()
    for module in imports:
        if module in reachable[module] and module not in seen:
            group = {other for other in reachable[module] if module in reachable.get(other, ())}
            seen |= group
            found.append(_shortest_path_back(module, imports))
    return found


def _module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(module: str, path: Path) -> Iterator[str]:
    """Yield every name that a file imports, in full: `fasttime.text.printable`, `os`."""
    is_package = path.name == "__init__.py"
    above = module.split(".") if is_package else module.split(".")[:-1]
    for node in _runtime_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = above[: len(above) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    is_for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    children = node.orelse if is_for_types else ast.iter_child_nodes(node)
    for child in children:
        yield from _runtime_nodes(child)


def _known_module(name: str, known: set[str]) -> str | None:
    """Return the module that a full name belongs to: itself, or the one that defines it."""
    return next((part for part in (name, name.rpartition(".")[0]) if part in known), None)


def _reachable(module: str, imports: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [module]
    while waiting:
        for other in imports.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def _shortest_path_back(module: str, imports: Mapping[str, set[str]]) -> list[str]:
    paths = [[module]]
    seen: set[str] = set()
    for path in paths:
        for other in sorted(imports.get(path[-1], ())):
            if other == module:
                return [*path, module]
            if other not in seen:
                seen.add(other)
                paths.append([*path, other])
    raise AssertionError("not in a cycle")

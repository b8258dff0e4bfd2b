# SPDX-License-Identifier: BSD-3-Clause
"""Call a function as soon as a module has been imported, without importing the module."""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Sequence


def call_after_import(module: str, function: Callable[[], None]) -> None:
    """Call the function once after the module's import; at once if the module is there already."""
    watch = _Watch(module, function)
    sys.meta_path.insert(0, watch)
    if module in sys.modules:
        watch.stop()
        importlib.import_module(module)  # waits for another thread that is importing the module
        function()


class _Watch(importlib.abc.MetaPathFinder):
    """A finder that finds nothing itself. It adds a call to the loader that others find."""

    def __init__(self, module: str, function: Callable[[], None]) -> None:
        self._module = module
        self._function = function
        self._is_asking = False

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        # Another finder may ask all finders too. The flag prevents endless recursion.
        if fullname != self._module or self._is_asking:
            return None
        self._is_asking = True
        try:
            return self._ask_others(fullname, path, target)
        finally:
            self._is_asking = False

    def stop(self) -> None:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)

    def _ask_others(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = None if find is None else find(fullname, path, target)
            if spec is not None and spec.loader is not None:
                found: importlib.machinery.ModuleSpec = spec
                # A loader without a __dict__ stays as it is.
                with contextlib.suppress(TypeError):
                    vars(spec.loader)["exec_module"] = self._then_call(spec.loader.exec_module)
                return found
        return None

    def _then_call(
        self, execute: Callable[[types.ModuleType], None]
    ) -> Callable[[types.ModuleType], None]:
        def exec_module(module: types.ModuleType) -> None:
            execute(module)
            self.stop()
            self._function()

        return exec_module

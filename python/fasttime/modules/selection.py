# SPDX-License-Identifier: BSD-3-Clause
"""Which modules of a model are timed."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch

# Each module takes up to three sites of the core's 8192.
MAX_MODULES = 2600


class Selected(NamedTuple):
    """A module to time.

    Attributes:
        path: its path in the model; empty for the model itself.
        type: the name of its class, without wrappers that replace the class.
        parent: the position of the nearest selected module around it; None for the model itself.
        is_compiled: whether torch.compile or TorchScript compiled it. Its inside is not visited.
    """

    module: torch.nn.Module
    path: str
    type: str
    parent: int | None
    is_compiled: bool


class Selection(NamedTuple):
    """The modules to time, parents first, and how many modules the limit left out."""

    modules: list[Selected]
    left_out: int


def select(
    model: torch.nn.Module,
    *,
    depth: int | None,
    types: type | tuple[type, ...] | None,
    match: str | Iterable[str] | None,
) -> Selection:
    """Return the model itself, and the modules inside it that fit.

    Args:
        depth: how many levels below the model to go; None goes to the end.
        types: only modules of these classes.
        match: only modules whose path fits one of these globs.

    A module that the model holds twice is timed once, under its first path. Raises ValueError if no
    module fits.
    """
    patterns = None if match is None else (match,) if isinstance(match, str) else tuple(match)
    chosen: list[Selected] = []
    left_out = 0
    visited = 0
    for module, path, levels, parent in _walk(model, chosen):
        visited += 1
        fits = (
            (types is None or isinstance(original(module), types))
            and (depth is None or levels <= depth)
            and (patterns is None or any(fnmatch.fnmatchcase(path, glob) for glob in patterns))
        )
        if path and not fits:
            continue
        if len(chosen) == MAX_MODULES:
            left_out += 1
            continue
        name = class_name(original(module))
        chosen.append(Selected(module, path, name, parent, is_compiled(module)))
    asked = [
        f"{name}={value!r}"
        for name, value in (("depth", depth), ("types", types), ("match", match))
        if value is not None
    ]
    if asked and len(chosen) == 1 and depth != 0:
        raise ValueError(
            f"none of the {visited - 1} modules inside {class_name(model)} fits "
            f"{' and '.join(asked)}; print(dict(model.named_modules())) shows the paths and types"
        )
    return Selection(chosen, left_out)


def _walk(
    model: torch.nn.Module, chosen: list[Selected]
) -> Iterator[tuple[torch.nn.Module, str, int, int | None]]:
    """Yield each module once: module, path, levels below the model, and parent among `chosen`."""
    seen: set[torch.nn.Module] = set()
    waiting: list[tuple[torch.nn.Module, str, int, int | None]] = [(model, "", 0, None)]
    while waiting:
        module, path, levels, parent = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        before = len(chosen)
        yield module, path, levels, parent
        if is_compiled(module):
            seen.update(module.modules())
            continue
        around = before if len(chosen) > before else parent
        children = [(name, child) for name, child in module.named_children() if child is not None]
        for name, child in reversed(children):
            waiting.append((child, f"{path}.{name}" if path else name, levels + 1, around))


def is_compiled(module: torch.nn.Module) -> bool:
    """Return whether the module was compiled. Its parts run in one region, or in no Python."""
    return (
        module.__dict__.get("_compiled_call_impl") is not None
        or isinstance(module, torch.jit.ScriptModule)
        or is_wrapped_by_compile(module)
    )


def is_wrapped_by_compile(module: torch.nn.Module) -> bool:
    """Return whether this is the result of ``torch.compile(module)``."""
    # By name, because the class lies in torch._dynamo, which takes seconds to import.
    return any(
        base.__name__ == "OptimizedModule" and base.__module__.startswith("torch._dynamo")
        for base in type(module).__mro__
    )


def original(module: torch.nn.Module) -> torch.nn.Module:
    """Return the module that ``torch.compile`` wraps, or the module itself."""
    inner = module.__dict__.get("_modules", {}).get("_orig_mod")
    return inner if inner is not None and is_wrapped_by_compile(module) else module


def class_name(module: torch.nn.Module) -> str:
    """Return the name of the module's class.

    FSDP2 and parametrizations replace the class of a module by a class derived from it, such as
    ``FSDPLinear``. The name of the original class is returned then.
    """
    mro = type(module).__mro__
    if len(mro) > 2 and mro[1].__name__ == "FSDPModule":
        return mro[2].__name__
    if mro[0].__name__ == f"Parametrized{mro[1].__name__}":
        return mro[1].__name__
    return mro[0].__name__

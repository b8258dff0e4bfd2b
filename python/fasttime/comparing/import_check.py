# SPDX-License-Identifier: BSD-3-Clause
"""Check that a process imported the code of its own tree.

An installed package is the same for both trees. If the timed code comes from there, both sides run
the same code, and the comparison would always say ``same``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from .worktree import AgainstError, other_tops, tracked_packages

_INSTALLED = ("site-packages", "dist-packages")


def check_imports(top: Path, targets: Iterable[str]) -> None:
    """Raise AgainstError if this process runs code of the repository from outside its own tree.

    Args:
        top: the top folder of the tree to which this process belongs.
        targets: names of modules that must come from the tree.

    Looks at every module imported so far, so call it after the timed code has run. Waits for git.
    """
    top = Path(os.path.realpath(top))
    for name in targets:
        place = _place(sys.modules.get(name))
        if place is None or not place.is_relative_to(top):
            raise AgainstError(_message(name, place))
    packages, others = tracked_packages(top), other_tops(top)
    for name, place in _imported():
        if place.is_relative_to(top):
            continue
        if name in packages or any(_is_code_of(place, other) for other in others):
            raise AgainstError(_message(name, place))


def _imported() -> Iterator[tuple[str, Path]]:
    for name, module in list(sys.modules.items()):
        place = _place(module)
        if place is not None:
            yield name, place


def _place(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    # Modules that a program makes itself may name a file without a folder, as torch.ops does.
    if not isinstance(file, str) or not os.path.isabs(file):
        return None
    return Path(os.path.realpath(file))


def _is_code_of(place: Path, top: Path) -> bool:
    """Whether a file is in a tree, and not in an environment that happens to lie there."""
    return (
        place.is_relative_to(top)
        and not set(_INSTALLED) & set(place.parts)
        and not place.is_relative_to(os.path.realpath(sys.prefix))
    )


def _message(name: str, place: Path | None) -> str:
    where = "Python itself" if place is None else str(place)
    return (
        f"{name!r} is imported from {where}, outside the worktree, so both sides would run the "
        "same code; let Python import from the current folder, such as by PYTHONPATH=src"
    )

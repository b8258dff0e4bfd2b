# SPDX-License-Identifier: BSD-3-Clause
"""Which of its tensor arguments a callable changes in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn.parameter import is_lazy

_CONTAINERS = (list, tuple, Mapping)


class ArgumentVersions:
    """The tensors among some arguments, with their version counters.

    Finds tensors in arguments, and in lists, tuples and mappings of them, however deeply nested.
    Inference tensors have no version counter, and lazy parameters cannot be asked before they have
    a shape, so both are skipped.
    """

    def __init__(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        self._tensors: list[tuple[str, torch.Tensor, int]] = []
        self._containers: set[int] = set()  # ids, because a list may contain itself
        for position, value in enumerate(args):
            self._add(f"argument {position}", value)
        for name, value in kwargs.items():
            self._add(f"argument {name!r}", value)

    def _add(self, name: str, value: object) -> None:
        left = [(name, value)]
        while left:
            name, value = left.pop()
            if isinstance(value, torch.Tensor):
                if not (is_lazy(value) or value.is_inference()):
                    self._tensors.append((name, value, value._version))
            elif isinstance(value, _CONTAINERS) and id(value) not in self._containers:
                self._containers.add(id(value))
                items = value.items() if isinstance(value, Mapping) else enumerate(value)
                inside = [
                    (f"{name}[{key!r}]", item)
                    for key, item in items
                    if isinstance(item, (torch.Tensor, *_CONTAINERS))
                ]
                left += reversed(inside)

    def changed(self) -> list[str]:
        """Return where tensors were changed in place since, such as ``argument 0``."""
        return [name for name, tensor, version in self._tensors if tensor._version != version]

# SPDX-License-Identifier: BSD-3-Clause
"""Whether a callable changes the tensors it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch


class ArgumentVersions:
    """The tensors among some arguments, and how often each had been changed when it was made.

    Looks at arguments and at lists, tuples and dicts of them. Inference tensors do not count how
    often they are changed, so nothing is known of those.
    """

    def __init__(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        self._tensors: list[tuple[str, torch.Tensor, int]] = []
        for position, value in enumerate(args):
            self._add(f"argument {position}", value)
        for name, value in kwargs.items():
            self._add(f"argument {name!r}", value)

    def _add(self, name: str, value: object) -> None:
        if isinstance(value, torch.Tensor):
            if not value.is_inference():
                self._tensors.append((name, value, value._version))
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                if isinstance(item, torch.Tensor):
                    self._add(f"{name}[{index}]", item)
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, torch.Tensor):
                    self._add(f"{name}[{key!r}]", item)

    def changed(self) -> list[str]:
        """Return which tensors have been changed in place since, in words."""
        return [name for name, tensor, version in self._tensors if tensor._version != version]

# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of hooks in a copy of a model: they drop out of it at the first call."""

from __future__ import annotations

from typing import Any

import torch

# The dicts of a module that hold hooks by number, and what is known of these hooks.
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
_FACTS = ("_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs")


def drop_out(module: torch.nn.Module, hooks: tuple[object, ...]) -> None:
    """Remove these hooks from the dicts of one module."""
    for name in _HOOKS:
        registered = module.__dict__.get(name, {})
        for number in [number for number, hook in registered.items() if hook in hooks]:
            del registered[number]
            for facts in _FACTS:
                module.__dict__.get(facts, {}).pop(number, None)


class UnpickledHooks:
    """The hooks of a model that was pickled while it was timed. They time nothing."""

    def before_forward(self, module: torch.nn.Module, *_: Any) -> None:
        """Drop out of the module."""
        drop_out(module, (self.before_forward, self.after_forward))

    def after_forward(self, module: torch.nn.Module, *_: Any) -> None:
        """Drop out of the module."""
        drop_out(module, (self.before_forward, self.after_forward))


def hooks() -> UnpickledHooks:
    """Return what the native hooks are pickled as."""
    return UnpickledHooks()

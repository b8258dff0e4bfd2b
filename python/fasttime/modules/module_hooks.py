# SPDX-License-Identifier: BSD-3-Clause
"""Put the native hooks on modules, and take them off again."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import torch

from .. import _native
from .selection import Selected
from .unpickled import drop_out

_Hook = Callable[..., None]


@functools.cache
def prepare_autograd() -> None:
    """Give the core the objects of torch that hooks use. Done once."""
    hooks: Any = getattr(torch._C, "_autograd", None)
    _native.set_autograd(
        {
            "tensor_type": torch.Tensor,
            "parameter_type": torch.nn.Parameter,
            "version": _descriptor("_version"),
            "grad_fn": _descriptor("grad_fn"),
            "hook_carrier": _hook_carrier(),
            "sequence_number": getattr(hooks, "_get_sequence_nr", None),
            "task_number": torch._C._current_graph_task_id,
            "queue_callback": torch.autograd.Variable._execution_engine.queue_callback,
            "push_creation_hook": getattr(hooks, "_push_node_creation_hook", None),
            "pop_creation_hook": getattr(hooks, "_pop_node_creation_hook", None),
        }
    )


def _descriptor(name: str) -> Any:
    """Return the descriptor of an attribute that all plain tensors have, or None."""
    found = torch._C.TensorBase.__dict__.get(name)
    return found if vars(torch.Tensor).get(name) is None else None


def _hook_carrier() -> torch.Tensor:
    """Return a tensor through which nodes get hooks.

    ``Tensor.register_hook`` registers its hooks in the same way. ``Node.register_prehook`` takes
    four times as long, because it makes an object that can remove the hook. The core uses it where
    the carrier does not work.
    """
    with torch.inference_mode(False):
        return torch.empty(0, device="cpu")


class CompiledCall:
    """Stands in for the compiled call of a module that was compiled in place.

    ``module.compile()`` compiles the module's hooks too, so its call is timed from outside.
    """

    def __init__(
        self, module: torch.nn.Module, call: Callable[..., Any], before: _Hook, after: _Hook
    ) -> None:
        self._module = weakref.ref(module)
        self.call = call
        self._before = before
        self._after = after

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        module = self._module()
        self._before(module, arguments)
        result = None
        try:
            result = self.call(*arguments, **keywords)
        finally:
            self._after(module, arguments, result)
        return result


class ModuleHook:
    """The hooks of one module. `on` and `off` are cheap enough to call at each step."""

    def __init__(self, selected: Selected, before: _Hook, after: _Hook) -> None:
        self._module = weakref.ref(selected.module)
        self._before = before
        self._after = after
        self._numbers: tuple[int, int] | None = None
        module = selected.module
        self._is_compiled_in_place = module.__dict__.get("_compiled_call_impl") is not None
        if not self._is_compiled_in_place:
            first = module.register_forward_pre_hook(before)
            # Also after an exception, and when a checkpoint stops early.
            second = module.register_forward_hook(after, always_call=True)
            self._numbers = first.id, second.id
        self.on()

    def on(self) -> None:
        """Put the hooks on; they may be on already."""
        module = self._module()
        if module is None:
            return
        if self._numbers is None:
            call = module._compiled_call_impl
            if call is not None and not isinstance(call, CompiledCall):
                module._compiled_call_impl = CompiledCall(module, call, self._before, self._after)
            return
        first, second = self._numbers
        module._forward_pre_hooks[first] = self._before
        module._forward_hooks[second] = self._after
        module._forward_hooks_always_called[second] = True

    def off(self) -> None:
        """Take the hooks off; they may be off already."""
        module = self._module()
        if module is None:
            return
        if self._numbers is None:
            call = module._compiled_call_impl
            if isinstance(call, CompiledCall):
                module._compiled_call_impl = call.call
            return
        first, second = self._numbers
        module._forward_pre_hooks.pop(first, None)
        module._forward_hooks.pop(second, None)
        module._forward_hooks_always_called.pop(second, None)

    def has_dict_of(self, module: torch.nn.Module) -> bool:
        """Return whether the other module shares these dicts, as data-parallel replicas do."""
        own = self._module()
        return own is not None and own._forward_hooks is module._forward_hooks


def meet_copy(hooks: list[ModuleHook], functions: tuple[_Hook, _Hook], copy: Any) -> None:
    """Let the hooks drop out of a copy of a module."""
    if not any(hook.has_dict_of(copy) for hook in hooks):
        drop_out(copy, functions)

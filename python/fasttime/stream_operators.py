# SPDX-License-Identifier: BSD-3-Clause
"""Tell on which streams torch issues operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .streams import Stream

# These operators put no work on a stream. Views are known by their schema.
_WITHOUT_WORK = {
    "_unsafe_view",
    "empty",
    "empty_like",
    "empty_strided",
    "is_pinned",
    "new_empty",
    "new_empty_strided",
    "record_stream",
    "resize_",
    "set_",
}


def _devices_in(values: Any) -> Iterator[int]:
    for value in values:
        if isinstance(value, torch.Tensor):
            if value.device.type == "cuda" and value.device.index is not None:
                yield value.device.index
        elif isinstance(value, (list, tuple)):
            yield from _devices_in(value)


class OperatorWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Call `note` with the stream of each operator on CUDA tensors, in this thread.

    Includes the operators of a backward that this thread starts, which run in threads of autograd.
    An operator runs on the current stream of its tensors' device. Views, allocations and compiled
    code are left out. `note` must not raise.
    """

    def __init__(self, note: Callable[[Stream], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._note = note

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Let torch.compile work as without this mode."""
        return True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise torch imports dynamo, which takes two seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if (
            func.is_view
            or func.overloadpacket.__name__ in _WITHOUT_WORK
            or torch.compiler.is_compiling()
            or any(kind.__name__ == "FakeTensor" for kind in types)
        ):
            return result
        for device in set(_devices_in((*args, *(kwargs or {}).values(), result))):
            self._note((device, torch._C._cuda_getCurrentRawStream(device)))
        return result

# SPDX-License-Identifier: BSD-3-Clause
"""Functions that torch.compile must not compile: `measure` and `compare`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

_F = TypeVar("_F", bound=Callable[..., Any])


def not_compiled(function: _F) -> _F:
    """Wrap a function so that torch.compile breaks the graph there and runs it as it is.

    `torch.compiler.disable` does the same, but imports torch._dynamo, which takes seconds. Without
    torch._dynamo there is nothing to switch off.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _is_compiling_what_it_sees():
            disable: Callable[[_F], _F] = torch.compiler.disable
            return disable(function)(*args, **kwargs)
        return function(*args, **kwargs)

    call._torchdynamo_disable = True  # type: ignore[attr-defined]
    return cast(_F, call)


def _is_compiling_what_it_sees() -> bool:
    """Return whether torch.compile compiles the functions that this thread calls."""
    frames = sys.modules.get("torch._C._dynamo.eval_frame")
    if frames is None:
        return False
    callback = getattr(frames, "get_eval_frame_callback", None)
    return callback is None or callback() not in (None, False)

# SPDX-License-Identifier: BSD-3-Clause
"""Functions that torch.compile must not compile: `measure` and `compare`."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, TypeVar, cast

import torch

from .import_watch import call_after_import

_F = TypeVar("_F", bound=Callable[..., Any])

_EVAL_FRAME = "torch._C._dynamo.eval_frame"  # private, so each use allows for its absence

_log = logging.getLogger("fasttime")


def not_compiled(function: _F) -> _F:
    """Wrap a function so that torch.compile breaks the graph there and runs it as it is.

    `torch.compiler.disable` does the same, but imports torch._dynamo, which takes seconds. Without
    torch._dynamo there is nothing to switch off.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _is_compiling_callees():
            disable: Callable[[_F], _F] = torch.compiler.disable
            return disable(function)(*args, **kwargs)
        return function(*args, **kwargs)

    call._torchdynamo_disable = True  # type: ignore[attr-defined]
    _codes.add(cast(FunctionType, call).__code__)
    if "torch._dynamo" in sys.modules:
        _meet_dynamo()
    return cast(_F, call)


def _is_compiling_callees() -> bool:
    """Return whether torch.compile compiles the functions that this thread calls."""
    eval_frame = sys.modules.get(_EVAL_FRAME)
    if eval_frame is None:
        return False
    callback = getattr(eval_frame, "get_eval_frame_callback", None)
    return callback is None or callback() not in (None, False)


# All wrappers share one code object.
_codes: set[CodeType] = {_is_compiling_callees.__code__}


def _meet_dynamo() -> None:
    """Make dynamo leave the wrappers alone, after a graph break as well."""
    try:
        for code in _codes:
            sys.modules["torch._dynamo.eval_frame"].skip_code(code)
    except Exception as error:
        _log.warning("measuring inside compiled code may fail: %r", error)


call_after_import("torch._dynamo", _meet_dynamo)

# SPDX-License-Identifier: BSD-3-Clause
"""Let torch.compile trace through scopes: they never break the graph, and time nothing inside.

A scope has no place in a compiled region, because the compiler fuses and reorders the code around
it. So the tracer gets stand-ins for the scope functions. The log says once that there was a scope,
and each report says so.

fasttime never imports torch._dynamo. It registers its functions as soon as another module does.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .. import _native
from . import dynamo_private, stand_ins
from .import_watch import call_after_import
from .stand_ins import modules_met, scopes_met

__all__ = ["adopt", "modules_met", "scopes_met"]

_Function = Callable[..., Any]

_log = logging.getLogger("fasttime")
_stand_ins: dict[str, _Function] = {}  # empty until torch._dynamo has been imported
# The functions of recorders that dynamo does not know yet. Threads take an entry by pop(), so each
# entry is registered once.
_waiting: weakref.WeakKeyDictionary[object, tuple[_Function, ...]] = weakref.WeakKeyDictionary()


def adopt(recorder: object, functions: Sequence[_Function]) -> None:
    """Let torch.compile trace through a recorder's scope functions, as long as the recorder lives.

    The `__name__` of each function selects the stand-in. Raises nothing. Costs about 15 us per
    function after torch._dynamo has been imported, and next to nothing before.
    """
    _waiting[recorder] = tuple(functions)
    if _stand_ins:
        _register_waiting()


def _register_waiting() -> None:
    for reference in _waiting.keyrefs():
        recorder = reference()
        functions = None if recorder is None else _waiting.pop(recorder, None)
        if functions is None:
            continue
        try:
            for function in functions:
                stand_in = _stand_ins[function.__name__]
                torch.compiler.substitute_in_graph(function, skip_signature_check=True)(stand_in)
                dynamo_private.hide_arguments(function)
        except Exception as error:
            _log.warning("scopes will break the graphs of torch.compile: %r", error)
        else:
            weakref.finalize(recorder, dynamo_private.forget, functions).atexit = False


def _meet_dynamo() -> None:
    try:
        take_for_constant: _Function = torch.compiler.assume_constant_result
        take_for_constant(stand_ins.note_scope)
        take_for_constant(stand_ins.note_module)
        found = stand_ins.by_name(has_variables=dynamo_private.teach_types())
    except Exception as error:
        _log.warning("scopes will break the graphs of torch.compile: %r", error)
        return
    _stand_ins.update(found)
    _register_waiting()


call_after_import("torch._dynamo", _meet_dynamo)
adopt(_native, (_native.suspend, _native.resume))  # decorated generators call these two

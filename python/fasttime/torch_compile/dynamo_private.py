# SPDX-License-Identifier: BSD-3-Clause
"""All uses of dynamo's private tables and classes.

Dynamo has no public way to do these things. If its internals have changed, each function here fails
without harm, and says what no longer works. Only this module needs changes then. Nothing here may
run before torch._dynamo has been imported.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
from collections.abc import Callable, Iterable
from typing import Any

from .. import _native
from . import stand_ins
from .stand_ins import UNTIMED, Untimed, UntimedPhases, note_scope

_Function = Callable[..., Any]

_log = logging.getLogger("fasttime")

_SCOPE_TYPE: type = _native.Scope
_PHASES_TYPE: type = _native.Phases


def teach_types() -> bool:
    """Make dynamo treat scope objects, also objects from outside, as contexts without effect.

    False if dynamo's internals have changed. Then a scope object made outside of a compiled region
    breaks the graph, and is timed.
    """
    try:
        builder = _builder()
        variables = importlib.import_module("torch._dynamo.variables")
        type_match = importlib.import_module("torch._dynamo.guards").GuardBuilder.TYPE_MATCH
        nothing = importlib.import_module("torch._dynamo.variables.ctx_manager").NullContextVariable

        class UntimedVariable(nothing):  # type: ignore[misc, valid-type]
            stands_for: type[Untimed] = Untimed

            def enter(self, tx: Any) -> Any:
                note_scope()
                return type(self)()

            def call_function(self, tx: Any, args: Any, kwargs: Any) -> Any:
                return args[0]

            # After a graph break, the code imports this class by its name and calls it.
            def module_name(self) -> str:
                return stand_ins.__name__

            def fn_name(self) -> str:
                return self.stands_for.__name__

            def python_type(self) -> type:
                return self.stands_for

        class UntimedPhasesVariable(UntimedVariable):
            stands_for = UntimedPhases

            def call_function(self, tx: Any, args: Any, kwargs: Any) -> Any:
                return variables.ConstantVariable.create(None)

        def wrap_untimed(_: Any, value: Untimed) -> Any:
            is_phases = type(value) is UntimedPhases
            return UntimedPhasesVariable() if is_phases else UntimedVariable()

        def wrap_scope(self: Any, value: object) -> Any:
            self.install_guards(type_match)
            if type(value) is _SCOPE_TYPE:
                return UntimedVariable(source=self.source)
            return UntimedPhasesVariable(source=self.source)

        wrap_untimed(None, UNTIMED)  # fails here, and not while dynamo traces
        by_type = builder._type_dispatch()
        by_type[Untimed] = by_type[UntimedPhases] = wrap_untimed
        by_type[_SCOPE_TYPE] = by_type[_PHASES_TYPE] = wrap_scope
    except Exception as error:
        _log.debug("scope objects from outside will break graphs: %r", error)
        return False
    return True


def hide_arguments(function: _Function) -> None:
    """Keep changing names from recompiling. Dynamo must know the scope function already.

    If dynamo's internals have changed, new names may recompile.
    """
    try:
        blind = _blind_variable()
        by_id = _builder()._id_dispatch()
        wrap = by_id[id(function)]

        def wrap_blind(self: Any, value: _Function) -> Any:
            wrap(self, value)  # installs the guards
            return blind(value, source=self.source)

        blind(function)  # fails here, and not while dynamo traces
        by_id[id(function)] = wrap_blind
    except Exception as error:
        _log.debug("changing names of scopes may recompile: %r", error)


@functools.cache
def _blind_variable() -> Any:
    """Return the class of dynamo's variables for scope functions. It hides the call's arguments.

    Before torch 2.12, dynamo looks at the first argument of every function that it inlines. A look
    at a string installs a guard, so each new name would recompile. The stand-ins need no argument.
    """
    variables = importlib.import_module("torch._dynamo.variables")
    polyfilled: Any = variables.PolyfilledFunctionVariable

    class BlindFunctionVariable(polyfilled):  # type: ignore[misc]
        # Without this line, each class would have handlers of its own.
        _get_polyfill_handlers = polyfilled._get_polyfill_handlers

        def call_function(self, tx: Any, args: Any, kwargs: Any) -> Any:
            unseen = variables.ConstantVariable.create(None)
            return super().call_function(tx, [unseen] * len(args), dict.fromkeys(kwargs, unseen))

    return BlindFunctionVariable


def forget(functions: Iterable[_Function]) -> None:
    """Make dynamo forget scope functions, which it would otherwise keep alive with their recorder.

    Dynamo finds functions by their ids, and a later object may get the same id. So the entries by
    id go first. If dynamo's internals have changed, the functions stay.
    """
    with contextlib.suppress(Exception):
        rules = importlib.import_module("torch._dynamo.trace_rules")
        variables = importlib.import_module("torch._dynamo.variables")
        by_id = _builder()._id_dispatch()
        by_function = rules.get_torch_obj_rule_map()
        handlers = variables.PolyfilledFunctionVariable._get_polyfill_handlers()
        for function in functions:
            both = (function, handlers[function])
            for known in both:
                rules._polyfilled_function_ids.remove(id(known))
                del by_id[id(known)]
            for known in both:
                del by_function[known]
                del handlers[known]


def _builder() -> Any:
    return importlib.import_module("torch._dynamo.variables.builder").VariableBuilder

# SPDX-License-Identifier: BSD-3-Clause
"""Scopes in regions that torch.compile traces: there they do nothing, and never break the graph.

A compiled region has no place for a scope: the compiler fuses and reorders what it is around. So
the tracer gets stand-ins for the scope functions, which are built in and which it cannot look into.
They leave nothing in the graph. That a scope was met is said once in the log, and in each report.

Nothing here imports torch._dynamo: what has to be registered there waits until somebody else does.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.abc
import importlib.machinery
import logging
import sys
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch

from . import _native

_Function = Callable[..., Any]

_DYNAMO = "torch._dynamo"
_log = logging.getLogger("fasttime")
_met_a_scope = False
_dynamo_is_here = False
_polyfills: dict[str, _Function] = {}
# Recorders that dynamo does not know yet. They are taken out by pop(), so once, in any thread.
_waiting: weakref.WeakKeyDictionary[object, tuple[_Function, ...]] = weakref.WeakKeyDictionary()


def scopes_were_compiled() -> bool:
    """Whether a scope was met in a compiled region, in this process: it is not timed there."""
    return _met_a_scope


def adopt(recorder: object, functions: Sequence[_Function]) -> None:
    """Let torch.compile trace through the scope functions of a recorder, for as long as it lives.

    `functions` go by their names. Raises nothing; costs some 15 us a function once torch._dynamo
    is imported, and next to nothing before.
    """
    _waiting[recorder] = tuple(functions)
    if _dynamo_is_here:
        _register_waiting()


# --- What the tracer sees ---


class Untimed:
    """What scope() is in a compiled region: a context manager and decorator that does nothing."""

    def __enter__(self) -> Untimed:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def __call__(self, argument: Any) -> Any:
        return argument


class UntimedPhases(Untimed):
    """What phases() is in a compiled region."""

    def __call__(self, argument: object) -> None:
        return None


_UNTIMED = Untimed()
_UNTIMED_PHASES = UntimedPhases()


def _note_scope() -> None:
    # Called by the tracer itself, while it traces: dynamo takes the result for a constant.
    global _met_a_scope
    if not _met_a_scope:
        _met_a_scope = True
        _log.warning(
            "a fasttime scope is in a region that torch.compile compiles: it is not timed there. "
            "Put the scope around the compiled call."
        )


def _scope(name: str, *, stream: object = None) -> Untimed:
    _note_scope()
    return _UNTIMED


def _phases(name: str, *, stream: object = None) -> UntimedPhases:
    _note_scope()
    return _UNTIMED_PHASES


def _begin(name: str, *, stream: object = None) -> None:
    _note_scope()


def _nothing(token: object) -> None:
    return None


# For a dynamo that does not take the variables below. It cannot resume inside a context manager of
# a class that it does not know, only inside this one.
def _scope_without_variable(name: str, *, stream: object = None) -> contextlib.nullcontext[None]:
    _note_scope()
    return contextlib.nullcontext()


def _phases_without_variable(name: str, *, stream: object = None) -> UntimedPhases:
    _note_scope()
    return UntimedPhases()


def _teach_types() -> bool:
    """Make dynamo take scope objects, also those from outside, for contexts that do nothing.

    This leans on dynamo's inside, for want of a public way. False where that has changed; then a
    scope object made outside of a compiled region breaks the graph, and is timed.
    """
    try:
        builder = importlib.import_module("torch._dynamo.variables.builder").VariableBuilder
        variables = importlib.import_module("torch._dynamo.variables")
        type_match = importlib.import_module("torch._dynamo.guards").GuardBuilder.TYPE_MATCH
        nothing = importlib.import_module("torch._dynamo.variables.ctx_manager").NullContextVariable

        class UntimedVariable(nothing):  # type: ignore[misc, valid-type]
            stands_for: type[Untimed] = Untimed

            def enter(self, tx: Any) -> Any:
                _note_scope()
                return type(self)()

            def call_function(self, tx: Any, args: Any, kwargs: Any) -> Any:
                return args[0]

            # How to make one where the graph is left: by importing this class and calling it.
            def module_name(self) -> str:
                return __name__

            def fn_name(self) -> str:
                return self.stands_for.__name__

            def python_type(self) -> type:
                return self.stands_for

        class UntimedPhasesVariable(UntimedVariable):
            stands_for = UntimedPhases

            def call_function(self, tx: Any, args: Any, kwargs: Any) -> Any:
                return variables.ConstantVariable.create(None)

        def wrap_untimed(_: Any, value: Untimed) -> Any:
            return UntimedPhasesVariable() if type(value) is UntimedPhases else UntimedVariable()

        def wrap_scope(self: Any, value: object) -> Any:
            self.install_guards(type_match)
            if type(value) is _native.Scope:
                return UntimedVariable(source=self.source)
            return UntimedPhasesVariable(source=self.source)

        wrap_untimed(None, _UNTIMED)  # where this fails, it has to fail now
        by_type = builder._type_dispatch()
        by_type[Untimed] = by_type[UntimedPhases] = wrap_untimed
        by_type[_native.Scope] = by_type[_native.Phases] = wrap_scope
    except Exception as error:
        _log.debug("scope objects from outside will break graphs: %r", error)
        return False
    return True


@functools.cache
def _blind_variable() -> Any:
    """Return the class by which dynamo knows a scope function: it hides the arguments of calls.

    Before torch 2.12 dynamo looks at the first argument of every function it inlines, and a look
    at a string is a guard on it: each new name would recompile. The stand-ins read no argument.
    """
    variables = importlib.import_module("torch._dynamo.variables")
    polyfilled: Any = variables.PolyfilledFunctionVariable

    class BlindFunctionVariable(polyfilled):  # type: ignore[misc]
        _get_polyfill_handlers = polyfilled._get_polyfill_handlers  # else each class has its own

        def call_function(self, tx: Any, args: Any, kwargs: Any) -> Any:
            unseen = variables.ConstantVariable.create(None)
            return super().call_function(tx, [unseen] * len(args), dict.fromkeys(kwargs, unseen))

    return BlindFunctionVariable


def _make_blind(function: _Function) -> None:
    """Keep changing names from recompiling: for a scope function that dynamo already knows.

    This too leans on dynamo's inside. Where that has changed, new names may recompile.
    """
    try:
        blind = _blind_variable()
        builder = importlib.import_module("torch._dynamo.variables.builder").VariableBuilder
        by_id = builder._id_dispatch()
        wrap = by_id[id(function)]

        def wrap_blind(self: Any, value: _Function) -> Any:
            wrap(self, value)  # for its guards
            return blind(value, source=self.source)

        blind(function)  # where this fails, it has to fail now
        by_id[id(function)] = wrap_blind
    except Exception as error:
        _log.debug("changing names of scopes may recompile: %r", error)


# --- Registering ---


def _register_waiting() -> None:
    for reference in _waiting.keyrefs():
        recorder = reference()
        functions = None if recorder is None else _waiting.pop(recorder, None)
        if functions is None:
            continue
        try:
            for function in functions:
                polyfill = _polyfills[function.__name__]
                torch.compiler.substitute_in_graph(function, skip_signature_check=True)(polyfill)
                _make_blind(function)
        except Exception as error:
            _log.warning("scopes will break the graphs of torch.compile: %r", error)
        else:
            weakref.finalize(recorder, _withdraw, functions).atexit = False


def _withdraw(functions: tuple[_Function, ...]) -> None:
    """Make dynamo forget functions: it would keep them alive, and with them all they measured.

    Dynamo goes by their ids, which others may have later: so these go first, and where its inside
    has changed, the functions stay.
    """
    with contextlib.suppress(Exception):
        rules = importlib.import_module("torch._dynamo.trace_rules")
        variables = importlib.import_module("torch._dynamo.variables")
        builder = importlib.import_module("torch._dynamo.variables.builder").VariableBuilder
        by_id = builder._id_dispatch()
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


def _greet_dynamo() -> None:
    global _dynamo_is_here
    try:
        take_for_constant: _Function = torch.compiler.assume_constant_result
        take_for_constant(_note_scope)
        if _teach_types():
            _polyfills.update(scope=_scope, phases=_phases)
        else:
            _polyfills.update(scope=_scope_without_variable, phases=_phases_without_variable)
        _polyfills.update(begin=_begin, end=_nothing, suspend=_nothing, resume=_nothing)
    except Exception as error:
        _log.warning("scopes will break the graphs of torch.compile: %r", error)
        return
    _dynamo_is_here = True
    _register_waiting()


class _DynamoWatch(importlib.abc.MetaPathFinder):
    """Calls `_greet_dynamo` once, when torch._dynamo has been imported. Finds nothing itself."""

    def __init__(self) -> None:
        self._is_asking = False

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        # Another finder that asks all others would ask this one for ever.
        if fullname != _DYNAMO or self._is_asking:
            return None
        self._is_asking = True
        try:
            return self._ask_others(fullname, path, target)
        finally:
            self._is_asking = False

    def _ask_others(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = None if find is None else find(fullname, path, target)
            if spec is not None and spec.loader is not None:
                found: importlib.machinery.ModuleSpec = spec
                # A loader that takes no attributes is left alone.
                with contextlib.suppress(TypeError):
                    vars(spec.loader)["exec_module"] = self._then_greet(spec.loader.exec_module)
                return found
        return None

    def _then_greet(
        self, execute: Callable[[types.ModuleType], None]
    ) -> Callable[[types.ModuleType], None]:
        def exec_module(module: types.ModuleType) -> None:
            execute(module)
            self.stop()
            _greet_dynamo()

        return exec_module

    def start(self) -> None:
        sys.meta_path.insert(0, self)
        if _DYNAMO in sys.modules:
            self.stop()
            importlib.import_module(_DYNAMO)  # waits for a thread that is at it
            _greet_dynamo()

    def stop(self) -> None:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)


_DynamoWatch().start()
adopt(_native, (_native.suspend, _native.resume))  # what decorated generators call

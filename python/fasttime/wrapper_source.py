# SPDX-License-Identifier: BSD-3-Clause
"""Wrappers with the parameters of the function that they wrap.

A wrapper that takes ``*args, **kwargs`` accepts any arguments. The wrapper of a coroutine function
or a generator function then raises its TypeError only at the first step. uvicorn, for example,
tells an application from a factory by the TypeError of a call without arguments. Only a function
with the same parameters raises at the call, and is a coroutine function to `inspect`.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any

_KINDS = inspect.Parameter
_ANY = [_KINDS("args", _KINDS.VAR_POSITIONAL), _KINDS("kwargs", _KINDS.VAR_KEYWORD)]


def wrapper_like(function: Any, source: str, helpers: Mapping[str, Any]) -> Any:
    """Return a wrapper with the parameters of `function`, made from source text.

    Args:
        function: the function to wrap, or another callable.
        source: the text of a function, with ``{wrapper}``, ``{parameters}``, ``{arguments}`` and
            ``{function}``. Other names in braces are helpers or local variables. They get a prefix,
            because `function` may have a parameter of any name.
        helpers: what the text uses, by name.
    """
    parameters = _parameters_of(function)
    names = _Prefixed(
        parameters=_declared(parameters),
        arguments=", ".join(map(_passed, parameters)),
    )
    scope: dict[str, Any] = {_prefixed(name): value for name, value in helpers.items()}
    scope[_prefixed("function")] = function
    exec(compile(source.format_map(names), "<fasttime wrapper>", "exec"), scope)
    wrapper = scope[_prefixed("wrapper")]
    wrapper.__defaults__ = tuple(
        one.default
        for one in parameters
        if one.kind in (_KINDS.POSITIONAL_ONLY, _KINDS.POSITIONAL_OR_KEYWORD)
        and one.default is not _KINDS.empty
    )
    wrapper.__kwdefaults__ = {
        one.name: one.default
        for one in parameters
        if one.kind is _KINDS.KEYWORD_ONLY and one.default is not _KINDS.empty
    }
    return functools.wraps(function)(wrapper)


class _Prefixed(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return _prefixed(name)


def _prefixed(name: str) -> str:
    return f"_fasttime_{name}"


def _parameters_of(function: Any) -> list[inspect.Parameter]:
    if isinstance(function, types.FunctionType):
        # A copy without attributes: __signature__ and __wrapped__ may describe another function.
        closure = function.__closure__
        bare = types.FunctionType(function.__code__, {}, None, function.__defaults__, closure)
        bare.__kwdefaults__ = function.__kwdefaults__
        return list(inspect.signature(bare).parameters.values())
    try:
        return list(inspect.signature(function, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):  # a callable without a signature
        return _ANY


def _declared(parameters: list[inspect.Parameter]) -> str:
    """Return the parameters as in a `def`. The defaults are set later."""
    bare = [
        one.replace(
            annotation=_KINDS.empty,
            default=_KINDS.empty if one.default is _KINDS.empty else None,
        )
        for one in parameters
    ]
    return str(inspect.Signature(bare))[1:-1]


def _passed(parameter: inspect.Parameter) -> str:
    """Return a parameter as in a call that passes it on."""
    if parameter.kind is _KINDS.VAR_POSITIONAL:
        return f"*{parameter.name}"
    if parameter.kind is _KINDS.VAR_KEYWORD:
        return f"**{parameter.name}"
    if parameter.kind is _KINDS.KEYWORD_ONLY:
        return f"{parameter.name}={parameter.name}"
    return parameter.name

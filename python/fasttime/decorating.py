# SPDX-License-Identifier: BSD-3-Clause
"""Scopes around functions: what ``@fasttime.scope("name")`` makes of each kind of function."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import torch

# Both make functions of one code each.
_CONTEXT_MANAGERS = {
    made(lambda: None).__code__  # type: ignore[arg-type,return-value]
    for made in (contextlib.contextmanager, contextlib.asynccontextmanager)
}


def decorate(
    suspend: Callable[[Any], None],
    resume: Callable[[Any], None],
    scope: Callable[..., Any],
    name: str,
    stream: Any,
    function: Any,
) -> Any:
    """Return `function` wrapped so that each call is one scope.

    Coroutines and generators are in scope from their first step to their return, failure,
    cancellation or close: while one is suspended its scope stays open, as time passes for it too.
    A generator runs in its caller's context, so between its steps the scope is `suspend`ed, lest
    the caller's own scopes become its children.

    A bound method stays one, so that a module which keeps it can be copied.

    Raises TypeError for what is no function, for what would no longer be what it was: a class, a
    module, a staticmethod, a classmethod or a property; and for what contextlib.contextmanager
    made, of which only the making would be timed.
    """
    _refuse_what_is_no_function(name, function)
    if isinstance(function, types.MethodType):
        inner = decorate(suspend, resume, scope, name, stream, function.__func__)
        return types.MethodType(inner, function.__self__)
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            with scope(name, stream=stream) as token:
                inner = function(*args, **kwargs)
                step = _first_step(inner)
                while True:
                    # What passes through must not be held here, neither while this is suspended
                    # nor afterwards, by a cycle of this frame and an exception.
                    held = []
                    try:
                        held.append(await step)
                    except StopAsyncIteration:
                        return
                    finally:
                        step = None
                    suspend(token)
                    try:
                        step = inner.asend((yield held.pop()))
                    except BaseException as error:
                        step = inner.athrow(error)
                    finally:
                        resume(token)

        return async_generator

    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with scope(name, stream=stream) as token:
                inner = function(*args, **kwargs)
                step: Callable[..., Any] = inner.send
                held: list[Any] = [None]
                try:
                    while True:
                        try:
                            held.append(step(held.pop()))
                        except StopIteration as stop:
                            return stop.value
                        suspend(token)
                        try:
                            held.append((yield held.pop()))
                            step = inner.send
                        except BaseException as error:
                            held.append(error)
                            step = inner.throw
                        finally:
                            resume(token)
                finally:
                    held.clear()  # as above

        is_coroutine = function.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE
        return types.coroutine(generator) if is_coroutine else generator

    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__
    ):

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with scope(name, stream=stream):
                return await function(*args, **kwargs)

        return coroutine

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with scope(name, stream=stream):
            return function(*args, **kwargs)

    return call


def _refuse_what_is_no_function(name: str, function: Any) -> None:
    if isinstance(function, type):
        raise TypeError(
            f"scope {name!r} decorates a function, and {function.__qualname__} is a class; "
            "decorate its methods, such as __init__"
        )
    if isinstance(function, torch.nn.Module):
        raise TypeError(
            f"scope {name!r} decorates a function, and this is a {type(function).__name__}, a "
            "module, which would no longer be one; decorate its class's forward, or put a `with` "
            "around the call"
        )
    for kind in (staticmethod, classmethod, property):
        if isinstance(function, kind):
            raise TypeError(
                f"scope {name!r} decorates a function, and this is a {kind.__name__} already; "
                f"write @{kind.__name__} above the scope"
            )
    if getattr(function, "__code__", None) in _CONTEXT_MANAGERS:
        raise TypeError(
            f"scope {name!r} decorates a function, and {function.__qualname__} makes a context "
            "manager, whose block it would not time; put a `with` around that block"
        )
    if not callable(function):
        raise TypeError(
            f"scope {name!r} decorates a function; it was called with {function!r}. To time a "
            "block, write `with`"
        )


def _first_step(generator: AsyncGenerator[Any, Any]) -> Any:
    """Start it unseen by the event loop, which closes at its end all that it has seen start.

    It sees the generator around this one, which closes this one.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)

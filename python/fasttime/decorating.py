# SPDX-License-Identifier: BSD-3-Clause
"""Scopes as decorators: how ``@fasttime.scope("name")`` wraps each kind of function."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import torch

from .wrapper_source import wrapper_like

# Bodies of wrappers; see `wrapper_like`.
_COROUTINE = """
async def {wrapper}({parameters}):
    with {scope}({name}, stream={stream}):
        return await {function}({arguments})
"""
_GENERATOR = """
def {wrapper}({parameters}):
    return (yield from {timed}({function}({arguments})))
"""
# Values that pass through must not stay alive: not while suspended, and not afterwards in a
# reference cycle of this frame and an exception.
_ASYNC_GENERATOR = """
async def {wrapper}({parameters}):
    with {scope}({name}, stream={stream}) as {token}:
        {inner} = {function}({arguments})
        {step} = {first_step}({inner})
        while True:
            {held} = []
            try:
                {held}.append(await {step})
            except StopAsyncIteration:
                return
            finally:
                {step} = None
            {suspend}({token})
            try:
                {step} = {inner}.asend((yield {held}.pop()))
            except BaseException as {error}:
                {step} = {inner}.athrow({error})
            finally:
                {resume}({token})
"""

# Every function that one of these decorators makes has the same code object.
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
    """Wrap `function` so that each call is one scope.

    The scope of a coroutine or generator lasts from the first step to the return, the exception,
    the cancellation or the close. It stays open while the function is suspended, because that time
    counts too. A generator runs in its caller's context. So between its steps the scope is
    suspended, and the caller's own scopes do not become its children.

    The wrapper has the function's own parameters. So wrong arguments raise at the call, although
    the function itself only runs at its first step.

    A bound method stays a bound method, so a module that holds one can be copied.

    Args:
        suspend: stops a scope from being a parent, until `resume`.
        resume: makes a suspended scope a parent again.
        scope: makes a scope, from `name` and `stream`.
        name: the scope's name.
        stream: the scope's stream; None for the current stream; a tuple of several streams.
        function: the function to wrap.

    Raises TypeError if `function` is not callable. Also raises TypeError for a class, a module, a
    staticmethod, a classmethod and a property, because wrapping would change their type. Raises
    TypeError for a function from contextlib.contextmanager, because its block would not be timed.
    """
    _check_function(name, function)
    if isinstance(stream, tuple):
        scope, stream = functools.partial(scope, streams=stream), None
    if isinstance(function, types.MethodType):
        inner = decorate(suspend, resume, scope, name, stream, function.__func__)
        return types.MethodType(inner, function.__self__)
    helpers = {"scope": scope, "name": name, "stream": stream, "suspend": suspend, "resume": resume}
    if inspect.isasyncgenfunction(function):
        return wrapper_like(function, _ASYNC_GENERATOR, {**helpers, "first_step": _first_step})
    if inspect.isgeneratorfunction(function):

        def timed(inner: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            with scope(name, stream=stream) as token:
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
                    held.clear()  # as in the asynchronous generator

        generator = wrapper_like(function, _GENERATOR, {"timed": timed})
        is_coroutine = function.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE
        return types.coroutine(generator) if is_coroutine else generator
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__
    ):
        return wrapper_like(function, _COROUTINE, helpers)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with scope(name, stream=stream):
            return function(*args, **kwargs)

    return call


def _check_function(name: str, function: Any) -> None:
    if isinstance(function, type):
        raise TypeError(
            f"scope {name!r} can only decorate a function, and {function.__qualname__} is a "
            "class; decorate its methods, such as __init__"
        )
    if isinstance(function, torch.nn.Module):
        raise TypeError(
            f"scope {name!r} can only decorate a function, and this is a "
            f"{type(function).__name__}, a module; decorate its class's forward, or put a `with` "
            "around the call"
        )
    for kind in (staticmethod, classmethod, property):
        if isinstance(function, kind):
            raise TypeError(
                f"scope {name!r} can only decorate a function, and this is a {kind.__name__}; "
                f"write @{kind.__name__} above the scope"
            )
    if getattr(function, "__code__", None) in _CONTEXT_MANAGERS:
        raise TypeError(
            f"scope {name!r} cannot time the block of a context manager, and "
            f"{function.__qualname__} makes a context manager; put a `with` around the block"
        )
    if not callable(function):
        raise TypeError(
            f"scope {name!r} can only decorate a function, got {function!r}; to time a block, "
            "write `with`"
        )


def _first_step(generator: AsyncGenerator[Any, Any]) -> Any:
    """Start the inner generator without the event loop's hooks.

    When an event loop ends, it closes every generator that started under its hooks. The loop knows
    the outer generator, which closes this one.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)

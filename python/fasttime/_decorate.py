# SPDX-License-Identifier: BSD-3-Clause
"""Scopes around functions: what ``@fasttime.scope("name")`` makes of each kind of function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any


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

    Raises TypeError for what is no function, and for what would no longer be what it was: a class,
    a staticmethod, a classmethod or a property.
    """
    if isinstance(function, type):
        raise TypeError(
            f"scope {name!r} decorates a function, and {function.__qualname__} is a class; "
            "decorate its methods, such as __init__"
        )
    for kind in (staticmethod, classmethod, property):
        if isinstance(function, kind):
            raise TypeError(
                f"scope {name!r} decorates a function, and this is a {kind.__name__} already; "
                f"write @{kind.__name__} above the scope"
            )
    if not callable(function):
        raise TypeError(
            f"scope {name!r} decorates a function; it was called with {function!r}. To time a "
            "block, write `with`"
        )
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            with scope(name, stream=stream) as token:
                inner = function(*args, **kwargs)
                step, argument = inner.asend, None
                while True:
                    try:
                        value = await step(argument)
                    except StopAsyncIteration:
                        return
                    suspend(token)
                    try:
                        argument = yield value
                        step = inner.asend
                    except BaseException as error:
                        step, argument = inner.athrow, error
                    finally:
                        resume(token)

        return async_generator

    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with scope(name, stream=stream) as token:
                inner = function(*args, **kwargs)
                step, argument = inner.send, None
                while True:
                    try:
                        value = step(argument)
                    except StopIteration as stop:
                        return stop.value
                    suspend(token)
                    try:
                        argument = yield value
                        step = inner.send
                    except BaseException as error:
                        step, argument = inner.throw, error
                    finally:
                        resume(token)

        return generator

    if inspect.iscoroutinefunction(function):

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

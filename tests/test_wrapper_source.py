# SPDX-License-Identifier: BSD-3-Clause
"""Decorated functions take the arguments of the function that they wrap, and no others."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import pytest

from fasttime import Recorder

KINDS = ("plain", "coroutine", "generator", "async generator")


def undecorated() -> dict[str, Callable[..., Any]]:
    """Return one function of each kind. Each yields or returns its arguments."""

    def plain(a: int, /, b: int = 2, *rest: int, scope: int, name: int = 5, **more: int) -> Any:
        return a, b, rest, scope, name, more

    async def coroutine(
        a: int, /, b: int = 2, *rest: int, scope: int, name: int = 5, **more: int
    ) -> Any:
        return a, b, rest, scope, name, more

    def generator(
        a: int, /, b: int = 2, *rest: int, scope: int, name: int = 5, **more: int
    ) -> Iterator[Any]:
        yield a, b, rest, scope, name, more

    async def stream(
        a: int, /, b: int = 2, *rest: int, scope: int, name: int = 5, **more: int
    ) -> AsyncGenerator[Any, None]:
        yield a, b, rest, scope, name, more

    return dict(zip(KINDS, (plain, coroutine, generator, stream), strict=True))


def result_of(called: Any) -> Any:
    async def first() -> Any:
        return await called.__anext__()

    if inspect.iscoroutine(called):
        return asyncio.run(called)
    if inspect.isasyncgen(called):
        return asyncio.run(first())
    return next(called) if inspect.isgenerator(called) else called


def error_of(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(TypeError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_arguments_raise_at_the_call(recorder: Recorder, kind: str) -> None:
    function = undecorated()[kind]
    decorated = recorder.scope("s")(function)
    for args, kwargs in [((), {}), ((1,), {}), ((), {"a": 1, "scope": 2})]:
        assert error_of(decorated, *args, **kwargs) == error_of(function, *args, **kwargs)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_reach_the_function(recorder: Recorder, kind: str) -> None:
    function = undecorated()[kind]
    decorated = recorder.scope("s")(function)
    for args, kwargs in [
        ((1,), {"scope": 4}),
        ((1, 3, 7, 8), {"scope": 4, "name": 6, "other": 9}),
        ((1,), {"b": 3, "scope": 4, "a": 2}),  # `a` is also a name among **more
    ]:
        assert result_of(decorated(*args, **kwargs)) == result_of(function(*args, **kwargs))
    assert recorder.report()["s"].count == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrapper_is_of_the_same_kind(recorder: Recorder, kind: str) -> None:
    function = undecorated()[kind]
    decorated = recorder.scope("s")(function)
    for question in (
        inspect.isfunction,
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.signature,
        lambda f: (f.__name__, f.__qualname__, f.__module__, f.__doc__, f.__annotations__),
    ):
        assert question(decorated) == question(function)  # type: ignore[operator]


def test_another_signature_is_not_believed(recorder: Recorder) -> None:
    async def inner(a: int) -> int:
        return a

    @functools.wraps(inner)
    async def outer(*args: int) -> int:
        return await inner(*args[1:])

    assert asyncio.run(recorder.scope("s")(outer)(1, 2)) == 2


def test_a_default_object_is_kept(recorder: Recorder) -> None:
    default: list[int] = []

    async def fn(items: list[int] = default, *, more: list[int] = default) -> bool:
        return items is default and more is default

    assert asyncio.run(recorder.scope("s")(fn)())


def test_an_application_is_told_from_a_factory(recorder: Recorder) -> None:
    """A server takes a callable for a factory if a call without arguments succeeds."""

    class Application:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    decorated = recorder.scope("request")(Application())
    assert "missing 3 required positional arguments" in error_of(decorated)


def test_a_callable_without_a_signature_is_wrapped(recorder: Recorder) -> None:
    class Odd:
        __signature__ = "none"

        async def __call__(self, *args: int) -> int:
            return sum(args)

    assert asyncio.run(recorder.scope("s")(Odd())(1, 2)) == 3

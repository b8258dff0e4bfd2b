# SPDX-License-Identifier: BSD-3-Clause
"""Calls of the timed callable. The first result shows whether a call does its work at all."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import io
import itertools
from collections.abc import Iterator

import torch

from .arguments import label_of
from .machine import Call
from .prepared import Prepared, runs_of

_MOST_LOOKED_AT = 100  # items of a result


class Calls:
    """A callable that is called many times. Only the very first call has a check around it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_new = True

    def times(self, runs: int) -> Iterator[Call]:
        """Yield what to call, `runs` times. The iterator prepares arguments if there are any."""
        calls = runs_of(self._call, runs)
        if not self._is_new:
            return calls
        self._is_new = False
        if isinstance(self._call, Prepared):
            return _checking_the_first(calls)
        return itertools.chain((functools.partial(call_once, next(calls)),), calls)


def _checking_the_first(calls: Iterator[Call]) -> Iterator[Call]:
    # itertools.chain is faster, but would keep the first call and its arguments to the end.
    yield functools.partial(call_once, next(calls))
    yield from calls


def call_once(call: Call) -> object:
    """Call it and return the result. Raise TypeError if the result is not there yet.

    Such results are coroutines and futures. Looks into a tuple or a list, too: collectives return
    such results beside a tensor.
    """
    result = call()
    parts = [result]
    if isinstance(result, (tuple, list)):
        parts += result[:_MOST_LOOKED_AT]
    for part in parts:
        if why := _why_not_done(part):
            raise TypeError(f"{label_of(call)} returned {why}")
    return result


def _why_not_done(result: object) -> str | None:
    if inspect.iscoroutine(result):
        result.close()  # otherwise Python warns that the coroutine was never awaited
        return (
            "a coroutine and ran nothing; time a function that runs the coroutine, or put "
            "fasttime.scope around what it awaits"
        )
    if inspect.isasyncgen(result) or inspect.isgenerator(result):
        kind = "an async generator" if inspect.isasyncgen(result) else "a generator"
        return f"{kind} and ran nothing; time a function that consumes the generator"
    name = type(result).__name__
    if isinstance(result, _work_type()):
        return (
            f"a {name}, and the collective may still be running; time a function that also calls "
            "wait() on it, or pass async_op=False"
        )
    if isinstance(result, (concurrent.futures.Future, asyncio.Future, torch._C.Future)):
        return (
            f"a {name}, and its work may still be running; time a function that also waits for the "
            "result"
        )
    if inspect.isawaitable(result):
        return (
            f"an awaitable ({name}), and its work may not have begun; time a function that runs it "
            "to its end, such as by asyncio.run"
        )
    # A file is an iterator too, but opening it was work.
    if isinstance(result, Iterator) and not isinstance(result, io.IOBase):
        return (
            f"a {name}, an iterator that does its work when it is consumed; time a function that "
            "consumes it, such as by list(...), or that returns something else"
        )
    return None


@functools.cache
def _work_type() -> tuple[type, ...]:
    """Return the type of what asynchronous collectives return, if torch has collectives."""
    found = getattr(getattr(torch._C, "_distributed_c10d", None), "Work", None)
    return (found,) if isinstance(found, type) else ()

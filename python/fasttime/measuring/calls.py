# SPDX-License-Identifier: BSD-3-Clause
"""Calls of the timed callable. The first result shows whether a call runs anything at all."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Iterator

from .arguments import label_of
from .machine import Call


class Calls:
    """A callable that is called many times. Only the very first call has a check around it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_new = True

    def times(self, runs: int) -> Iterator[Call]:
        """Yield what to call, `runs` times."""
        if not self._is_new:
            return itertools.repeat(self._call, runs)
        self._is_new = False
        first = functools.partial(call_once, self._call)
        return itertools.chain([first], itertools.repeat(self._call, runs - 1))


def call_once(call: Call) -> None:
    """Call it. Raise TypeError if the call only made a coroutine or a generator."""
    result = call()
    if inspect.iscoroutine(result):
        result.close()  # otherwise Python warns that the coroutine was never awaited
        raise TypeError(
            f"{label_of(call)} returned a coroutine and ran nothing; time a function that runs "
            "the coroutine, or put fasttime.scope around what it awaits"
        )
    if inspect.isasyncgen(result) or inspect.isgenerator(result):
        kind = "an async generator" if inspect.isasyncgen(result) else "a generator"
        raise TypeError(
            f"{label_of(call)} returned {kind} and ran nothing; time a function that consumes the "
            "generator"
        )

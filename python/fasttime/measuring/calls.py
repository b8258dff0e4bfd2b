# SPDX-License-Identifier: BSD-3-Clause
"""Calls of what is timed. The result of the first one shows whether a call runs anything."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Iterator

from .arguments import label_of
from .machine import Call


class Calls:
    """A callable to be called many times, so that nothing stands around any call but the first.

    Args:
        call: what to call.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_new = True

    def times(self, runs: int) -> Iterator[Call]:
        """Yield what to call, so many times."""
        if not self._is_new:
            return itertools.repeat(self._call, runs)
        self._is_new = False
        first = functools.partial(call_once, self._call)
        return itertools.chain([first], itertools.repeat(self._call, runs - 1))


def call_once(call: Call) -> None:
    """Call it; raise TypeError where that only made a coroutine or a generator, and ran nothing."""
    result = call()
    if inspect.iscoroutine(result):
        result.close()  # or Python would warn that it was never awaited
        raise TypeError(
            f"{label_of(call)} returned a coroutine, of which nothing has run; time a function "
            "that runs it, or put fasttime.scope around what it awaits"
        )
    if inspect.isasyncgen(result) or inspect.isgenerator(result):
        what = "an async generator" if inspect.isasyncgen(result) else "a generator"
        raise TypeError(
            f"{label_of(call)} returned {what}, of which nothing has run; time a function that "
            "consumes it"
        )

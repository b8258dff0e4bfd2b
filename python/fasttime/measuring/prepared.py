# SPDX-License-Identifier: BSD-3-Clause
"""Calls whose arguments are made or chosen before each run, outside the timed part."""

from __future__ import annotations

import functools
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence

from .arguments import check_takes, label_of
from .machine import Call

Arguments = tuple[object, ...]
Setup = Callable[..., Arguments]
_Bound = functools.partial[object]


class Prepared(ABC):
    """A call with other arguments in each run. Calling it makes one run, preparation included."""

    def __init__(self, fn: object) -> None:
        self.__name__ = label_of(fn)

    @abstractmethod
    def runs(self, count: int) -> Iterator[_Bound]:
        """Yield what to call, `count` times. Making the next arguments is the iterator's work."""

    @abstractmethod
    def examples(self) -> Sequence[_Bound]:
        """Return calls that stand for all runs, without using up the next one."""

    def __call__(self) -> object:
        return next(self.runs(1))()


class Fresh(Prepared):
    """A call whose positional arguments a function makes anew before each run."""

    def __init__(
        self,
        fn: Callable[..., object],
        setup: Setup,
        args: Arguments,
        kwargs: Mapping[str, object],
    ) -> None:
        super().__init__(fn)
        check_takes("setup", setup, args)
        self._fn, self._kwargs = fn, kwargs
        self._make = functools.partial(setup, *args)

    def runs(self, count: int) -> Iterator[_Bound]:
        for _ in range(count):
            # No variable holds the arguments, so their memory is free before the next ones exist.
            yield functools.partial(self._fn, *self._arguments(), **self._kwargs)

    def examples(self) -> Sequence[_Bound]:
        return list(self.runs(1))

    def _arguments(self) -> Arguments:
        made = self._make()
        if not isinstance(made, tuple):
            raise TypeError(
                "setup must return a tuple of arguments, such as (x.clone(),), got "
                f"{type(made).__name__}"
            )
        return made


class Cycled(Prepared):
    """A call that takes its arguments from a list in turn, beginning again at the end."""

    def __init__(
        self, fn: Callable[..., object], inputs: Sequence[Arguments], kwargs: Mapping[str, object]
    ) -> None:
        super().__init__(fn)
        self._calls = [functools.partial(fn, *one, **kwargs) for one in inputs]
        self._turns = itertools.cycle(self._calls)

    def runs(self, count: int) -> Iterator[_Bound]:
        return itertools.islice(self._turns, count)

    def examples(self) -> Sequence[_Bound]:
        return self._calls


def prepared(
    fn: Callable[..., object],
    args: Arguments,
    kwargs: Mapping[str, object],
    setup: Setup | None = None,
    inputs: Sequence[Arguments] | None = None,
) -> Call:
    """Return what to call in each run."""
    if setup is not None:
        return Fresh(fn, setup, args, kwargs)
    if inputs is not None:
        return Cycled(fn, inputs, kwargs)
    # A partial would add its own cost to each run.
    return functools.partial(fn, *args, **kwargs) if args or kwargs else fn


def runs_of(call: Call, count: int) -> Iterator[Call]:
    """Yield what to call, `count` times."""
    return call.runs(count) if isinstance(call, Prepared) else itertools.repeat(call, count)


def examples_of(call: Call) -> Sequence[_Bound]:
    """Return calls that stand for all runs, with their arguments."""
    if isinstance(call, Prepared):
        return call.examples()
    return [call if isinstance(call, functools.partial) else functools.partial(call)]


def in_a_row(call: Call, calls: int) -> Call:
    """Return a function that makes several calls and returns the result of the last one.

    Each result is freed before the next call, as it is without the loop.
    """
    before = calls - 1
    if not before:
        return call

    def loop() -> object:
        for one in runs_of(call, before):
            one()
        return call()

    loop.__name__ = label_of(call)
    return loop


def check_preparation(
    caller: str,
    setup: object,
    inputs: object,
    *,
    method: str,
    calls: int = 1,
    has_args: bool = False,
) -> None:
    """Raise TypeError or ValueError if the options contradict each other."""
    if setup is not None:
        if not callable(setup):
            raise TypeError(
                "setup must be a function that returns arguments, such as lambda: (x.clone(),), "
                f"got {type(setup).__name__}"
            )
        if inputs is not None and caller == "measure":
            raise ValueError(
                "setup= makes the arguments of each run, and inputs= lists them; pass one of them"
            )
        if method == "graph":
            raise ValueError(
                "a CUDA graph replays with the arguments of its capture, so setup= cannot give "
                "it new ones; use method='event'"
            )
        if method == "naive":
            raise ValueError(
                "method='naive' cannot tell setup's work on the device from the run's; use "
                "method='event' or 'sync'"
            )
        if calls > 1:
            raise ValueError(
                f"setup= makes arguments for one call, and calls={calls} makes {calls} calls with "
                "them; leave calls out"
            )
    if inputs is not None:
        if has_args:
            raise ValueError(
                f"{caller}() got positional arguments and inputs=; put all arguments into inputs"
            )
        if method == "graph":
            raise ValueError(
                "a CUDA graph replays with the arguments of its capture, so inputs= cannot be "
                "cycled; use method='event'"
            )


def check_inputs(inputs: object) -> list[Arguments]:
    """Return the arguments of the runs. Raise TypeError unless they are a list of tuples."""
    must = "inputs must be a list of tuples of arguments, such as [(x,), (y,)]"
    if not isinstance(inputs, Sequence) or isinstance(inputs, (str, bytes)):
        raise TypeError(f"{must}, got {type(inputs).__name__}")
    for one in inputs:
        if not isinstance(one, tuple):
            raise TypeError(f"{must}, got {type(one).__name__} in it")
    if not inputs:
        raise ValueError("inputs is empty; give at least one tuple of arguments")
    return list(inputs)

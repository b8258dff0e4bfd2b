# SPDX-License-Identifier: BSD-3-Clause
"""What a callable works on, and which of it the callable changes in place."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import dis
import functools
import inspect
import itertools
import operator
import types
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from ..text import format_seconds
from ..timing_warning import TimingWarning

_Reading = Callable[[], object]
_Found = tuple[str, object]

# Limits, so that a look at what a callable works on takes milliseconds.
_MOST_VISITED = 20_000
_DEPTH = 4
_MOST_ITEMS = 10_000
_MOST_SAMPLED = 65_536  # elements of an array

# A list this short holds a counter or collects results. To sort it takes no time.
_SHORTEST = 10

_MOST_NAMED = 4

# Other mappings may read a file for each item.
_MAPPINGS = (dict, collections.UserDict, types.MappingProxyType)
_SEQUENCES = (list, tuple, collections.deque)

# A first run beyond this multiple of the median did something else than the others. A shorter
# excess, in seconds, is only caches.
_FIRST = 10.0
_LEAST_EXCESS = 200e-6


class State:
    """The data that a callable works on, with a reading of each part.

    Finds tensors, numpy arrays, lists of at least ten items, and built-in iterators that end. Looks
    for them in arguments, partial arguments, the object of a bound method, closures, and global
    variables. Looks into containers, parameters and buffers of modules, dataclasses, and objects of
    the user. Of a large array or list it reads a sample.

    Appending to a list does not count. Lists in an object do not count at all, because they often
    hold a history.

    Inference tensors have no version counter, and lazy parameters cannot be asked before they have
    a shape, so both are skipped.
    """

    def __init__(
        self, fn: object, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None
    ) -> None:
        self._readings: list[tuple[str, _Reading, object]] = []
        self._seen: set[int] = set()  # ids, because an object may contain itself
        self._visited: list[object] = []  # keeps the ids valid
        for position, value in enumerate(args):
            self._add(f"argument {position}", value)
        for name, value in (kwargs or {}).items():
            self._add(f"argument {name!r}", value)
        with contextlib.suppress(Exception):
            self._add_all(_of_callable(fn), _DEPTH)

    def changed(self) -> list[str]:
        """Return what changed in place since, such as ``argument 0``."""
        return [name for name, reading, before in self._readings if _differs(reading, before)]

    def _add(self, name: str, value: object) -> None:
        self._add_all(iter([(name, value)]), _DEPTH)

    def _add_all(self, found: Iterator[_Found], depth: int, in_object: bool = False) -> None:
        for name, value in found:
            if id(value) in self._seen or len(self._visited) > _MOST_VISITED:
                continue
            self._seen.add(id(value))
            self._visited.append(value)
            # An object of the user may raise anything. That must not end the measurement.
            with contextlib.suppress(Exception):
                reading = _reading_of(value)
                if reading is not None and not (in_object and _is_list(value)):
                    self._readings.append((name, reading, reading()))
                if depth:
                    inside = in_object or not isinstance(value, (*_MAPPINGS, *_SEQUENCES))
                    self._add_all(_parts_of(name, value), depth - 1, inside)


def _differs(reading: _Reading, before: object) -> bool:
    try:
        return reading() != before
    except Exception:  # the object cannot be read any more
        return False


def _of_callable(fn: object, functions: int = 2) -> Iterator[_Found]:
    """Yield what a callable uses beside its arguments."""
    if isinstance(fn, functools.partial):
        for position, value in enumerate(fn.args):
            yield f"partial argument {position}", value
        for name, value in fn.keywords.items():
            yield f"partial argument {name!r}", value
        yield from _of_callable(fn.func, functions)
        return
    if isinstance(fn, torch.nn.Module):
        yield "the module", fn
        return
    owner = getattr(fn, "__self__", None)
    if owner is not None and not isinstance(owner, (types.ModuleType, type)):
        yield "the object of the method", owner
    bare = inspect.unwrap(fn) if callable(fn) else fn
    bare = getattr(bare, "__func__", bare)
    if not isinstance(bare, types.FunctionType):
        if not inspect.isroutine(bare):
            yield "the callable", bare
        return
    for name, value in _variables(bare):
        yield f"variable {name!r}", value
        is_own = getattr(value, "__module__", None) == bare.__module__
        is_called = isinstance(value, (types.FunctionType, types.MethodType, functools.partial))
        if functions and is_called and (is_own or name in bare.__code__.co_freevars):
            yield from _of_callable(value, functions - 1)


def _variables(function: types.FunctionType) -> Iterator[_Found]:
    """Yield the closure's variables and the global variables that a function uses."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for instruction in dis.get_instructions(function):
        if instruction.opname == "LOAD_GLOBAL" and instruction.argval in function.__globals__:
            yield instruction.argval, function.__globals__[instruction.argval]


def _is_list(value: object) -> bool:
    return isinstance(value, (list, collections.deque, Iterator))


def _parts_of(name: str, value: object) -> Iterator[_Found]:
    """Yield what an object holds, as far as it may be data that a callable works on."""
    if isinstance(value, torch.nn.Module):
        for part, tensor in itertools.chain(value.named_parameters(), value.named_buffers()):
            yield f"{name}.{part}", tensor
    elif isinstance(value, _MAPPINGS):
        for key, item in itertools.islice(value.items(), _MOST_ITEMS):
            if not _is_plain(item):
                yield f"{name}[{key!r}]", item
    elif isinstance(value, _SEQUENCES):
        for position, item in enumerate(itertools.islice(value, _MOST_ITEMS)):
            if not _is_plain(item):
                yield f"{name}[{position}]", item
    elif dataclasses.is_dataclass(value) or _is_of_the_user(value):
        for part, item in list(getattr(value, "__dict__", {}).items()):
            if not _is_plain(item):
                yield f"{name}.{part}", item


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (int, float, complex, str, bytes))


def _is_of_the_user(value: object) -> bool:
    """Return whether an object belongs to no library: only such objects are looked into."""
    if isinstance(value, (type, types.ModuleType, types.FunctionType, torch.Tensor)):
        return False
    library = type(value).__module__.partition(".")[0]
    return library not in ("builtins", "fasttime", "torch", "numpy", "functools", "threading")


def _reading_of(value: object) -> _Reading | None:
    """Return a function whose result differs once `value` has changed; None if there is none."""
    if isinstance(value, torch.Tensor):
        if is_lazy(value) or value.is_inference():
            return None
        return lambda: value._version
    if isinstance(value, np.ndarray):
        return None if value.dtype.hasobject else lambda: _checksum(value)
    if isinstance(value, (list, collections.deque)):
        length = min(len(value), _MOST_ITEMS)
        return (lambda: _items(value, length)) if length >= _SHORTEST else None
    if isinstance(value, Iterator) and type(value).__module__ == "builtins":
        return lambda: operator.length_hint(value, -1) == 0  # used up
    return None


def _checksum(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> int:
    """Return a checksum of an array, or of regularly spaced elements of a large one."""
    if array.size > _MOST_SAMPLED:
        per_axis = max(2, int(_MOST_SAMPLED ** (1 / array.ndim)))
        array = array[tuple(slice(None, None, max(1, size // per_axis)) for size in array.shape)]
    return zlib.crc32(array.tobytes())


def _items(value: list[object] | collections.deque[object], length: int) -> int:
    """Return a hash of which objects are the first ones of a list, in order."""
    return hash(tuple(map(id, itertools.islice(value, length))))


def state_changed(names: Sequence[str]) -> TimingWarning:
    """Return the warning about a callable that changes what it works on."""
    return TimingWarning(
        "arguments_changed",
        f"fn changes {_listed(names)} in place. If fn also reads them, each run works on different "
        "data, and the changes stay: let measure(setup=) make fresh arguments, or for a model, "
        "call eval() first.",
    )


def states_changed(changes: Mapping[str, Sequence[str]]) -> TimingWarning:
    """Return the warning about candidates, by name, that change what they work on."""
    who = "; ".join(f"{name} changes {_listed(names)}" for name, names in changes.items())
    return TimingWarning(
        "arguments_changed",
        f"{who} in place. Candidates that read them work on different data from then on: let "
        "compare(setup=) make fresh arguments, or for a model, call eval() first.",
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def judge_first_run(first: float, usual: float) -> TimingWarning | None:
    """Return a warning if the first run took far longer than the others. Times are in seconds.

    Args:
        first: how long the first run took.
        usual: how long a run takes, on the device or on the host, whichever is longer.
    """
    if not first > _FIRST * usual or first - usual < _LEAST_EXCESS:
        return None
    return TimingWarning(
        "first_run",
        f"The first run took {format_seconds(first)}, {first / usual:,.0f} times as long "
        "as the others, so the median leaves out one-time work such as compiling and loading. If "
        "there is no such work, fn uses up its input in the first run: give each run a new input.",
    )

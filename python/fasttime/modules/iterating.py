# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime.iterate`: time how long a loop waits for its next item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from .. import _native
from ..recorder import default_recorder
from .active import begin_data_wait, end_data_wait

T = TypeVar("T")


def iterate(iterable: Iterable[T], name: str = "data") -> TimedIterable[T]:
    """Iterate over anything, and time each wait for the next item as a scope.

        for batch in fasttime.iterate(loader, "data"):
            loss = model(batch).sum()

    Args:
        iterable: a DataLoader, a list, a generator, or any other iterable. It is used as it is:
            ``len()`` and its attributes still work, and each new loop begins a new iteration.
        name: the name of the scope. Inside other scopes, the scope is their child.

    Every item counts once. The first wait includes the start of the iteration, such as the start of
    a loader's workers. The last, unsuccessful attempt does not count. If the iterable raises an
    exception, the wait counts and the exception passes through.

    Never waits for the device. Raises TypeError if `iterable` cannot be iterated over.

    >>> for batch in fasttime.iterate(range(3), "data"):
    ...     pass
    >>> fasttime.report()["data"].count
    3
    """
    if not _is_iterable(iterable):
        raise TypeError(
            f"iterate() takes an iterable such as a DataLoader, got {type(iterable).__name__}; "
            "write fasttime.iterate(loader, name)"
        )
    default_recorder().scope(name)  # refuses a wrong name here, and not in the first loop
    return TimedIterable(iterable, name)


def _is_iterable(thing: object) -> bool:
    """Return whether ``iter(thing)`` can work, without calling it: iter() may start workers."""
    kind = type(thing)
    if hasattr(kind, "__iter__"):
        return kind.__iter__ is not None
    return hasattr(kind, "__getitem__")


class TimedIterable(Generic[T]):
    """What `iterate` returns: the iterable, with each wait timed."""

    def __init__(self, iterable: Iterable[T], name: str) -> None:
        self._iterable = iterable
        self._name = name

    def __iter__(self) -> Iterator[T]:
        return _TimedIterator(self._iterable, self._name)

    def __len__(self) -> int:
        return len(self._iterable)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy and pickle ask before there is an iterable
            raise AttributeError(name)
        return getattr(self._iterable, name)

    def __repr__(self) -> str:
        return f"<fasttime.iterate of {self._iterable!r} as {self._name!r}>"


class _TimedIterator(Iterator[T]):
    """An iterator whose waits are scopes. It begins the inner iteration at the first wait."""

    def __init__(self, iterable: Iterable[T], name: str) -> None:
        self._iterable = iterable
        self._name = name
        self._iterator: Iterator[T] | None = None

    def __next__(self) -> T:
        recorder = default_recorder()
        begin_data_wait()
        token = recorder.begin(self._name)
        try:
            if self._iterator is None:
                self._iterator = iter(self._iterable)
            item = next(self._iterator)
        except StopIteration:
            if token is not None:  # None while torch.compile traces
                _native.cancel(token)
            raise
        except BaseException:
            recorder.end(token)
            raise
        finally:
            end_data_wait()
        recorder.end(token)
        return item

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self._iterator is None:
            raise AttributeError(name)
        return getattr(self._iterator, name)

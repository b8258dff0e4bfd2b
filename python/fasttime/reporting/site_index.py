# SPDX-License-Identifier: BSD-3-Clause
"""Sites by their paths or by their names."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

_MOST_LISTED = 20  # paths in the words of an error


class SiteIndex(Generic[T]):
    """What belongs to a site, by the site's path or by its names from the root on.

    Names may hold a slash themselves, so that several sites may have one path.
    """

    def __init__(self) -> None:
        self._by_path: dict[str, list[int]] = {}
        # By parent and name: whole tuples of names would fill the memory where sites lie deep.
        self._by_name: dict[tuple[int, str], list[int]] = {}
        self._parents = [0]
        self._names = [""]
        self._paths = [""]
        self._values: list[T] = []

    def __len__(self) -> int:
        """Return the number of sites, the root not among them."""
        return len(self._values)

    def add(self, parent: int, name: str, path: str, value: T) -> int:
        """Add a site and return its number: 1, 2, 3 and so on; the root, where no site is, is 0."""
        self._values.append(value)
        number = len(self._values)
        self._parents.append(parent)
        self._names.append(name)
        self._paths.append(path)
        self._by_name.setdefault((parent, name), []).append(number)
        self._by_path.setdefault(path, []).append(number)
        return number

    def path_below(self, parent: int, name: str) -> str:
        """Return the path of a site with this name inside a parent that was added."""
        return f"{self._paths[parent]}/{name}" if parent else name

    def __contains__(self, where: object) -> bool:
        """Return whether a path is that of any site, or names are those of one."""
        return bool(self._numbers(where))

    def __getitem__(self, where: str | tuple[str, ...]) -> T:
        """Return what belongs to the one site at a path, or of these names.

        Raises KeyError where there is none, and where there are several.
        """
        numbers = self._numbers(where)
        if not numbers:
            raise KeyError(f"no scope was timed at {where!r}; there are: {self._known()}")
        if len(numbers) > 1:
            raise KeyError(f"{where!r} stands for {len(numbers)} sites: {self._ways(numbers)}")
        return self._values[numbers[0] - 1]

    def _numbers(self, where: object) -> list[int]:
        if isinstance(where, str):
            return self._by_path.get(where, [])
        if not isinstance(where, tuple):
            return []
        numbers = [0]
        for name in where:
            numbers = [below for one in numbers for below in self._by_name.get((one, name), [])]
        return numbers if where else []

    def _ways(self, numbers: list[int]) -> str:
        """Return how to tell sites apart that were meant by one key."""
        names = [self._names_of(number) for number in numbers]
        return f"names hold a slash; look one up by its names, {' or '.join(map(repr, names))}"

    def _names_of(self, number: int) -> tuple[str, ...]:
        names = []
        while number:
            names.append(self._names[number])
            number = self._parents[number]
        return tuple(reversed(names))

    def _known(self) -> str:
        paths = list(self._by_path)
        more = f" and {len(paths) - _MOST_LISTED:,} more" if len(paths) > _MOST_LISTED else ""
        return ", ".join(map(repr, paths[:_MOST_LISTED])) + more or "none"

# SPDX-License-Identifier: BSD-3-Clause
"""Look up sites by their path or by their names."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

_MOST_LISTED = 20  # paths in an error message

# The site of the recorder for scopes that got none. It is there from the start.
_OVERFLOW = "(more)"


class SiteIndex(Generic[T]):
    """Values of sites, found by a site's path or by its names from the root on.

    Names are unique among the children of one site. Paths are not unique, because a name may
    contain a slash.
    """

    def __init__(self) -> None:
        self._by_path: dict[str, list[int]] = {}
        # By parent and name, because whole tuples of names would fill memory in deep trees.
        self._by_name: dict[tuple[int, str], int] = {}
        self._parents = [0]
        self._names = [""]
        self._paths = [""]
        self._values: list[T] = []

    def __len__(self) -> int:
        """Return the number of sites, without the root."""
        return len(self._values)

    def add(self, parent: int, name: str, path: str, value: T) -> int:
        """Add a site and return its number. Numbers count from 1; 0 is the root, which is no site.

        Args:
            parent: the number of the parent.
            name: the site's name.
            path: the names from the root on, joined by slashes.
            value: what a look-up returns.
        """
        self._values.append(value)
        number = len(self._values)
        self._parents.append(parent)
        self._names.append(name)
        self._paths.append(path)
        self._by_name[parent, name] = number
        self._by_path.setdefault(path, []).append(number)
        return number

    def paths(self) -> list[str]:
        """Return the path of every site, in the order in which they were added."""
        return self._paths[1:]

    def path_below(self, parent: int, name: str) -> str:
        """Return the path of a child with this name; the parent must have been added."""
        return f"{self._paths[parent]}/{name}" if parent else name

    def __contains__(self, where: object) -> bool:
        """Return whether any site has this path or these names."""
        return bool(self._numbers(where))

    def __getitem__(self, where: str | tuple[str, ...]) -> T:
        """Return the value of the one site with this path or these names.

        Raises KeyError if no site matches, and if several sites match.
        """
        numbers = self._numbers(where)
        if not numbers:
            raise KeyError(f"no scope was timed at {where!r}; known paths: {self._known()}")
        if len(numbers) > 1:
            ways = " or ".join(repr(self._names_of(number)) for number in numbers)
            raise KeyError(
                f"{len(numbers)} sites have the path {where!r}, because names may contain a slash; "
                f"look one up by its names: {ways}"
            )
        return self._values[numbers[0] - 1]

    def _numbers(self, where: object) -> list[int]:
        if isinstance(where, str):
            return self._by_path.get(where, [])
        if not isinstance(where, tuple) or not where:
            return []
        number: int | None = 0
        for name in where:
            if number is not None:
                number = self._by_name.get((number, name))
        return [] if number is None else [number]

    def _names_of(self, number: int) -> tuple[str, ...]:
        names = []
        while number:
            names.append(self._names[number])
            number = self._parents[number]
        return tuple(reversed(names))

    def _known(self) -> str:
        paths = [path for path in self._by_path if path != _OVERFLOW]
        more = f" and {len(paths) - _MOST_LISTED:,} more" if len(paths) > _MOST_LISTED else ""
        return ", ".join(map(repr, paths[:_MOST_LISTED])) + more or "none"

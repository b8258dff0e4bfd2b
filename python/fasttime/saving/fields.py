# SPDX-License-Identifier: BSD-3-Clause
"""The fields of a document that was read, each asked for by name and type."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Fields:
    """An object of a document. Each method raises ValueError where its field is not what it names.

    Args:
        values: the object, as read.
        place: where in the document it stands, for messages; ends in a dot unless empty.
    """

    def __init__(self, values: Any, place: str = "") -> None:
        if not isinstance(values, dict):
            raise ValueError(
                f"{place.rstrip('.') or 'it'} should be an object, not {_show(values)}"
            )
        self._values = values
        self._place = place

    def _get(self, name: str) -> Any:
        if name not in self._values:
            raise ValueError(f"{self._place}{name} is missing")
        return self._values[name]

    def _wrong(self, name: str, wanted: str, value: Any) -> ValueError:
        return ValueError(f"{self._place}{name} should be {wanted}, not {_show(value)}")

    def wrong(self, name: str, wanted: str) -> ValueError:
        """Return the error to raise where a field is not what it has to be beside the others."""
        return self._wrong(name, wanted, self._get(name))

    def is_null(self, name: str) -> bool:
        return self._get(name) is None

    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def raw(self, name: str) -> Any:
        return self._get(name)

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text", value)
        return value

    def choice(self, name: str, choices: Sequence[str]) -> Any:
        value = self._get(name)
        if value not in choices:
            raise self._wrong(name, f"one of {', '.join(choices)}", value)
        return value

    def flag(self, name: str) -> bool:
        value = self._get(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def count(self, name: str, at_least: int = 0) -> int:
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
            raise self._wrong(name, f"a whole number of at least {at_least}", value)
        return value

    def whole(self, name: str) -> int:
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, "a whole number", value)
        return value

    def number(self, name: str) -> float:
        value = self._get(name)
        number = _number(value)
        if number is None:
            raise self._wrong(name, "a number", value)
        return number

    def optional_number(self, name: str) -> float | None:
        return None if self.is_null(name) else self.number(name)

    def items(self, name: str) -> list[Any]:
        value = self._get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        return value

    def numbers(self, name: str) -> list[float]:
        numbers = []
        for index, item in enumerate(self.items(name)):
            number = _number(item)
            if number is None:
                raise self._wrong(f"{name}[{index}]", "a number", item)
            numbers.append(number)
        return numbers

    def objects(self, name: str) -> list[Fields]:
        return [
            Fields(item, f"{self._place}{name}[{index}].")
            for index, item in enumerate(self.items(name))
        ]

    def object(self, name: str) -> Fields:
        return Fields(self._get(name), f"{self._place}{name}.")


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return _NOT_FINITE.get(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    return None


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

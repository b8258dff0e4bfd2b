# SPDX-License-Identifier: BSD-3-Clause
"""Files of JSON that name their format and version: written whole or not at all, read with care."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .atomic_file import open_for_replacement

MEASUREMENT = "fasttime measurement"
COMPARISON = "fasttime comparison"
METHOD_COMPARISON = "fasttime method comparison"
SAVED_COMPARISON = "fasttime saved comparison"
REPORT = "fasttime report"

# What this fasttime writes, and all that it reads. A change that an older reader would take amiss
# raises the number. Reports of version 1 have no histograms, so that nothing can be built of them.
VERSIONS = {MEASUREMENT: 1, COMPARISON: 1, METHOD_COMPARISON: 1, SAVED_COMPARISON: 1, REPORT: 2}

_MEND = "measure and save it anew"
_MEND_REPORT = "save it anew"


def plain(value: Any) -> Any:
    """Return `value` as what JSON knows; NaN and the infinities, which it does not, as words."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def write_document(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any]) -> None:
    """Write a document, whole or not at all. A file of that name is replaced.

    Raises OSError, and ValueError where the name says that it is something else than JSON.
    """
    name, suffix = os.path.splitext(os.fsdecode(path))
    if suffix.lower() not in ("", ".json"):
        raise ValueError(
            f"{name}{suffix} would hold JSON, which is all that a {kind.removeprefix('fasttime ')} "
            f"is saved as; name it {name}.json"
        )
    document = {"format": kind, "version": VERSIONS[kind], **plain(content)}
    text = json.dumps(document, allow_nan=False)
    with open_for_replacement(path) as file:
        file.write(text + "\n")


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the document in a file.

    Raises ValueError, naming the file, where it is not one of ours or of another version, and
    OSError as `open` does.
    """
    with open(path, "rb") as file:
        raw = file.read()
    try:
        document = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{os.fspath(path)} holds no JSON, or was cut short ({error}); {_MEND}"
        ) from None
    kind = document.get("format") if isinstance(document, dict) else None
    if not isinstance(kind, str) or kind not in VERSIONS:
        raise ValueError(
            f"{os.fspath(path)} was not saved by fasttime: its format is {kind!r}, not "
            f"{', '.join(map(repr, VERSIONS))}; {_MEND}"
        )
    version = document.get("version")
    if kind == REPORT and version == 1:
        raise ValueError(
            f"{os.fspath(path)} is a report in version 1 of its format, which has no histograms, "
            "so that no report can be made of it again; json.load() reads its figures"
        )
    if isinstance(version, bool) or version != VERSIONS[kind]:
        raise ValueError(
            f"{os.fspath(path)} is in version {version!r} of its format, and this fasttime reads "
            f"version {VERSIONS[kind]}; load it with the fasttime that saved it, or {_mend(kind)}"
        )
    return dict(document)


def damaged(path: str | os.PathLike[str], kind: str, error: ValueError) -> ValueError:
    """Return the error to raise where a document does not hold what it should."""
    return ValueError(f"{os.fspath(path)} is damaged or was edited: {error}; {_mend(kind)}")


def _mend(kind: str) -> str:
    return _MEND_REPORT if kind == REPORT else _MEND


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


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

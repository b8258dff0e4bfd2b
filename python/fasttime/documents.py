# SPDX-License-Identifier: BSD-3-Clause
"""JSON files that name their format and version. Writing is atomic, reading checks every field."""

from __future__ import annotations

import gzip
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .atomic_file import open_for_replacement

MEASUREMENT = "fasttime measurement"
COMPARISON = "fasttime comparison"
METHOD_COMPARISON = "fasttime method comparison"
SAVED_COMPARISON = "fasttime saved comparison"
REPORT = "fasttime report"
REPORT_COMPARISON = "fasttime report comparison"
TIMELINE = "fasttime timeline"
SWEEP = "fasttime sweep"
PEAKS = "fasttime peaks"
RANK_TABLE = "fasttime rank table"
MODULE_TABLE = "fasttime module table"
STEP_REPORT = "fasttime step report"

# The version of each format that this fasttime writes, which is also the only one it reads. Raise a
# version with every change that an older reader would misunderstand.
VERSIONS = {
    MEASUREMENT: 1,
    COMPARISON: 1,
    METHOD_COMPARISON: 1,
    SAVED_COMPARISON: 1,
    REPORT: 3,  # 1 had no histograms; 2 had sections, and bottlenecks without a reason
    REPORT_COMPARISON: 1,
    TIMELINE: 1,
    SWEEP: 1,
    PEAKS: 1,
    RANK_TABLE: 1,
    MODULE_TABLE: 1,
    STEP_REPORT: 1,
}


def plain(value: Any) -> Any:
    """Return a value as JSON types: tuples as lists, NaN and the infinities as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def write_document(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any]) -> None:
    """Write a document. An existing file is replaced only when the whole document is written.

    Args:
        path: the file.
        kind: a format from `VERSIONS`.
        content: the fields beside the format and the version.

    Raises OSError like `open`.
    """
    document = {"format": kind, "version": VERSIONS[kind], **plain(content)}
    text = json.dumps(document, allow_nan=False)
    with open_for_replacement(path) as file:
        file.write(text + "\n")


def wrong_suffix(kind: str, path: str | os.PathLike[str], known: Sequence[str]) -> ValueError:
    """Return the error for a file whose suffix names no format of a kind of result."""
    name = os.fsdecode(path)
    return ValueError(
        f"the suffix of a {kind.removeprefix('fasttime ')} names its format, one of "
        f"{', '.join(known)}; got {name!r} with the suffix {os.path.splitext(name)[1]!r}"
    )


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the document in a file, with a known format and version.

    Raises ValueError, naming the file, if the file is not a document or has another version.
    Raises OSError like `open`.
    """
    where = os.fsdecode(path)
    with open(path, "rb") as file:
        raw = file.read()
    try:
        if raw.startswith(b"\x1f\x8b"):  # gzip
            raw = gzip.decompress(raw)
        document = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        suffix = os.path.splitext(os.path.basename(where))[1].lower()
        if suffix not in ("", ".json", ".gz"):
            raise ValueError(
                f"{where} is not JSON; load() reads .json files, and .json.gz files of timelines, "
                "so save the result under such a name"
            ) from None
        raise ValueError(
            f"{where} is not JSON, or was cut short ({error}); save the result again"
        ) from None
    # The header of a trace is a part of the document.
    if isinstance(document, dict) and isinstance(document.get("otherData"), dict):
        document = {**document["otherData"], "traceEvents": document.get("traceEvents")}
    kind = document.get("format") if isinstance(document, dict) else None
    if kind is None and isinstance(document, dict) and document.get("made_by") == "fasttime merge":
        raise ValueError(
            f"{where} is a merged trace; open it at https://ui.perfetto.dev, or load the trace of "
            "a single rank"
        )
    if not isinstance(kind, str) or kind not in VERSIONS:
        raise ValueError(
            f"{where} was not saved by fasttime: its format is {kind!r}, not one of "
            f"{', '.join(VERSIONS)}"
        )
    version = document.get("version")
    if isinstance(version, bool) or version != VERSIONS[kind]:
        raise ValueError(
            f"{where} has version {version!r} of the format {kind!r}, but this fasttime reads "
            f"version {VERSIONS[kind]}; load it with the fasttime that saved it, or save the "
            "result again"
        )
    return dict(document)


def damaged(path: str | os.PathLike[str], error: ValueError) -> ValueError:
    """Return the error to raise if a document does not hold the right fields."""
    return ValueError(f"{os.fspath(path)} is damaged or was edited: {error}; save the result again")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Fields:
    """The fields of one object in a document.

    Each method returns a field of the type that its name says. It raises ValueError, naming the
    field, if the field is missing or has another type.

    Args:
        values: the object as read from JSON.
        place: the path of the object in the document, for messages. It ends in a dot unless empty.
    """

    def __init__(self, values: Any, place: str = "") -> None:
        if not isinstance(values, dict):
            raise ValueError(
                f"{place.rstrip('.') or 'the document'} should be an object, not {_show(values)}"
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
        """Return the error to raise if a field does not agree with other fields."""
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
            raise self._wrong(name, "a string", value)
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

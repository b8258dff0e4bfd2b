# SPDX-License-Identifier: BSD-3-Clause
"""Files of JSON that name their format and version: written whole or not at all, read with care."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, NoReturn

from .._saving import open_for_replacement

MEASUREMENT = "fasttime measurement"
COMPARISON = "fasttime comparison"
REPORT = "fasttime report"

# What this fasttime writes, and all that it reads. A change that an older reader would take amiss
# raises the number. Reports of version 1 have no histograms, so that nothing can be built of them.
VERSIONS = {MEASUREMENT: 1, COMPARISON: 1, REPORT: 2}

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

# SPDX-License-Identifier: BSD-3-Clause
"""Files: which format a suffix names."""

from __future__ import annotations

import gzip
import inspect
import io
import os
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from ..atomic_file import open_for_replacement
from . import export as tables
from . import trace as trace_json

if TYPE_CHECKING:
    from .timeline import Timeline

_PICTURES = ("svg", "png", "pdf")


def _text(file: IO[bytes]) -> TextIO:
    # A str may hold half a surrogate pair, which UTF-8 has no place for; the escape that it gets is
    # the one that JSON has for it.
    return io.TextIOWrapper(
        cast("io.BufferedWriter", file), encoding="utf-8", errors="backslashreplace", newline=""
    )


def _save_trace(timeline: Timeline, file: IO[bytes]) -> None:
    with _text(file) as text:
        trace_json.write(timeline, text)


def _save_zipped_trace(timeline: Timeline, file: IO[bytes]) -> None:
    # Without the name of the temporary file, or the time: equal timelines make equal files.
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=5, mtime=0) as zipped:
        _save_trace(timeline, cast("IO[bytes]", zipped))


def _save_csv(timeline: Timeline, file: IO[bytes]) -> None:
    with _text(file) as text:
        tables.write_csv(timeline, text)


_WRITERS: dict[str, Callable[[Timeline, IO[bytes]], None]] = {
    ".json": _save_trace,
    ".json.gz": _save_zipped_trace,
    ".csv": _save_csv,
}


def save(timeline: Timeline, path: str | os.PathLike[str], options: Mapping[str, Any]) -> None:
    """Write the timeline in the format that the path's suffix names."""
    name = os.fspath(path)
    lowered = name.lower()
    suffix = next((s for s in sorted(_WRITERS, key=len)[::-1] if lowered.endswith(s)), None)
    if suffix is not None:
        if options:
            raise ValueError(f"a {suffix} file takes no options, got {', '.join(sorted(options))}")
        with open_for_replacement(name, "wb") as file:
            _WRITERS[suffix](timeline, file)
        return
    kind = os.path.splitext(lowered)[1][1:]
    if kind not in _PICTURES:
        known = ", ".join([*_WRITERS, *(f".{picture}" for picture in _PICTURES)])
        raise ValueError(f"cannot tell the format of {name!r} by its suffix; known are {known}")
    there = list(inspect.signature(timeline.plot).parameters)
    if unknown := sorted(options.keys() - set(there)):
        raise ValueError(
            f"a picture has no option {', '.join(unknown)}; there are {', '.join(there)}"
        )
    figure = timeline.plot(**options)
    with open_for_replacement(name, "wb") as file:
        figure.savefig(file, format=kind, facecolor=figure.get_facecolor())

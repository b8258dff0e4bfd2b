# SPDX-License-Identifier: BSD-3-Clause
"""Timelines as files and as a DataFrame. The suffix of a file decides its format."""

from __future__ import annotations

import base64
import csv
import gzip
import inspect
import io
import os
from collections.abc import Callable, Iterable, Mapping
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from ..atomic_file import open_for_replacement
from ..data_frame import data_frame
from ..documents import TIMELINE, wrong_suffix
from ..html.page import asset, page
from . import trace
from .span import Span

if TYPE_CHECKING:
    from .timeline import Timeline

PICTURE_SUFFIXES = (".svg", ".png", ".pdf")


def save(timeline: Timeline, path: str | os.PathLike[str], options: Mapping[str, Any]) -> None:
    """Write the timeline in the format of the path's suffix; see `Timeline.save`."""
    name = os.fspath(path)
    lowered = name.lower()
    suffix = next((suffix for suffix in _WRITERS if lowered.endswith(suffix)), None)
    if suffix is not None:
        if options:
            raise ValueError(f"a {suffix} file takes no options, got {', '.join(sorted(options))}")
        with open_for_replacement(name, "wb") as file:
            _WRITERS[suffix](timeline, file)
        return
    kind = os.path.splitext(lowered)[1][1:]
    if f".{kind}" not in PICTURE_SUFFIXES:
        raise wrong_suffix(TIMELINE, name, (*DATA_SUFFIXES, *PICTURE_SUFFIXES))
    known_options = list(inspect.signature(timeline.plot).parameters)
    if unknown := sorted(options.keys() - set(known_options)):
        raise ValueError(
            f"a picture has no option {', '.join(unknown)}; its options are "
            f"{', '.join(known_options)}"
        )
    figure = timeline.plot(**options)
    with open_for_replacement(name, "wb") as file:
        figure.savefig(file, format=kind, facecolor=figure.get_facecolor())


def to_pandas(timeline: Timeline) -> Any:
    """Return a DataFrame with one row per span."""
    frame = data_frame(timeline.columns.values(timeline.thread_names))
    # Columns that are empty or contain only None would otherwise hold objects.
    times = ("host_begin", "host_end", "device_begin", "device_end", "uncertainty")
    whole = {"device": "Int64", "stream": "UInt64"}
    return frame.astype({**dict.fromkeys(times, "float64"), **whole})


def write_csv(timeline: Timeline, file: TextIO) -> None:
    """Write a heading and one line per span. None is an empty cell.

    The file must not translate newlines. A NUL in a name is written as ``\\x00``, because few
    readers accept it.
    """
    writer = csv.writer(file)
    writer.writerow(Span._fields)
    for chunk in timeline.columns.chunks():
        columns = map(_without_nul, chunk.values(timeline.thread_names).values())
        writer.writerows(zip(*columns, strict=True))


def _without_nul(values: Iterable[Any]) -> list[Any]:
    return [value.replace("\0", "\\x00") if isinstance(value, str) else value for value in values]


def picture_html(timeline: Timeline) -> str:
    """Return the picture as HTML, in light and dark; empty if it cannot be drawn.

    A picture needs matplotlib and at least one scope that ended.
    """
    try:
        light, dark = (_svg_address(timeline, dark) for dark in (False, True))
    except (ImportError, ValueError):
        return ""
    return (
        '<div class="picture" tabindex="0" role="region" aria-label="Timeline"><picture>'
        f'<source media="screen and (prefers-color-scheme:dark)" srcset="{dark}">'
        f'<img alt="Timeline of the scopes on host and device" src="{light}"></picture></div>'
    )


def _svg_address(timeline: Timeline, dark: bool) -> str:
    figure = timeline.plot(dark=dark)
    file = io.BytesIO()
    figure.savefig(file, format="svg", facecolor=figure.get_facecolor())
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"


def _text(file: IO[bytes]) -> TextIO:
    # A str may contain a lone surrogate, which UTF-8 cannot encode. JSON uses the same escape.
    return io.TextIOWrapper(
        cast("io.BufferedWriter", file), encoding="utf-8", errors="backslashreplace", newline=""
    )


def _save_trace(timeline: Timeline, file: IO[bytes]) -> None:
    with _text(file) as text:
        trace.write(timeline, text)


def _save_zipped_trace(timeline: Timeline, file: IO[bytes]) -> None:
    # No file name and no time in the header, so equal timelines give equal files.
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=5, mtime=0) as zipped:
        _save_trace(timeline, cast("IO[bytes]", zipped))


def _save_csv(timeline: Timeline, file: IO[bytes]) -> None:
    with _text(file) as text:
        write_csv(timeline, text)


def _save_page(timeline: Timeline, file: IO[bytes]) -> None:
    with _text(file) as text:
        title = "fasttime timeline"
        script = asset("tables.js")
        text.write(page(title, f"<h1>{title}</h1>", timeline._html(), script))


_WRITERS: dict[str, Callable[[Timeline, IO[bytes]], None]] = {
    ".json": _save_trace,
    ".json.gz": _save_zipped_trace,
    ".csv": _save_csv,
    ".html": _save_page,
}
DATA_SUFFIXES = tuple(_WRITERS)

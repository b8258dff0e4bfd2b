# SPDX-License-Identifier: BSD-3-Clause
"""The files that `fasttime run` saves: the timeline, and the report as HTML and JSON."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

import fasttime

from ..reports.formats.picture import last_scopes
from .output import Failure, say, say_saved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..reports.report import Report
    from ..timelines.recording import TimelineRecording
    from ..timelines.timeline import Timeline

# The page shows the last of these scopes, so warm-up is past. Each takes 64 bytes.
_MOST_SCOPES_FOR_A_PAGE = 2_000


_OF_TORCHRUN = ("RANK", "WORLD_SIZE")


def rank_of_process() -> tuple[int, int] | None:
    """Return this process's rank and the number of ranks, as torchrun sets them; None for one."""
    rank, count = (os.environ.get(name, "") for name in _OF_TORCHRUN)
    is_one_of_many = rank.isdecimal() and count.isdecimal() and int(count) > 1
    return (int(rank), int(count)) if is_one_of_many else None


class _File:
    """A file to write: its name, and its absolute path in case the folder changes.

    All ranks get the same name from the command line, so each adds its number: the name
    ``report.json`` becomes ``report.rank3.json``.
    """

    def __init__(self, path: Path) -> None:
        if rank := rank_of_process():
            is_packed = path.suffix.lower() == ".gz"
            suffix = "".join(path.suffixes[-2:]) if is_packed else path.suffix
            stem = path.name.removesuffix(suffix)
            path = path.with_name(f"{stem}.rank{rank[0]}{suffix}")
        self.name = str(path)
        self.place = os.path.abspath(path)


class Files:
    """The files to save. Raises Failure if two options name the same file."""

    def __init__(self, trace: Path | None, html: Path | None, json: Path | None) -> None:
        asked = {"--trace": trace, "--html": html, "--json": json}
        places: dict[str, str] = {}
        for option, path in asked.items():
            other = option if path is None else places.setdefault(os.path.realpath(path), option)
            if other != option:
                raise Failure(f"{other} and {option} both name {path}; choose two different files")
        self._trace, self._html, self._json = (
            None if path is None else _File(path) for path in asked.values()
        )

    def recording(self) -> TimelineRecording | None:
        """Begin a timeline if one is wanted, or can be drawn on the page.

        A timeline that the script records itself takes precedence.
        """
        if self._trace:
            recording = fasttime.record_timeline()
        elif self._html and _can_draw():
            recording = fasttime.record_timeline(_MOST_SCOPES_FOR_A_PAGE)
        else:
            return None
        recording.start_in_background()
        return recording

    def save(self, report: Report, timeline: Timeline | None) -> bool:
        """Write all files and say so; return False if one could not be saved."""
        saved = [
            self._trace is None or _save_trace(self._trace, timeline),
            self._html is None or _save_page(self._html, report, timeline),
            self._json is None or _save(self._json, report.save),
        ]
        return all(saved)


def _can_draw() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def _save_trace(file: _File, timeline: Timeline | None) -> bool:
    if timeline is None:
        say(f"error: {file.name} was not saved, because the script recorded its own timeline")
        return False
    message = ""

    def save(place: str) -> None:
        nonlocal message
        try:
            timeline.save(place)
            if timeline.dropped:
                whole = len(timeline) + timeline.dropped
                message = f"{file.name} holds the first {len(timeline):,} of {whole:,} scopes"
        except ValueError:
            # Too many scopes for a picture. Without any scope, this raises again.
            part, which = last_scopes(timeline)
            part.save(place)
            message = (
                f"{file.name} shows only the last scopes: a picture has no room for all. {which}"
            )

    if not _save(file, save):
        return False
    if message:
        say(message)
    return True


def _save_page(file: _File, report: Report, timeline: Timeline | None) -> bool:
    if not _can_draw():
        say(
            f"{file.name} has no picture of the timeline; install matplotlib: "
            "pip install 'fasttime[plot]'"
        )
        timeline = None
    elif timeline is None:
        say(f"{file.name} has no picture of the timeline, because the script recorded its own")

    def save(place: str) -> None:
        try:
            report.save(place, timeline=timeline or None)  # an empty timeline cannot be drawn
        except ValueError as error:
            say(f"{file.name} has no picture of the timeline: {error}")
            report.save(place)

    return _save(file, save)


def _save(file: _File, save: Callable[[str], None]) -> bool:
    """Write a file; report a failure, which must not hide the failures before it."""
    try:
        save(file.place)
    except (ImportError, OSError, ValueError) as error:
        # The full text of an OSError would name the file again.
        why = getattr(error, "strerror", None) or error
        say(f"error: could not save {file.name}: {why}")
        return False
    say_saved(file.name)
    return True

# SPDX-License-Identifier: BSD-3-Clause
"""The files of `fasttime run`: the timeline, the report as a page and as data."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from .failure import Failure
from .output import say, say_saved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..reports.report import Report
    from ..timelines.recording import TimelineRecording
    from ..timelines.timeline import Timeline

# A page shows the last of them: late enough to be past the warm-up, and 64 bytes each.
_MOST_SCOPES_FOR_A_PAGE = 2_000


class _File:
    """A file to write: its name, as it was given, and its place, whatever folder we are in then."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.place = os.path.abspath(path)


class Files:
    """What is to be saved. Raises Failure where two of them are one file."""

    def __init__(self, trace: Path | None, html: Path | None, json: Path | None) -> None:
        asked = {"--trace": trace, "--html": html, "--json": json}
        places: dict[str, str] = {}
        for option, path in asked.items():
            other = option if path is None else places.setdefault(os.path.realpath(path), option)
            if other != option:
                raise Failure(f"{other} and {option} both name {path}; give each a file of its own")
        self._trace, self._html, self._json = (
            None if path is None else _File(path) for path in asked.values()
        )

    def recording(self) -> TimelineRecording | None:
        """Begin a timeline where one is asked for or can be drawn on the page.

        One that the script records for itself goes before it.
        """
        import fasttime

        if self._trace:
            recording = fasttime.record_timeline()
        elif self._html and _can_draw():
            recording = fasttime.record_timeline(_MOST_SCOPES_FOR_A_PAGE)
        else:
            return None
        recording.start_in_background()
        return recording

    def save(self, report: Report, timeline: Timeline | None) -> bool:
        """Write them all and say so; False where one could not be, which is said as well."""
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
        say(f"error: {file.name} was not saved, as the script recorded a timeline of its own")
        return False
    note = ""

    def save(place: str) -> None:
        from ..reports.formats.picture import last_scopes

        nonlocal note
        try:
            timeline.save(place)
            if timeline.dropped:
                whole = len(timeline) + timeline.dropped
                note = f"{file.name} holds the first {len(timeline):,} of {whole:,} scopes"
        except ValueError:
            # A picture of too many scopes; of none it is refused once more.
            part, which = last_scopes(timeline)
            part.save(place)
            note = f"{file.name} shows the last ones, as all are too many for a picture. {which}"

    if not _save(file, save):
        return False
    if note:
        say(note)
    return True


def _save_page(file: _File, report: Report, timeline: Timeline | None) -> bool:
    if not _can_draw():
        say(f"{file.name} has no picture of the timeline; it takes: pip install 'fasttime[plot]'")
        timeline = None
    elif timeline is None:
        say(f"{file.name} has no picture of the timeline, as the script recorded one of its own")

    def save(place: str) -> None:
        try:
            report.save(place, timeline=timeline or None)  # without a scope nothing is to be drawn
        except ValueError as error:
            say(f"{file.name} has no picture of the timeline: {error}")
            report.save(place)

    return _save(file, save)


def _save(file: _File, save: Callable[[str], None]) -> bool:
    """Write a timeline or a report; a failure is said, and must not hide what came before it."""
    try:
        save(file.place)
    except (ImportError, OSError, ValueError) as error:
        # The words of an OSError's own would name the file once more.
        why = getattr(error, "strerror", None) or error
        say(f"error: could not save {file.name}: {why}")
        return False
    say_saved(file.name)
    return True

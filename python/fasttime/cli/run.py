# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime run``: a script, with the report of its scopes at its end."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import sys
import threading
from typing import TYPE_CHECKING, TextIO

from .arguments import add_command, new_html, new_json, new_timeline
from .output import flush_if_possible, say, say_saved, show
from .script import INTERRUPTED, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..reporting.report import Report
    from ..timelines.recording import TimelineRecording
    from ..timelines.timeline import Timeline
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime run train.py --epochs 1
  fasttime run -m my_package.train --epochs 1
  fasttime run --trace trace.json --html report.html train.py --epochs 1

Options of fasttime come before the script, all that follows it is the script's own.
The exit code is the script's: 1 after an exception, 130 after Ctrl-C."""

_NOTHING = "there is nothing to report: no scope ended in {script}, or it has cleared them itself"
_ADD_ONE = """. Add one:
    with fasttime.scope("step"):
        ..."""

# A page shows the last of them: late enough to be past the warm-up, and 64 bytes each.
_MOST_SCOPES_FOR_A_PAGE = 2_000
# After Ctrl-C nobody wants to wait long for a device that may be stuck.
_PATIENCE_AFTER_CTRL_C_S = 2.0


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "run",
        "run a script and print the report of its scopes at its end",
        "Run a Python script with scopes switched on, and print their report to stderr when it\n"
        "ends, however it ends. Its own output is left alone.",
        _EXAMPLES,
    )
    parser.add_argument(
        "-m", dest="is_module", action="store_true", help="SCRIPT is a module, as in python -m"
    )
    parser.add_argument(
        "--trace",
        type=new_timeline,
        metavar="FILE",
        help="save the timeline: .json or .json.gz for Perfetto, .csv, .svg, .png or .pdf",
    )
    parser.add_argument(
        "--html",
        type=new_html,
        metavar="FILE",
        help="save the report as a page; with matplotlib it has a picture of the timeline",
    )
    parser.add_argument("--json", type=new_json, metavar="FILE", help="save the report as data")
    # One for both: a script's own "--" would be taken from between two.
    parser.add_argument(
        "words",
        metavar="SCRIPT",
        nargs=argparse.PARSER,
        help="a Python file, or with -m a module, and its own arguments",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return the script's exit code."""
    import fasttime

    name, *arguments = options.words[options.words[0] == "--" :]
    script = Script(name, options.is_module)
    process, threads, stderr = os.getpid(), set(threading.enumerate()), sys.stderr
    # The script may go to another folder; the files stay where they were asked for.
    trace, html, json = (
        path and _File(path) for path in (options.trace, options.html, options.json)
    )
    recording = _recording(options)
    try:
        fasttime.enable()
        code = script.run(arguments, options.ends_process)
        if os.getpid() != process:
            return code  # a forked child that comes to its end: report and files are its parent's
        flush_if_possible()
        with _said_to(stderr):
            _tell_of_threads(threads)
        report, code = _report(code)
    finally:
        # After the report, which has waited for the device.
        timeline = recording.stop() if recording and recording.is_recording else None
    with _said_to(stderr):
        if report.sites or report.open or report.pending:
            show(report, sys.stderr)
        else:
            # After a failure that is no news, and no advice is wanted.
            say(_NOTHING.format(script=name) + ("" if code else _ADD_ONE))
        saved = [
            trace is None or timeline is None or _save(trace, timeline.save),
            html is None or _save_page(html, report, timeline),
            json is None or _save(json, report.save),
        ]
    return code or int(not all(saved))


class _File:
    """A file to write: its name, as it was given, and its place, whatever folder we are in then."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.place = os.path.abspath(path)


@contextlib.contextmanager
def _said_to(stderr: TextIO | None) -> Iterator[None]:
    """Say to this what is said: the script may have put another one in its place, or closed it."""
    with contextlib.redirect_stderr(None if stderr is None or stderr.closed else stderr):
        yield


def _recording(options: argparse.Namespace) -> TimelineRecording | None:
    """Begin a timeline where one is asked for or can be drawn on the page."""
    import fasttime

    if options.trace:
        recording = fasttime.record_timeline()
        recording.start()
    elif options.html and _can_draw():
        recording = fasttime.record_timeline(_MOST_SCOPES_FOR_A_PAGE)
        recording.start_in_background()
    else:
        return None
    return recording


def _can_draw() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def _report(code: int) -> tuple[Report, int]:
    """Return the report and the exit code, 130 where the wait for the device was interrupted."""
    import fasttime

    patience = _PATIENCE_AFTER_CTRL_C_S if code == INTERRUPTED else None
    try:
        return fasttime.report(wait=True, timeout=patience), code
    except KeyboardInterrupt:
        return fasttime.report(), INTERRUPTED


def _tell_of_threads(known: set[threading.Thread]) -> None:
    """Tell of threads that Python waits for after this: some, an idle pool's, end only then."""
    running = [thread for thread in threading.enumerate() if thread not in known]
    names = ", ".join(thread.name for thread in running if not thread.daemon)
    if names:
        say(f"threads of the script still run ({names}); what they do from now on is not reported")


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
        say(f"error: could not save {file.name}: {error}")
        return False
    say_saved(file.name)
    return True

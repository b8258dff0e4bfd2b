# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime run``: a script, with the report of its scopes at its end."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

from .arguments import (
    add_command,
    new_html,
    new_json,
    new_timeline,
)
from .output import flush_if_possible, say, show
from .run_files import Files
from .script import INTERRUPTED, Script

if TYPE_CHECKING:
    from ..reports.report import Report
    from ..timelines.recording import TimelineRecording
    from ..timelines.timeline import Timeline
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime run train.py --epochs 1
  fasttime run -m my_package.train --epochs 1
  fasttime run --trace trace.json --html report.html train.py --epochs 1

Options of fasttime come before the script, all that follows it is the script's own.
The exit code is the script's: 1 after an exception, 130 after Ctrl-C. Where it is 0 and a file
could not be saved, it becomes 1.

What SIGTERM or os._exit ends has no report. SIGINT is Ctrl-C:
  timeout -s INT 60 fasttime run train.py"""

_NOTHING = (
    "there is nothing to report: no scope ended in {script}, or none since it cleared them itself; "
    "those of a Recorder of its own are not told here"
)
_ADD_ONE = """. Add one:
    with fasttime.scope("step"):
        ..."""

# After Ctrl-C nobody wants to wait long for a device that may be stuck.
_PATIENCE_AFTER_CTRL_C_S = 2.0


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "run",
        "run a script and print the report of its scopes at its end",
        "Run a Python script with scopes switched on, and print their report to stderr at its\n"
        "end: after its last line, sys.exit, an exception or Ctrl-C, once its threads have ended.\n"
        "Its own output is left alone.",
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
    files = Files(options.trace, options.html, options.json)
    process, known = os.getpid(), set(threading.enumerate())
    ending = _Ending(name, files, files.recording())
    try:
        fasttime.enable()
        code = script.run(arguments, options.ends_process)
    except BaseException:  # it could not be run
        ending.stop_recording()
        raise
    if os.getpid() != process:
        # A forked child that comes to its end: report and files are its parent's.
        ending.stop_recording()
        return code
    outlasting = [t for t in threading.enumerate() if t not in known and not t.daemon]
    if not outlasting:
        return ending.finish(code)
    if not options.ends_process:
        ending.tell_of(outlasting)
        return ending.finish(code)
    # Some, those of an idle pool, end only when Python waits for them, after we have returned. What
    # is registered here runs right after that, when the exit code is fixed: it is the script's own.
    atexit.register(_finish_in, process, ending, code)
    return code


class _Ending:
    """What is done once the script has come to its end: the report is shown, files are saved."""

    def __init__(self, script: str, files: Files, recording: TimelineRecording | None) -> None:
        self._script = script
        self._files = files
        self._recording = recording
        self._stderr = sys.stderr

    def finish(self, code: int) -> int:
        """Wait for the device, show and save; return the exit code, given the script's own."""
        flush_if_possible()
        try:
            report, code = _report(code)
        finally:
            # After the report, which has waited for the device.
            timeline = self.stop_recording()
        with self._said():
            if report.sites or report.open or report.pending:
                show(report, sys.stderr)
            else:
                # After a failure that is no news, and no advice is wanted.
                say(_NOTHING.format(script=self._script) + ("" if code else _ADD_ONE))
            all_saved = self._files.save(report, timeline)
        return code or int(not all_saved)

    def stop_recording(self) -> Timeline | None:
        """Stop recording; None where nothing is being recorded, or nothing any more."""
        recording = self._recording
        return recording.stop() if recording and recording.is_recording else None

    def tell_of(self, threads: list[threading.Thread]) -> None:
        """Tell of threads that outlast the script, in a process that does not end with it."""
        names = ", ".join(thread.name for thread in threads)
        with self._said():
            say(
                f"threads of the script still run ({names}); what they do from now on is not "
                "reported"
            )

    def _said(self) -> contextlib.AbstractContextManager[object]:
        """Say it where we began: the script may have put another stderr there, or closed it."""
        stderr = self._stderr
        return contextlib.redirect_stderr(None if stderr is None or stderr.closed else stderr)


def _finish_in(process: int, ending: _Ending, code: int) -> None:
    if os.getpid() == process:
        ending.finish(code)


def _report(code: int) -> tuple[Report, int]:
    """Return the report and the exit code, 130 where the wait for the device was interrupted."""
    import fasttime

    patience = _PATIENCE_AFTER_CTRL_C_S if code == INTERRUPTED else None
    try:
        return fasttime.report(wait=True, timeout=patience), code
    except KeyboardInterrupt:
        return fasttime.report(), INTERRUPTED

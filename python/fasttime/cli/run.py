# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime run``: a script, with the report of its scopes at its end."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, TextIO

from .arguments import add_command, new_html, new_json, new_timeline
from .output import flush_if_possible, say, show
from .run_files import Files
from .script import INTERRUPTED, Script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..reporting.report import Report
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
    files = Files(options.trace, options.html, options.json)
    recording = files.recording()
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
        all_saved = files.save(report, timeline)
    return code or int(not all_saved)


@contextlib.contextmanager
def _said_to(stderr: TextIO | None) -> Iterator[None]:
    """Say to this what is said: the script may have put another one in its place, or closed it."""
    with contextlib.redirect_stderr(None if stderr is None or stderr.closed else stderr):
        yield


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

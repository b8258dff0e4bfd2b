# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime run``: run a script and report its scopes at the end."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

import fasttime

from .arguments import (
    add_command,
    new_html,
    new_json,
    new_timeline,
)
from .output import flush_if_possible, say, show
from .run_files import Files, rank_of_process
from .user_code import INTERRUPTED, Script

if TYPE_CHECKING:
    from ..reports.report import Report
    from ..timelines.recording import TimelineRecording
    from ..timelines.timeline import Timeline
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime run train.py --epochs 1
  fasttime run -m my_package.train --epochs 1
  fasttime run --trace trace.json --html report.html train.py --epochs 1

Options of fasttime come before the script. All arguments after it belong to the script.
The exit code is the script's: 1 after an exception, 130 after Ctrl-C. If it is 0 and a file
could not be saved, it becomes 1.

Under torchrun, each rank saves files of its own, such as report.rank0.json.
There is no report after SIGTERM or os._exit. SIGINT works like Ctrl-C:
  timeout -s INT 60 fasttime run train.py"""

_NOTHING = (
    "nothing to report: no scope ended in {script} since its last reset. Scopes of the script's "
    "own Recorder objects are not included."
)
_ADD_ONE = """ Add a scope:
    with fasttime.scope("step"):
        ..."""

# After Ctrl-C the device may be stuck, so the wait is short.
_PATIENCE_AFTER_CTRL_C_S = 2.0


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "run",
        "run a script and print the report of its scopes at the end",
        "Run a Python script with scopes enabled, and print the report on stderr at the end:\n"
        "after the last line, sys.exit, an exception or Ctrl-C, and after the script's threads\n"
        "have ended. The script's own output stays as it is.",
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
        help="save the report as an HTML page; matplotlib adds a picture of the timeline",
    )
    parser.add_argument("--json", type=new_json, metavar="FILE", help="save the report as JSON")
    # One argument for both: argparse would remove the script's own "--" between two.
    parser.add_argument(
        "words",
        metavar="SCRIPT",
        nargs=argparse.PARSER,
        help="a Python file, or with -m a module, followed by its own arguments",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return the script's exit code."""
    name, *arguments = options.words[options.words[0] == "--" :]
    script = Script(name, options.is_module)
    files = Files(options.trace, options.html, options.json)
    process, known = os.getpid(), set(threading.enumerate())
    ending = _Ending(name, files, files.recording())
    try:
        fasttime.enable()
        code = script.run(arguments, options.ends_process)
    except BaseException:  # the script could not be run
        ending.stop_recording()
        raise
    if os.getpid() != process:
        # A forked child of the script: the parent writes the report and the files.
        ending.stop_recording()
        return code
    outlasting = [t for t in threading.enumerate() if t not in known and not t.daemon]
    if not outlasting:
        return ending.finish(code)
    if not options.ends_process:
        ending.warn_of(outlasting)
        return ending.finish(code)
    # Threads of an idle pool end only after this function has returned, when Python waits for
    # them. Functions registered here run right after that. The exit code is fixed by then.
    atexit.register(_finish_in, process, ending, code)
    return code


class _Ending:
    """What happens at the end of the script: show the report and save the files."""

    def __init__(self, script: str, files: Files, recording: TimelineRecording | None) -> None:
        self._script = script
        self._files = files
        self._recording = recording
        self._stderr = sys.stderr

    def finish(self, code: int) -> int:
        """Wait for the device, show and save; return the exit code.

        Args:
            code: the script's exit code.
        """
        flush_if_possible()
        try:
            report, code = _report(code)
        finally:
            # After the report, because the report waits for the device.
            timeline = self.stop_recording()
        with self._original_stderr():
            if rank := rank_of_process():
                title = f"fasttime report, rank {rank[0]} of {rank[1]}, process {os.getpid()}"
                report = report.view(title=title)  # in one write, because other ranks print too
            if report.sites or report.open or report.pending:
                show(report, sys.stderr)
            else:
                # After a failure of the script, advice would only distract.
                say(_NOTHING.format(script=self._script) + ("" if code else _ADD_ONE))
            all_saved = self._files.save(report, timeline)
        return code or int(not all_saved)

    def stop_recording(self) -> Timeline | None:
        """Stop recording; return None if nothing is being recorded."""
        recording = self._recording
        return recording.stop() if recording and recording.is_recording else None

    def warn_of(self, threads: list[threading.Thread]) -> None:
        """Warn of threads that outlast the script, in a process that continues."""
        names = ", ".join(thread.name for thread in threads)
        with self._original_stderr():
            say(
                f"threads of the script are still running ({names}); the report does not include "
                "their scopes from now on"
            )

    def _original_stderr(self) -> contextlib.AbstractContextManager[object]:
        """Use the stderr from the start: the script may have replaced or closed it."""
        stderr = self._stderr
        return contextlib.redirect_stderr(None if stderr is None or stderr.closed else stderr)


def _finish_in(process: int, ending: _Ending, code: int) -> None:
    if os.getpid() == process:
        ending.finish(code)


def _report(code: int) -> tuple[Report, int]:
    """Return the report and the exit code: 130 if the wait for the device was interrupted."""
    patience = _PATIENCE_AFTER_CTRL_C_S if code == INTERRUPTED else None
    try:
        return fasttime.report(wait=True, timeout=patience), code
    except KeyboardInterrupt:
        return fasttime.report(), INTERRUPTED

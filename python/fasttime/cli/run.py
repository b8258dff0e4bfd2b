# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime run``: a script, with the report of its scopes at its end."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import runpy
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from . import python_path
from .arguments import add_command, new_html, new_json, new_timeline, similar_files
from .failure import Failure
from .output import flush, say, say_saved, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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

_NOT_A_MODULE = "{script} is a file, not a module; leave out -m: fasttime run {script}"

# A page shows the last of them: late enough to be past the warm-up, and 64 bytes each.
_MOST_SCOPES_FOR_A_PAGE = 2_000
# After Ctrl-C nobody wants to wait long for a device that may be stuck.
_PATIENCE_AFTER_CTRL_C_S = 2.0
_INTERRUPTED = 130


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

    script, *arguments = options.words[options.words[0] == "--" :]
    execute = _importable(script) if options.is_module else _file(script)
    process, threads, stderr = os.getpid(), set(threading.enumerate()), sys.stderr
    # The script may go to another folder; the files stay where they were asked for.
    trace, html, json = (
        path and _File(path) for path in (options.trace, options.html, options.json)
    )
    recording = _recording(options)
    try:
        fasttime.enable()
        code = _execute(execute, script, arguments, options.ends_process)
        if os.getpid() != process:
            return code  # a forked child that comes to its end: report and files are its parent's
        _flush()
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
            say(_NOTHING.format(script=script) + ("" if code else _ADD_ONE))
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


def _flush() -> None:
    """Let the script's words come before ours; what fails here fails again at the end."""
    with contextlib.suppress(OSError):
        flush()


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

    patience = _PATIENCE_AFTER_CTRL_C_S if code == _INTERRUPTED else None
    try:
        return fasttime.report(wait=True, timeout=patience), code
    except KeyboardInterrupt:
        return fasttime.report(), _INTERRUPTED


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


# --- the script ---


def _file(script: str) -> Callable[[str], object]:
    """Return what runs a file as Python does; raises Failure where it is not there."""
    path = Path(script)
    if not path.exists():
        raise Failure(f"there is no file {script}{similar_files(path)}")
    if path.is_dir() and not (path / "__main__.py").exists():
        raise Failure(f"{script} is a folder without a __main__.py; name a file in it")
    if not path.is_dir() and not path.is_file():
        raise Failure(f"{script} can be read only once, and a script is read twice; name a file")
    return _path


def _path(script: str) -> object:
    # Absolute, as Python has it: the script may go to another folder, and look for itself there.
    path = os.path.abspath(script)
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.realpath(path))
    python_path.begin_with(folder)
    return runpy.run_path(path, run_name="__main__")


def _importable(name: str) -> Callable[[str], object]:
    """Return what runs a module; raises Failure for a file, whose import would run it first."""
    if name.endswith(".py") and Path(name).is_file():
        raise Failure(_NOT_A_MODULE.format(script=name))
    return _module


def _module(name: str) -> object:
    python_path.begin_with(os.getcwd())
    return runpy.run_module(name, run_name="__main__", alter_sys=True)


def _execute(
    execute: Callable[[str], object], script: str, arguments: list[str], ends_process: bool
) -> int:
    """Run the script and return its exit code; what it raises is shown as Python shows it."""
    before = sys.argv, list(sys.path)
    sys.argv = [script, *arguments]
    try:
        execute(script)
    except SystemExit as exit_:
        return _exit_code(exit_.code)
    except BaseException as error:
        trace = _of_the_script(error.__traceback__)
        if trace is None and isinstance(error, (ImportError, OSError)):
            raise Failure(_cannot_run(script, error)) from error
        error = error.with_traceback(trace)
        _flush()
        sys.excepthook(type(error), error, error.__traceback__)
        return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    finally:
        if not ends_process:  # or its threads, and what it does at exit, still look there
            sys.argv, sys.path[:] = before
    return 0


def _exit_code(code: object) -> int:
    """Return the exit code of a SystemExit, as Python does with what it was given."""
    if code is None or isinstance(code, int):
        return int(code or 0)
    with contextlib.suppress(AttributeError, ValueError):  # closed before the start, or since
        sys.stderr.write(f"{code}\n")
    return 1


def _cannot_run(script: str, error: ImportError | OSError) -> str:
    if isinstance(error, ImportError) and Path(script).is_file():
        return _NOT_A_MODULE.format(script=script)
    return f"cannot run {script}: {error}"


def _of_the_script(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback without the frames of this command and of runpy that lie above it."""
    ours = {"runpy", __name__}
    while trace is not None and trace.tb_frame.f_globals.get("__name__") in ours:
        trace = trace.tb_next
    return trace

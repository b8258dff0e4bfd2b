# SPDX-License-Identifier: BSD-3-Clause
"""Run the user's code as Python would: scripts, modules, the import path, and exceptions."""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from .arguments import similar_files
from .output import Failure, flush_if_possible

INTERRUPTED = 130  # the exit code after Ctrl-C

_NOT_A_MODULE = "{script} is a file, not a module; leave out -m: fasttime run {script}"

# Packages whose frames run the user's code: fasttime, and the parts of Python that it uses.
_RUNNERS = ("fasttime", "runpy", "importlib")


class Script:
    """A script or a module that the user named. Raises Failure if it cannot be run."""

    def __init__(self, name: str, is_module: bool) -> None:
        if is_module:
            _check_module(name)
        else:
            _check_file(name)
        self._name = name
        self._execute = _run_module if is_module else _run_file

    def run(self, arguments: list[str], ends_process: bool) -> int:
        """Run the script and return its exit code. Exceptions are shown as Python shows them.

        Args:
            arguments: the script's own arguments.
            ends_process: leave sys.argv and sys.path as the script left them. Its threads and exit
                handlers may still read both.
        """
        before = sys.argv, list(sys.path)
        sys.argv = [self._name, *arguments]
        try:
            self._execute(self._name)
        except SystemExit as exit_:
            return _exit_code(exit_.code)
        except BaseException as error:
            if user_frames(error) is None and isinstance(error, (ImportError, OSError)):
                raise Failure(_cannot_run(self._name, error)) from error
            show_error(error)
            return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        finally:
            if not ends_process:
                sys.argv, sys.path[:] = before
        return 0


def _check_file(name: str) -> None:
    path = Path(name)
    if not path.exists():
        raise Failure(f"there is no file {name}{similar_files(path)}")
    if path.is_dir() and not (path / "__main__.py").exists():
        raise Failure(f"{name} is a folder without a __main__.py; name a file in it")
    if not path.is_dir() and not path.is_file():
        raise Failure(f"{name} can be read only once, but a script is read twice; name a file")


def _check_module(name: str) -> None:
    # Importing the name to check it would already run the file.
    if name.endswith(".py") and Path(name).is_file():
        raise Failure(_NOT_A_MODULE.format(script=name))


def _run_file(name: str) -> object:
    # Absolute, as in Python: the script may change the folder and then look for its own file.
    path = os.path.abspath(name)
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.realpath(path))
    begin_path_with(folder)
    return runpy.run_path(path, run_name="__main__")


def _run_module(name: str) -> object:
    begin_path_with(os.getcwd())
    return runpy.run_module(name, run_name="__main__", alter_sys=True)


def _exit_code(code: object) -> int:
    """Return the exit code for the argument of sys.exit(), as Python does."""
    if code is None or isinstance(code, int):
        return int(code or 0)
    with contextlib.suppress(AttributeError, ValueError):  # stderr is None, or closed
        sys.stderr.write(f"{code}\n")
    return 1


def _cannot_run(script: str, error: ImportError | OSError) -> str:
    if isinstance(error, ImportError) and Path(script).is_file():
        return _NOT_A_MODULE.format(script=script)
    return f"cannot run {script}: {error}"


def begin_path_with(folder: str) -> None:
    """Replace the first entry of sys.path, the command's own folder, as Python does for a script.

    Under ``python -P``, sys.path stays as it is.
    """
    if not getattr(sys.flags, "safe_path", False):  # Python 3.11 and later
        sys.path[:1] = [folder]


@contextlib.contextmanager
def path_beginning_with(folder: str) -> Iterator[None]:
    """Begin sys.path with a folder inside a ``with`` block, and restore sys.path at its end."""
    before = list(sys.path)
    begin_path_with(folder)
    try:
        yield
    finally:
        sys.path[:] = before


def is_message(error: Exception) -> bool:
    """Say whether fasttime itself raised the error, so that its message is enough.

    An error in the user's function has a frame of that function below the frames of fasttime.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    name = str(frames[-1].f_globals.get("__name__"))
    return isinstance(error, (RuntimeError, TypeError, ValueError)) and name.startswith("fasttime.")


def user_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback from the first frame of the user's code on, or None without one."""
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__"))
        if module.partition(".")[0] not in _RUNNERS:
            break
        trace = trace.tb_next
    return trace


def show_error(error: BaseException) -> None:
    """Show an exception of the user's code as Python would, without the frames that ran it."""
    error = error.with_traceback(user_frames(error))
    flush_if_possible()
    sys.excepthook(type(error), error, error.__traceback__)

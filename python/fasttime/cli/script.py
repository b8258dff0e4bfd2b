# SPDX-License-Identifier: BSD-3-Clause
"""A script or a module, run in this process as Python would run it."""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from pathlib import Path

from . import python_path
from .arguments import similar_files
from .failure import Failure
from .user_errors import show_error, user_frames

INTERRUPTED = 130  # the exit code after Ctrl-C

_NOT_A_MODULE = "{script} is a file, not a module; leave out -m: fasttime run {script}"


class Script:
    """What a user named. Raises Failure where that cannot be run."""

    def __init__(self, name: str, is_module: bool) -> None:
        if is_module:
            _check_module(name)
        else:
            _check_file(name)
        self._name = name
        self._execute = _module if is_module else _file

    def run(self, arguments: list[str], ends_process: bool) -> int:
        """Run it and return its exit code; what it raises is shown as Python shows it.

        Where the process `ends` with it, its arguments and its import path stay, as its threads
        and what it does at exit look there.
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
        raise Failure(f"{name} can be read only once, and a script is read twice; name a file")


def _check_module(name: str) -> None:
    # Not by importing it: of a file that would be to run it.
    if name.endswith(".py") and Path(name).is_file():
        raise Failure(_NOT_A_MODULE.format(script=name))


def _file(name: str) -> object:
    # Absolute, as Python has it: the script may go to another folder, and look for itself there.
    path = os.path.abspath(name)
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.realpath(path))
    python_path.begin_with(folder)
    return runpy.run_path(path, run_name="__main__")


def _module(name: str) -> object:
    python_path.begin_with(os.getcwd())
    return runpy.run_module(name, run_name="__main__", alter_sys=True)


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

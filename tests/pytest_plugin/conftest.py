# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures for the tests of the pytest plugin."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from timed_project import WITHOUT_ENTRY_POINTS, Project

from fasttime.comparing import worktree
from fasttime.pytest_checks import benchmark_json, child, fixtures, processes

# A session in this process would import them again, but the package would keep the old ones.
assert fixtures, benchmark_json


@pytest.fixture(autouse=True)
def _without_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*WITHOUT_ENTRY_POINTS)


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch, project: Project) -> list[list[str]]:
    """Fork instead of starting Python, which takes seconds to import torch. Lists the commands."""
    started: list[list[str]] = []
    original = subprocess.run

    def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if child.__file__ not in command:
            return original(command, **options)
        started.append(list(command))
        output = project.path / "output.txt"
        number = os.fork()
        if number == 0:
            _become(lambda: child.main(command[-1]), Path(options["cwd"]), output, project.path)
        _, status = os.waitpid(number, 0)
        text = output.read_text()
        code = os.waitstatus_to_exitcode(status)
        return subprocess.CompletedProcess(list(command), code, text, text)

    for module in (processes, worktree):
        monkeypatch.setattr(module.subprocess, "run", run)
    return started


def _become(main: Callable[[], int], folder: Path, output: Path, project: Path) -> None:
    """Run a function like a fresh process: in a folder, and without the modules of the project."""
    code = 99
    try:
        number = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(number, 1)
        os.dup2(number, 2)
        sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = sys.__stderr__ = open(2, "w", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(project)):
                del sys.modules[name]
        sys.path[:] = [str(folder), *(entry for entry in sys.path if str(project) not in entry)]
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)

# SPDX-License-Identifier: BSD-3-Clause
"""Run one test in this process and save what its checks measure.

Started as a script, with one JSON object as argument. Nothing here imports fasttime before pytest
has started. Otherwise pytest would warn that it cannot rewrite the assertions of fasttime, and many
projects turn warnings into errors.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fasttime.comparing.worktree import Tree

_OPTIONS_WITH_VALUE = (
    "--fasttime-baseline",
    "--fasttime-processes",
    "--fasttime-against",
    "--fasttime-json",
)


def command(
    config: pytest.Config,
    path: Path,
    node: str,
    output: Path,
    tree: Tree | None = None,
    top: Path | None = None,
) -> list[str]:
    """Return the arguments of a process that runs one test and saves its measurements.

    Args:
        config: of this session. The process gets the same options.
        path: the file of the test.
        node: the test's name in the file, such as ``TestA::test_b[1]``.
        output: the folder to save to.
        tree: the tree in which the process runs; None for the current folder.
        top: the top folder of your working tree, if there is a tree.
    """

    def moved(text: str) -> str:
        """Return an absolute path of the working tree as the same path of the tree."""
        if tree is None or top is None or not os.path.isabs(text):
            return text
        place = Path(os.path.realpath(text))
        return str(tree.top / place.relative_to(top)) if place.is_relative_to(top) else text

    here = str(config.invocation_params.dir)
    task = {
        "node": f"{moved(str(path))}::{node}",
        "output": str(output),
        "top": None if tree is None else str(tree.top),
        "has_folder": tree is not None or bool({"", here} & set(sys.path)),
        "arguments": [moved(str(text)) for text in config.invocation_params.args],
    }
    return [sys.executable, __file__, json.dumps(task)]


class Recorded:
    """A plugin for pytest: only one test runs, and its checks save measurements."""

    def __init__(self, node: str, output: Path) -> None:
        self._node = node
        self._output = output

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: Any) -> None:
        """Let xdist start no workers. Without xdist, nothing reads these options."""
        config.option.numprocesses = 0
        config.option.dist = "no"
        config.option.tx = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: Any) -> None:
        """Replace the arguments. The files that they name have configured pytest by now."""
        config.args = [self._node]
        config._fasttime_record = self._output


def main(text: str) -> int:
    """Do a task of `command` and return the exit code."""
    task = json.loads(text)
    # All messages go to stderr, which the other process shows if this one fails.
    os.dup2(2, 1)
    output = Path(task["output"])
    output.mkdir()
    if sys.path[0] == os.path.dirname(__file__):
        del sys.path[0]  # Python put the folder of this script there
    if task["has_folder"]:
        sys.path.insert(0, os.getcwd())  # as `python -m pytest` does
    # The folders of the other session, which is still running, must stay as they are.
    own_folders = ["-o", f"cache_dir={output / 'cache'}", f"--basetemp={output / 'temporary'}"]
    # The error comes last: the other process shows only the last lines.
    error_last = "--disable-warnings"
    arguments = [*_without_our_options(task["arguments"]), *own_folders, error_last]
    code = int(pytest.main(arguments, plugins=[Recorded(task["node"], output)]))
    if code == 0 and task["top"]:
        from fasttime.comparing.import_check import check_imports
        from fasttime.comparing.worktree import AgainstError

        try:
            check_imports(Path(task["top"]), ())
        except AgainstError as error:
            print(error, file=sys.stderr)
            return 1
    return code


def _without_our_options(arguments: Sequence[str]) -> list[str]:
    """Leave out the options that say what to do with measurements."""
    kept: list[str] = []
    is_value = False
    for text in arguments:
        if not is_value and not text.startswith("--fasttime"):
            kept.append(text)
        is_value = not is_value and text in _OPTIONS_WITH_VALUE
    return kept


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

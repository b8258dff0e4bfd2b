# SPDX-License-Identifier: BSD-3-Clause
"""Run a test again in fresh processes, and collect what its checks measured."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ..comparing.against import AgainstError, Tree, Trees, in_turns, trees_of
from ..loading import load
from ..measuring.measurement import Measurement
from .child import command

_MOST_LINES = 6  # of a process that failed


class NotMeasured(Exception):
    """The processes measured nothing. The message says why, and what to do."""


class Sides(NamedTuple):
    """The measurements of one check by process, in the order of the pairs."""

    old: list[Measurement]
    new: list[Measurement]


Results = dict[str, list[Measurement]]


def in_processes(item: pytest.Item, count: int) -> Results:
    """Run a test in fresh processes, one after another, and return its measurements by check.

    Waits for the processes. Raises NotMeasured if a process fails.
    """
    found: list[dict[str, Measurement]] = []
    with tempfile.TemporaryDirectory(prefix="fasttime-") as folder:
        for number in range(1, count + 1):
            output = Path(folder, str(number))
            done = subprocess.run(
                command(item.config, item.path, _name_in_file(item), output),
                cwd=item.config.invocation_params.dir,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="backslashreplace",
                check=False,
            )
            if done.returncode != 0:
                raise NotMeasured(
                    f"process {number} of {count} ended with exit code {done.returncode}: "
                    f"{_end_of(done.stdout)}"
                )
            found.append(_measurements_in(output))
    return _by_check(found)


def against(item: pytest.Item, trees: Trees, pairs: int) -> dict[str, Sides]:
    """Run a test in both trees in turns, and return the measurements by check.

    Both sides run the test's file of your working tree, so the same test times both revisions. All
    other files come from the side's own tree.

    Waits for the processes. Raises NotMeasured if a process fails, such as one of a revision that
    lacks what the test needs.
    """
    config = item.config

    file = Path(os.path.realpath(item.path))
    if not file.is_relative_to(trees.new.top):
        raise NotMeasured(f"{file} lies outside the git repository {trees.new.top}")
    copy = trees.old.top / file.relative_to(trees.new.top)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)

    def arguments(tree: Tree, output: Path) -> list[str]:
        return command(config, item.path, _name_in_file(item), output, tree, trees.new.top)

    old, new = [], []
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            for turn in in_turns(trees, arguments, pairs):
                old.append(_measurements_in(turn.old))
                new.append(_measurements_in(turn.new))
    except AgainstError as error:
        raise NotMeasured(f"{error}: {_end_of(messages.getvalue())}") from None
    before, after = _by_check(old), _by_check(new)
    return {key: Sides(before[key], after[key]) for key in after if key in before}


def merged(parts: list[Measurement]) -> Measurement:
    """Return the measurements of all processes as one. Raises NotMeasured if they do not fit."""
    try:
        return Measurement.merge(*parts)
    except ValueError as error:
        raise NotMeasured(f"the processes measured different things: {error}") from None


def trees_for(config: Any, revision: str) -> Trees:
    """Return the trees of a revision, the same for all tests of a session.

    Raises NotMeasured if there is no such revision.
    """
    if not hasattr(config, "_fasttime_trees"):
        stack = contextlib.ExitStack()
        try:
            trees = stack.enter_context(trees_of(revision, folder=config.invocation_params.dir))
        except AgainstError as error:
            raise NotMeasured(str(error)) from None
        config._fasttime_trees, config._fasttime_sides = stack, trees
    sides: Trees = config._fasttime_sides
    return sides


def load_measurement(path: Path) -> Measurement:
    """Return the measurement in a file. Raises ValueError if the file holds none."""
    loaded = load(path)
    if not isinstance(loaded, Measurement):
        raise ValueError(f"{path} holds a {type(loaded).__name__}, not a measurement; delete it")
    return loaded


def _name_in_file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[2]


def _measurements_in(folder: Path) -> dict[str, Measurement]:
    return {path.stem: load_measurement(path) for path in folder.glob("*.json")}


def _by_check(found: list[dict[str, Measurement]]) -> Results:
    """Return the measurements of each check that every process made."""
    return {
        key: [one[key] for one in found] for key in found[0] if all(key in one for one in found)
    }


def _end_of(output: str) -> str:
    """Return the last lines as one line."""
    lines: Iterator[str] = (line.strip() for line in output.splitlines() if line.strip())
    return " | ".join(list(lines)[-_MOST_LINES:]) or "it printed nothing"

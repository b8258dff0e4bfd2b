# SPDX-License-Identifier: BSD-3-Clause
"""Measurements in files, in several fresh processes, and in turns with another revision."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..comparing.against import AgainstError, Tree, in_turns, trees_of
from ..comparing.comparison import Comparison
from ..comparing.saved import SavedComparison, compare_saved
from ..comparing.site_changes import ReportComparison
from ..comparing.worktree import how_it_ended, run_quietly
from ..measuring.measurement import Measurement
from ..measuring.merging import mixed_holding
from ..measuring.options import EndedBy
from ..sweeping.result import Sweep
from .output import Failure, say
from .result_files import load_result
from .user_code import INTERRUPTED

Saved = Measurement | SavedComparison | Comparison | ReportComparison | Sweep


def save(result: Saved, path: Path) -> None:
    """Write a result; raise Failure if the file cannot be written."""
    try:
        result.save(path)
    except OSError as error:
        raise Failure(f"could not save {path}: {error.strerror}", code=1) from error


def load(path: Path) -> Measurement:
    """Read a measurement; raise Failure if the file holds none."""
    loaded = load_result(path)
    if not isinstance(loaded, Measurement):
        raise Failure(f"{path} holds a {type(loaded).__name__}, not a measurement")
    return loaded


def as_json(result: Saved) -> str:
    """Return the text that `save` writes."""
    with tempfile.TemporaryDirectory(prefix="fasttime-") as folder:
        path = Path(folder, "result.json")
        save(result, path)
        return path.read_text(encoding="utf-8").rstrip()


def measure_against(
    arguments: Sequence[str], revision: str, build: str | None, pairs: int
) -> tuple[SavedComparison, int]:
    """Run ``fasttime bench`` in turns on a revision and on the working tree, in fresh processes.

    Returns the comparison and the exit code. After Ctrl-C or the failure of a process, the
    comparison is about the pairs that are done.

    Raises Failure if the revision cannot be measured, or if no pair is done.
    """

    def command(tree: Tree, output: Path) -> list[str]:
        own = ["--output", str(output), "--inside", str(tree.top)]
        return [sys.executable, "-m", "fasttime", "bench", *arguments, *own]

    done: list[tuple[Measurement, Measurement]] = []
    code = 0
    try:
        with trees_of(revision, build=build) as trees:
            progress = say if sys.stderr.isatty() else None
            for turn in in_turns(trees, command, pairs, progress=progress):
                done.append((load(turn.old), load(turn.new)))
    except (AgainstError, KeyboardInterrupt) as error:
        if not done and isinstance(error, KeyboardInterrupt):
            raise
        if not done:
            raise Failure(str(error)) from error
        code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else f"error: {error}"
        say(f"{why}; the result is about the {len(done)} of {pairs} pairs that were done")
    try:
        sides = [Measurement.merge(*side) for side in zip(*done, strict=True)]
        if warning := mixed_holding(tuple(sides)):
            # Both sides had the same options, so what was measured is kept, with a warning.
            sides = [
                dataclasses.replace(side, held=False, warnings=(warning, *side.warnings))
                for side in sides
            ]
        return compare_saved(*sides), code
    except ValueError as error:
        raise Failure(f"the processes measured different things: {error}", code=1) from error


def measure_in_processes(arguments: Sequence[str], count: int) -> tuple[Measurement, int]:
    """Run ``fasttime bench`` in fresh processes, one after another, and merge the measurements.

    Returns the measurement and the exit code. Ctrl-C keeps the measurements of the processes that
    have ended. If a process fails, its messages are passed on, and the others are kept.

    Some things differ from process to process and stay the same within one: the addresses of
    memory, or the algorithms that cuDNN picks. More runs in one process do not average them out.

    Raises Failure if the first process fails, because the others would most likely fail as well.
    """
    measurements: list[Measurement] = []
    code = 0
    with tempfile.TemporaryDirectory(prefix="fasttime-") as folder:
        for number in range(1, count + 1):
            if sys.stderr.isatty():
                say(f"process {number} of {count}")
            path = Path(folder, f"{number}.json")
            try:
                _bench([*arguments, "--output", str(path)], f"process {number} of {count}")
                measurements.append(load(path))
            except KeyboardInterrupt:
                if not measurements:
                    raise
                code = INTERRUPTED
                break
            except Failure as failure:
                if not measurements:
                    raise
                say(f"error: {failure}; the result is about the other processes")
                code = failure.code
    try:
        merged = Measurement.merge(*measurements)
        ended_by: EndedBy = "interrupt" if code == INTERRUPTED else merged.ended_by
        return dataclasses.replace(merged, ended_by=ended_by), code
    except ValueError as error:
        raise Failure(f"the processes measured different things: {error}", code=1) from error


def _bench(arguments: Sequence[str], name: str) -> None:
    done = run_quietly([sys.executable, "-m", "fasttime", "bench", *arguments])
    if done.returncode != 0:
        how = how_it_ended(done.returncode)
        raise Failure(f"{name} {how}; its messages are above", code=1)

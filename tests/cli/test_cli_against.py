# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime bench --against`: the options, the processes and the result."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import environment, measurement, origin

import fasttime
from fasttime import SavedComparison
from fasttime.cli import main, measurements
from fasttime.comparing.against import AgainstError, Tree, Trees, Turn

TREES = Trees(
    Tree("old", Path("/old"), Path("/old/in")), Tree("new", Path("/new"), Path("/new/in"))
)


class Machinery:
    """Stands for worktrees and processes. The new side takes 10 % longer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[Any] = []
        self.commands: list[list[str]] = []
        self.stop_after: BaseException | None = None
        self.changes: list[dict[str, Any]] = [{}, {}]  # of the measurements of each side

    @contextlib.contextmanager
    def trees_of(self, revision: str, *, build: str | None) -> Iterator[Trees]:
        self.asked.append((revision, build))
        yield TREES

    def in_turns(self, trees: Trees, command: Any, pairs: int, *, progress: Any) -> Iterator[Turn]:
        self.asked.append(pairs)
        for pair in range(pairs):
            turn = Turn(self.folder / f"{pair}-old.json", self.folder / f"{pair}-new.json")
            for side, (tree, output) in enumerate(zip(trees, turn, strict=True)):
                self.commands.append(list(command(tree, output)))
                number = 2 * pair + side
                made = measurement(
                    [(1 + 0.1 * side) * (1 + number / 1000)] * 9,
                    origins=(origin(number + 1, float(number)),),
                    environment=environment(),
                    **self.changes[side],
                )
                made.save(output)
            yield turn
            if self.stop_after is not None:
                raise self.stop_after


@pytest.fixture
def machinery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machinery:
    monkeypatch.chdir(tmp_path)
    made = Machinery(tmp_path)
    monkeypatch.setattr(measurements, "trees_of", made.trees_of)
    monkeypatch.setattr(measurements, "in_turns", made.in_turns)
    return made


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.removeprefix("fasttime: error: ").rstrip()


def test_both_sides_are_judged_in_pairs(
    machinery: Machinery, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench", "a:b", "--against", "main", "--build", "make", "--repeat", "9"]
    assert main([*arguments, "-o", "c.json"]) == 0
    assert machinery.asked == [("main", "make"), 10]
    assert [command[3:] for command in machinery.commands[:2]] == [
        [
            *("bench", "a:b", "--repeat", "9"),
            *("--output", f"{machinery.folder}/0-{side}.json", "--inside", f"/{side}"),
        ]
        for side in ("old", "new")
    ]
    assert "slower: Based on 10 pairs of processes that took turns." in capsys.readouterr().out
    found = fasttime.load("c.json")
    assert isinstance(found, SavedComparison)
    assert found.goes_by_pairs
    assert (len(found.old.processes), found.verdict) == (10, "slower")


def test_ctrl_c_keeps_the_pairs_that_are_done(
    machinery: Machinery, capsys: pytest.CaptureFixture[str]
) -> None:
    machinery.stop_after = KeyboardInterrupt()
    assert main(["bench", "a:b", "--against", "main", "-o", "c.json"]) == 130
    shown = capsys.readouterr()
    assert "interrupted; the result is about the 1 of 10 pairs that were done" in shown.err
    assert "9 runs in 1 process" in shown.out
    assert isinstance(fasttime.load("c.json"), SavedComparison)


def test_a_late_failure_keeps_the_pairs_that_are_done(
    machinery: Machinery, capsys: pytest.CaptureFixture[str]
) -> None:
    machinery.stop_after = AgainstError("pair 2 of 6, old side: it broke")
    arguments = ["bench", "a:b", "--against", "main", "--processes", "6", "-o", "c.json"]
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(
        "fasttime: error: pair 2 of 6, old side: it broke; the result is about the 1 of 6 pairs "
    )
    assert "9 runs in 1 process" in shown.out
    assert isinstance(fasttime.load("c.json"), SavedComparison)


def test_an_early_failure_is_one_line(
    machinery: Machinery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise AgainstError("git finds no revision 'main'")

    monkeypatch.setattr(measurements, "trees_of", fail)
    assert main(["bench", "a:b", "--against", "main"]) == 2
    assert error_of(capsys) == "git finds no revision 'main'"


def test_a_side_without_holds_loses_nothing(
    machinery: Machinery, capsys: pytest.CaptureFixture[str]
) -> None:
    machinery.changes = [{"held": True}, {}]
    assert main(["bench", "a:b", "--against", "main", "-o", "c.json"]) == 0
    found = fasttime.load("c.json")
    assert isinstance(found, SavedComparison)
    assert found.warnings[0].message.startswith("In 10 of 20 processes the stream was not held")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a:b", "--build", "make"], "--build builds the revision of --against; add"),
        (["torchvision:x", "--against", "main"], "torchvision:x is not code of this repository"),
        (["a:b", "--against", "main", "--processes", "5"], "--against needs at least 6 processes"),
    ],
)
def test_useless_options_are_refused(
    arguments: list[str], message: str, machinery: Machinery, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    assert error_of(capsys).startswith(message)
    assert machinery.asked == []


def test_a_child_checks_where_its_code_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--warmup", "0", "--repeat", "1", "-o", "m.json", "--inside", str(tmp_path)]
    assert main(["bench", "time:perf_counter", *options]) == 2
    assert error_of(capsys).startswith(
        "'time' is imported from Python itself, outside the worktree"
    )
    assert not Path("m.json").exists()

# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime bench`: Ctrl-C keeps the complete runs, on the screen and in the file."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_up import measurement, origin

import fasttime
from fasttime.cli import bench_many, main

MODULE = """
import itertools

runs = itertools.count()

def forward():
    if next(runs) == 7:
        raise KeyboardInterrupt

def other():
    pass
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "interrupted_model", raising=False)
    Path("interrupted_model.py").write_text(MODULE, encoding="utf-8")


def test_complete_runs_are_printed_and_saved(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "interrupted_model:forward", "--warmup", "2", "--repeat", "50"]
    assert main([*command, "-o", "some.json"]) == 130
    loaded = fasttime.load("some.json")
    assert isinstance(loaded, fasttime.Measurement)
    assert (len(loaded), loaded.label, loaded.ended_by) == (
        5,
        "interrupted_model:forward",
        "interrupt",
    )
    shown = capsys.readouterr()
    assert "Measurement of interrupted_model:forward" in shown.out
    assert "saved some.json" in shown.err


def test_nothing_is_saved_without_a_complete_run() -> None:
    command = ["bench", "interrupted_model:forward", "--warmup", "20", "--repeat", "50"]
    assert main([*command, "-o", "some.json"]) == 130
    assert not Path("some.json").exists()


@pytest.mark.parametrize("interrupted", [1, 2])
def test_processes_that_have_ended_are_kept(
    interrupted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    fasttime.measure(sorted, [3, 1], warmup=1, repeat=2)  # looks the environment up, by processes

    def run(command: list[str], **_: Any) -> Any:
        started.append(command)
        if len(started) > interrupted:
            raise KeyboardInterrupt
        found = fasttime.measure(sorted, [3, 1], warmup=1, repeat=20)
        dataclasses.replace(found, origins=(origin(len(started)),)).save(command[-1])
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    assert main(["bench", "a:b", "--processes", "5", "-o", "some.json"]) == 130
    loaded = fasttime.load("some.json")
    assert isinstance(loaded, fasttime.Measurement)
    assert loaded.processes == (19,) * interrupted
    assert loaded.ended_by == "interrupt"


def test_complete_rounds_are_printed_and_saved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = {name: measurement(2e-3 + 1e-5 * np.arange(20), label=name) for name in "ab"}
    kept = fasttime.Comparison(sides, 10, 0.01, 0.95, 1.0)

    def compare(*_: Any, **__: Any) -> None:
        raise fasttime.Interrupted(kept, "2 rounds")

    monkeypatch.setattr(bench_many, "compare", compare)
    targets = ["interrupted_model:forward", "interrupted_model:other"]
    assert main(["bench", *targets, "-o", "some.json"]) == 130
    loaded = fasttime.load("some.json")
    assert isinstance(loaded, fasttime.Comparison)
    assert loaded.rounds == 2
    assert "2 rounds in random order" in capsys.readouterr().out


def test_an_interrupt_in_the_first_process_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", run)
    assert main(["bench", "a:b", "--processes", "5", "-o", "some.json"]) == 130
    assert not Path("some.json").exists()

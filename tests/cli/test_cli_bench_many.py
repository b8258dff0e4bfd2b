# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime bench` with several targets, arguments and setups."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import fasttime
from fasttime import Comparison, Measurement, Sweep
from fasttime.cli import bench, main
from fasttime.cli.arguments import named_values

pytestmark = pytest.mark.usefixtures("clean_start")

MODULE = """
    import torch
    seen = []
    def plain():
        print("chatter")
    def other():
        sum(range(100))
    def add(x):
        seen.append(x.clone())
        x.add_(1)
    def fresh(n=3):
        return (torch.zeros(n),)
    def takes(n, dtype=torch.float32, *, scale=1):
        seen.append((n, dtype))
        return torch.ones(n, dtype=dtype) * scale
    def backwards(dtype, n):
        seen.append((n, dtype))
    def three():
        return 3
    def product():
        return torch.ones(2, 2) @ torch.ones(2, 2)
    def size(n):
        return 4 * n
    def fails(n):
        raise MemoryError("too large")
    def stops(n):
        if n == 2:
            raise KeyboardInterrupt
"""


@pytest.fixture(autouse=True)
def ops(write: Callable[..., str]) -> str:
    return write(MODULE, "many_ops.py")


def seen() -> list[Any]:
    import many_ops  # type: ignore[import-not-found]

    found: list[Any] = many_ops.seen
    return found


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.removeprefix("fasttime: error: ").rstrip()


def test_several_targets_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "many_ops:plain", "many_ops:other", "--budget", "0.05", "--json"]
    assert main([*command, "-o", "c.json", "--csv", "c.csv"]) == 0
    loaded = fasttime.load("c.json")
    assert isinstance(loaded, Comparison)
    assert list(loaded.measurements) == ["many_ops:plain", "many_ops:other"]
    shown = capsys.readouterr()
    assert json.loads(shown.out)["format"] == "fasttime comparison"
    assert "saved c.json" in shown.err
    rows = list(csv.DictReader(Path("c.csv").read_text().splitlines()))
    assert [row["candidate"] for row in rows] == ["many_ops:plain", "many_ops:other"]


def test_arguments_are_swept() -> None:
    command = ["bench", "many_ops:takes", "--arg", "n=2,4", "--arg", "dtype=float16,int32"]
    assert main([*command, "--budget", "0.02", "-o", "s.json", "--csv", "s.csv"]) == 0
    loaded = fasttime.load("s.json")
    assert isinstance(loaded, Sweep)
    assert loaded.axes == {"n": (2, 4), "dtype": ("float16", "int32")}
    assert all(point.timed for point in loaded)
    both = (torch.float16, torch.int32)
    assert list(dict.fromkeys(seen())) == [(n, dtype) for n in (2, 4) for dtype in both]
    assert len(list(csv.DictReader(Path("s.csv").read_text().splitlines()))) == 4


def test_arguments_go_by_name() -> None:
    command = ["bench", "many_ops:backwards", "--arg", "n=2", "--arg", "dtype=float16"]
    assert main([*command, "--budget", "0.02"]) == 0
    assert set(seen()) == {(2, torch.float16)}


def test_several_targets_take_turns_at_each_point() -> None:
    command = ["bench", "many_ops:takes", "many_ops:fails", "--arg", "n=2", "--budget", "0.02"]
    assert main([*command, "-o", "s.json"]) == 1
    loaded = fasttime.load("s.json")
    assert isinstance(loaded, Sweep)
    assert loaded[2].error == "MemoryError: too large"


def test_an_interrupted_sweep_keeps_its_points(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "many_ops:stops", "--arg", "n=1,2,3", "--budget", "0.02"]
    assert main([*command, "-o", "s.json"]) == 130
    loaded = fasttime.load("s.json")
    assert isinstance(loaded, Sweep)
    assert [point.values["n"] for point in loaded] == [1]
    assert "1 of 3 points" in " ".join(capsys.readouterr().out.split())


def test_a_complete_file_is_not_timed_again(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "many_ops:takes", "--arg", "n=2", "--budget", "0.02", "-o", "s.json"]
    assert main(command) == 0
    before = len(seen())
    assert main(command) == 0
    assert len(seen()) == before
    assert "has all points already; delete it" in capsys.readouterr().err


def test_setup_makes_fresh_arguments() -> None:
    command = ["bench", "many_ops:add", "--setup", "many_ops:fresh", "--precision", "5%"]
    assert main([*command, "--budget", "0.02", "-o", "m.json"]) == 0
    loaded = fasttime.load("m.json")
    assert isinstance(loaded, Measurement)
    assert loaded.has_setup
    assert not any(x.any() for x in seen())


def test_work_of_a_call_gives_rates() -> None:
    work = ["--bytes", "8e6", "--items", "many_ops:three", "--flops", "auto"]
    command = ["bench", "many_ops:product", "--budget", "0.02", *work, "-o", "m.json"]
    assert main(command) == 0
    loaded = fasttime.load("m.json")
    assert isinstance(loaded, Measurement)
    assert dict(loaded.work) == {"bytes": 8e6, "flops": 16.0, "items": 3.0}


def test_work_of_a_sweep_gets_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "many_ops:takes", "--arg", "n=2,4", "--budget", "0.02", "-o", "s.json"]
    assert main([*command, "--bytes", "many_ops:size"]) == 0
    loaded = fasttime.load("s.json")
    assert isinstance(loaded, Sweep)
    assert [dict(point.work) for point in loaded] == [{"bytes": 8.0}, {"bytes": 16.0}]
    assert f"bytes per second\n{loaded.table('bytes')}\n" in capsys.readouterr().out


def test_candidates_have_rates() -> None:
    command = ["bench", "many_ops:plain", "many_ops:other", "--budget", "0.05"]
    assert main([*command, "--items", "5", "-o", "c.json"]) == 0
    loaded = fasttime.load("c.json")
    assert isinstance(loaded, Comparison)
    assert [dict(one.work) for one in loaded.measurements.values()] == [{"items": 5.0}] * 2


@pytest.mark.parametrize("amount", ["-3", "many", "inf"])
def test_impossible_work_is_bad_usage(amount: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "many_ops:plain", f"--bytes={amount}"])
    assert exit_.value.code == 2
    assert "must be a number above 0, such as 8e6, or module:callable" in capsys.readouterr().err


def test_setup_gets_the_values_of_a_sweep() -> None:
    command = ["bench", "many_ops:add", "--setup", "many_ops:fresh", "--arg", "n=5,7"]
    assert main([*command, "--budget", "0.02"]) == 0
    assert {len(x) for x in seen()} == {5, 7}


def test_precision_and_setup_reach_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def in_processes(arguments: list[str], count: int) -> tuple[Measurement, int]:
        asked.append(arguments)
        return fasttime.measure(list, warmup=0, repeat=12), 0

    monkeypatch.setattr(bench, "measure_in_processes", in_processes)
    command = ["bench", "many_ops:add", "--setup", "many_ops:fresh", "--precision", "2%"]
    assert main([*command, "--bytes", "8e6", "--processes", "3"]) == 0
    assert asked == [
        ["many_ops:add", "--setup", "many_ops:fresh", "--precision", "0.02", "--bytes", "8000000.0"]
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("many_ops:plain many_ops:plain", "many_ops:plain is named twice"),
        ("many_ops:plain many_ops:other --repeat 5", "leave out --repeat or several targets"),
        ("many_ops:takes --arg n=2 --against HEAD", "leave out --against or --arg"),
        ("many_ops:takes --arg m=2", "many_ops:takes is called with m, but: missing a required"),
        ("many_ops:takes --arg n=2 --arg n=3", "an --arg is given twice"),
        ("many_ops:takes --arg n=2,2", "axis 'n' has a value twice"),
        ("many_ops:takes", "pass arguments with --arg or --setup"),
        ("many_ops:add --setup many_ops:nothing", "has no 'nothing'"),
        ("torchvision:resnet18 --arg n=1", "--arg and --setup are for callables"),
        ("many_ops:add --setup many_ops:fresh --method naive", "use method='event' or 'sync'"),
    ],
)
def test_arguments_that_cannot_be_right(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments.split()]) == 2
    assert message in error_of(capsys)


def test_values_are_read_as_what_they_are() -> None:
    name, values = named_values("x=1, 2.5,true,bfloat16,fast")
    assert (name, values) == ("x", (1, 2.5, True, torch.bfloat16, "fast"))


@pytest.mark.parametrize("text", ["n", "n=", "n=1,,2", "=3", "a b=1"])
def test_a_bad_argument_is_bad_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "many_ops:takes", "--arg", text])
    assert exit_.value.code == 2
    assert "--arg" in capsys.readouterr().err

# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime compare`: files and exit codes, with a made-up comparison."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fasttime
from fasttime import Measurement, loading
from fasttime.cli import main
from fasttime.environment.differences import EnvironmentDifference

differences: list[EnvironmentDifference] = []  # between the environments of the two files


class Comparison:
    """A comparison whose new measurement is proven to be slower by 8 %."""

    def __init__(self, old: Measurement, new: Measurement, margin: float) -> None:
        self.margin = margin
        self.text = f"{new.label} against {old.label}"
        self.other_machine = differences

    def exit_code(self, fail_above: float, *, allow_other_machine: bool) -> int:
        assert allow_other_machine  # the command itself says why it refuses
        return int(fail_above < 0.08)

    def __str__(self) -> str:
        return self.text


def made_up(label: str) -> Measurement:
    times = np.array([1e-3, 2e-3])
    return Measurement(times, times, times, 1.0, "event", label, "cpu", warmup=2, repeat=4)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("old.json", "new.json"):
        Path(name).touch()
    monkeypatch.setattr(loading, "load", lambda path: made_up(str(path)))
    monkeypatch.setattr("fasttime.cli.compare.compare_saved", Comparison)


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err.removeprefix("fasttime: error: ").rstrip()


def test_the_comparison_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "old.json", "new.json"]) == 0
    assert capsys.readouterr() == ("new.json against old.json\n", "")


@pytest.mark.parametrize(("above", "code"), [("5%", 1), ("0.05", 1), ("10%", 0), ("0", 1)])
def test_a_proven_regression_exits_with_1(above: str, code: int) -> None:
    assert main(["compare", "old.json", "new.json", "--fail-above", above]) == code


def test_the_outcome_of_the_limit_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", "old.json", "new.json", "--fail-above", "5%"])
    said = "fasttime: a slowdown of more than 5 % is proven: exit code 1\n"
    assert capsys.readouterr() == ("new.json against old.json\n", said)
    main(["compare", "old.json", "new.json", "--fail-above", "10%"])
    said = "fasttime: a slowdown of more than 10 % is not proven: exit code 0\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("limit", [[], ["--fail-above", "5%"]])
def test_another_machine_exits_with_4(
    limit: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(globals(), "differences", [EnvironmentDifference("cpu", "A", "B")])
    assert main(["compare", "old.json", "new.json", *limit]) == 4
    said = (
        "fasttime: not comparable: cpu was 'A', is 'B'. Measure both on one machine, or add "
        "--allow-other-machine: exit code 4\n"
    )
    assert capsys.readouterr() == ("new.json against old.json\n", said)


def test_another_machine_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "differences", [EnvironmentDifference("cpu", "A", "B")])
    allowed = ["compare", "old.json", "new.json", "--allow-other-machine"]
    assert main(allowed) == 0
    assert main([*allowed, "--fail-above", "5%"]) == 1


def test_a_crash_is_not_a_regression(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(old: Measurement, new: Measurement, margin: float) -> None:
        raise ZeroDivisionError("somewhere inside")

    monkeypatch.setattr("fasttime.cli.compare.compare_saved", crash)
    assert main(["compare", "old.json", "new.json", "--fail-above", "5%"]) == 3
    assert capsys.readouterr().err.endswith("\nZeroDivisionError: somewhere inside\n")


def test_without_a_limit_a_regression_passes() -> None:
    assert main(["compare", "old.json", "new.json"]) == 0


def test_a_bad_limit_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["compare", "old.json", "new.json", "--fail-above", "5"])
    assert exit_.value.code == 2
    assert "got '5': write 5% or a fraction below 1" in capsys.readouterr().err


def test_a_missing_file_brings_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "old.json", "nwe.json"]) == 2
    assert error_of(capsys).startswith("there is no file nwe.json; did you mean new.json")


def test_a_pipe_is_read_like_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()  # use the real functions
    made_up("of a pipe").save(tmp_path / "saved.json")
    text = (tmp_path / "saved.json").read_bytes()
    ends = [os.pipe() for _ in range(2)]
    for _, writing in ends:
        assert os.write(writing, text) == len(text)  # less than a pipe holds
        os.close(writing)
    try:
        assert main(["compare", *(f"/dev/fd/{reading}" for reading, _ in ends)]) == 0
    finally:
        for reading, _ in ends:
            os.close(reading)
    assert "of a pipe" in capsys.readouterr().out


def test_a_file_given_twice_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("link.json").symlink_to("new.json")
    for old, new in (("new.json", "new.json"), ("new.json", "link.json")):
        assert main(["compare", old, new]) == 2
        assert error_of(capsys) == f"{old} and {new} are the same file; name two files"


def test_a_file_without_a_measurement_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(path: Path) -> Any:
        raise ValueError(f"{path} was not saved by fasttime")

    monkeypatch.setattr(loading, "load", load)
    assert main(["compare", "old.json", "new.json"]) == 2
    assert error_of(capsys) == "old.json was not saved by fasttime"


def test_an_unreadable_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(loading, "load", load)
    assert main(["compare", "old.json", "new.json"]) == 2
    assert error_of(capsys) == "cannot read old.json: Permission denied"


def test_a_saved_comparison_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loading, "load", lambda path: Comparison(made_up("a"), made_up("b"), 0.01))
    assert main(["compare", "old.json", "new.json"]) == 2
    assert error_of(capsys) == (
        "old.json holds a Comparison; compare takes measurements, reports and folders of reports"
    )


def test_incomparable_measurements_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(old: Measurement, new: Measurement, margin: float) -> None:
        raise ValueError("their methods differ")

    monkeypatch.setattr("fasttime.cli.compare.compare_saved", refuse)
    assert main(["compare", "old.json", "new.json"]) == 2
    assert error_of(capsys) == "their methods differ"


def test_the_margin_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    margins: list[float] = []

    def compare(old: Measurement, new: Measurement, margin: float) -> Comparison:
        margins.append(margin)
        return Comparison(old, new, margin)

    monkeypatch.setattr("fasttime.cli.compare.compare_saved", compare)
    assert main(["compare", "old.json", "new.json", "--margin", "3%"]) == 0
    assert main(["compare", "old.json", "new.json"]) == 0
    assert margins == [0.03, 0.01]


def test_the_comparison_is_printed_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fasttime.cli.compare.compare_saved", fasttime.compare_saved)
    assert main(["compare", "old.json", "new.json", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["format"] == "fasttime saved comparison"
    assert shown["new"]["label"] == "new.json"


def test_a_margin_of_zero_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fasttime.cli.compare.compare_saved", fasttime.compare_saved)
    assert main(["compare", "old.json", "new.json", "--margin", "0"]) == 2
    assert "margin must lie between 0 and 1" in error_of(capsys)

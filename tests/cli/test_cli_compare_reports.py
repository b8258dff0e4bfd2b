# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime compare` with reports and folders of reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import measurement
from made_up_report import ENVIRONMENT, report, site

from fasttime import ReportComparison
from fasttime.cli import main

LIMIT = ("--fail-above", "5%")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(folder: str, *decode_ms: float, **environment: Any) -> str:
    """Save one report per time of decoding, each of a process of its own."""
    Path(folder).mkdir()
    for number, ms in enumerate(decode_ms):
        known = {"host_name": "host", "process_id": number, **environment}
        one = report(
            site("request", site("decode", device=ms / 1e3), device=20e-3),
            known_environment=replace(ENVIRONMENT, **known),
        )
        one.save(f"{folder}/{number}.json")
    return folder


def sides(*new_ms: float, **environment: Any) -> tuple[str, str]:
    return save("monday", 2.0, 2.02, 1.98), save("tuesday", *new_ms, **environment)


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err.removeprefix("fasttime: error: ").rstrip()


def test_folders_of_reports_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *sides(2.4, 2.42, 2.38)]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("3 reports against 3 reports, new against old\n")
    (row,) = (line for line in shown.out.splitlines() if line.startswith("request/decode"))
    assert row.endswith("slower")
    assert shown.err == ""


def test_a_proven_slowdown_names_the_site(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *sides(2.4, 2.42, 2.38), *LIMIT]) == 1
    assert capsys.readouterr().err == (
        "fasttime: a slowdown of more than 5 % is proven at request/decode: exit code 1\n"
    )


def test_noise_is_no_slowdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *sides(2.4, 2.0, 2.9), *LIMIT]) == 0
    assert "more than 5 % is not proven: exit code 0" in capsys.readouterr().err


def test_a_faster_site_passes() -> None:
    assert main(["compare", *sides(1.6, 1.62, 1.58), *LIMIT]) == 0


@pytest.mark.parametrize(("limit", "code"), [("2%", 1), ("5%", 0)])
def test_a_limit_below_the_margin_counts(limit: str, code: int) -> None:
    new = [2.1 * ms / 2.0 for ms in (2.0, 2.001, 1.999)]
    save("old", 2.0, 2.001, 1.999)
    assert main(["compare", "old", save("new", *new), "--fail-above", limit]) == code


def test_single_reports_prove_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = save("old", 2.0), save("new", 9.0)
    assert main(["compare", f"{old}/0.json", f"{new}/0.json", *LIMIT]) == 0
    assert "fewer than 3 reports per side" in capsys.readouterr().out


@pytest.mark.parametrize("other", [{"gpu": "Other GPU"}, {"torch": "2.0.0"}, {"cpu_count": 2}])
def test_another_machine_exits_with_4(
    other: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    given = sides(2.4, 2.42, 2.38, **other)
    assert main(["compare", *given]) == 4
    shown = capsys.readouterr()
    assert shown.err.startswith(f"fasttime: not comparable: {next(iter(other))} was ")
    assert "request/decode" in shown.out
    assert main(["compare", *given, "--allow-other-machine"]) == 0
    assert main(["compare", *given, "--allow-other-machine", *LIMIT]) == 1


def test_a_new_driver_is_only_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *sides(2.0, 2.0, 2.0, driver="590.1")]) == 0
    assert "driver was '580.1', is '590.1'" in " ".join(capsys.readouterr().out.split())


def test_mixed_kinds_are_one_error(capsys: pytest.CaptureFixture[str]) -> None:
    measurement([1.0, 2.0]).save("measured.json")
    assert main(["compare", "measured.json", save("tuesday", 2.0, 2.0)]) == 2
    assert error_of(capsys) == (
        "measured.json holds a measurement and tuesday holds reports; compare measurements with "
        "measurements, and reports with reports"
    )
    assert main(["compare", "tuesday/0.json", "measured.json"]) == 2
    assert "tuesday/0.json holds a report and measured.json" in error_of(capsys)


def test_a_folder_holds_only_reports(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = sides(2.0)
    measurement([1.0, 2.0]).save("tuesday/1.json")
    assert main(["compare", old, new]) == 2
    assert error_of(capsys).startswith("tuesday/1.json holds a measurement, but a folder may hold")


def test_an_empty_folder_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = sides()
    Path(new, "notes.txt").touch()
    assert main(["compare", old, new]) == 2
    assert error_of(capsys) == (
        "the folder tuesday has no .json files; name a folder of saved reports"
    )


def test_other_files_of_a_folder_do_not_count() -> None:
    old, new = sides(2.0, 2.0, 2.0)
    for name in ("notes.txt", ".hidden.json"):
        Path(new, name).write_text("no report")
    assert main(["compare", old, new]) == 0


def test_a_report_on_both_sides_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    old, _ = sides(2.0)
    assert main(["compare", old, "monday/1.json"]) == 2
    assert error_of(capsys) == "monday/1.json and monday/1.json are the same file; name two files"


def test_reports_that_share_scopes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        Path("day").mkdir(exist_ok=True)
        report(site("a"), interval="one recorder").save(f"day/{number}.json")
    assert main(["compare", "day", save("new", 2.0)]) == 2
    assert "would count twice" in error_of(capsys)


def test_a_cut_file_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = sides(2.0, 2.0)
    Path(new, "1.json").write_text("{")
    assert main(["compare", old, new]) == 2
    assert "tuesday/1.json" in error_of(capsys)


def test_a_bug_is_not_a_slowdown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*sides: object, **options: object) -> ReportComparison:
        raise ZeroDivisionError("somewhere inside")

    monkeypatch.setattr("fasttime.cli.compare.compare_reports", crash)
    assert main(["compare", *sides(9.0, 9.0, 9.0), *LIMIT]) == 3

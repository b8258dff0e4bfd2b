# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime show``: any saved result, as text, HTML, Markdown or CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from made_up import measurement
from made_up_report import training

from fasttime import Recorder, cli


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    training().save("report.json")
    measurement([1.0, 2.0, 3.0], label="decode").save("measured.json")
    recorder = Recorder()
    with recorder.record_timeline() as timeline, recorder.scope("step"):
        pass
    timeline.save("timeline.json")
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["show", *arguments]) == 0
    return capsys.readouterr().out


def test_a_result_is_printed(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "layer_0" in shown(capsys, "report.json")
    assert "Measurement of decode" in shown(capsys, "measured.json")
    assert "step" in shown(capsys, "timeline.json")


@pytest.mark.parametrize("name", ["report.json", "measured.json", "timeline.json"])
def test_a_page_is_written(saved: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert cli.main(["show", name, "--html", "page.html"]) == 0
    assert capsys.readouterr().err == "fasttime: saved page.html\n"
    assert (saved / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_markdown_is_printed(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "| `step/forward/layer_0` |" in shown(capsys, "report.json", "--markdown")
    assert "| `median` | 2.000 s" in shown(capsys, "measured.json", "--markdown")


def test_csv_is_printed(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(shown(capsys, "measured.json", "--csv").splitlines()))
    assert [row["time"] for row in rows] == ["1.0", "2.0", "3.0"]
    paths = [r["path"] for r in csv.DictReader(shown(capsys, "report.json", "--csv").splitlines())]
    assert paths == [site.path for site in training().walk()]


def test_what_cannot_be_shown_is_one_sentence(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["show", "reprot.json"]) == 2
    assert "there is no file reprot.json; did you mean report.json?" in capsys.readouterr().err
    assert cli.main(["show", "timeline.json", "--markdown"]) == 2
    assert "the suffix of a timeline names its format" in capsys.readouterr().err

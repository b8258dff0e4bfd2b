# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime merge`: reports, measurements and timelines of several processes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from made_up import measurement
from made_up_modules import network, training_steps
from made_up_report import report, site
from made_up_timeline import steps

import fasttime
from fasttime import Measurement, RankTable, Timeline
from fasttime.cli import main


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err.removeprefix("fasttime: error: ").rstrip()


def save_reports(*names: str, slow: int = 1) -> list[str]:
    for number, name in enumerate(names):
        report(site("step", device=50e-3 if number == slow else 4e-3)).save(name)
    return list(names)


def loaded(path: str) -> RankTable:
    table = fasttime.load(path)
    assert isinstance(table, RankTable)
    return table


# --- ranks ---


def test_reports_become_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    files = save_reports("r.rank0.json", "r.rank1.json", "r.rank2.json")
    assert main(["merge", *files, "-o", "ranks.json"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("3 ranks: mean device time per call\n")
    assert "Rank 1 is slowest: 50.00 ms per call in step." in shown.out
    assert shown.err == "fasttime: saved ranks.json\n"
    assert loaded("ranks.json")["step"].slowest == 1


def test_ranks_come_from_the_names() -> None:
    files = save_reports("report-rank10.json", "report-rank2.json", slow=1)
    assert main(["merge", *files, "-o", "ranks.json"]) == 0
    table = loaded("ranks.json")
    assert table.ranks == (2, 10)
    assert table["step"].slowest == 2
    assert table.missing == (0, 1, 3, 4, 5, 6, 7, 8, 9)
    assert table.world_size == 11
    assert "lacks ranks 0-1, 3-9, because no file is from" in table.warnings[0].message


def test_without_ranks_in_names_the_order_counts() -> None:
    files = save_reports("b.json", "a.json", "rank7.json")
    assert main(["merge", *files, "-o", "ranks.json"]) == 0
    assert loaded("ranks.json")["step"].slowest == 1


def test_two_files_of_one_rank_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", *save_reports("a.rank1.json", "b.rank1.json")]) == 2
    assert error_of(capsys) == "a.rank1.json and b.rank1.json are both of rank 1; name one of them"


@pytest.mark.parametrize("make", [network, training_steps])
def test_tables_of_handles_become_a_table(make: object, capsys: pytest.CaptureFixture[str]) -> None:
    for rank in range(2):
        make().save(f"t.rank{rank}.json")  # type: ignore[operator]
    assert main(["merge", "t.rank0.json", "t.rank1.json"]) == 0
    assert "No rank stands out" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".html", ".csv", ".md", ".txt"])
def test_a_table_is_saved_for_readers(suffix: str) -> None:
    assert main(["merge", *save_reports("a.json", "b.json"), "-o", f"ranks{suffix}"]) == 0
    assert "step" in Path(f"ranks{suffix}").read_text()


def test_another_suffix_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", *save_reports("a.json", "b.json"), "-o", "ranks.xlsx"]) == 2
    assert "one of .json, .html" in capsys.readouterr().err


# --- measurements ---


def test_measurements_merge_into_one(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        times = np.linspace(1e-3, 2e-3, 20) + number * 1e-6
        measurement(times, label="model").save(f"{number}.json")
    assert main(["merge", "0.json", "1.json", "-o", "both.json"]) == 0
    both = fasttime.load("both.json")
    assert isinstance(both, Measurement)
    assert both.processes == (20, 20)
    assert "model" in capsys.readouterr().out


def test_equal_measurements_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("0.json", "1.json"):
        measurement(np.linspace(1e-3, 2e-3, 20), label="model").save(name)
    assert main(["merge", "0.json", "1.json"]) == 2
    assert "are the same one" in error_of(capsys)


# --- timelines ---


def test_timelines_become_one_trace(capsys: pytest.CaptureFixture[str]) -> None:
    steps(2).save("t.rank0.json")
    steps(3).save("t.rank1.json.gz")
    assert main(["merge", "t.rank0.json", "t.rank1.json.gz", "-o", "trace.json"]) == 0
    assert capsys.readouterr().err == "fasttime: saved trace.json\n"
    events = json.loads(Path("trace.json").read_text())["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert names == {1: "rank 0", 2: "rank 1"}
    for pid, count in ((1, 6), (2, 9)):
        of_rank = [event for event in events if event["pid"] == pid and event["ph"] == "X"]
        assert sum(event["cat"] == "host" for event in of_rank) == count
        assert sum(event["cat"] == "device" for event in of_rank) == count


def test_a_trace_may_be_zipped() -> None:
    for rank in range(2):
        steps(1).save(f"t.rank{rank}.json")
    assert main(["merge", "t.rank0.json", "t.rank1.json", "-o", "trace.json.gz"]) == 0
    with gzip.open("trace.json.gz", "rt") as file:
        assert len(json.load(file)["traceEvents"]) > 6


def test_timelines_of_other_clocks_begin_at_zero(capsys: pytest.CaptureFixture[str]) -> None:
    first = steps(1)
    later = [
        span._replace(
            **{
                name: getattr(span, name) + 1000
                for name in ("host_begin", "host_end", "device_begin", "device_end")
            }
        )
        for span in first.spans
    ]
    first.save("rank0.json")
    Timeline.from_spans(later).save("rank1.json")
    assert main(["merge", "rank0.json", "rank1.json", "-o", "trace.json"]) == 0
    assert "do not overlap in time, so each begins at 0" in capsys.readouterr().err
    events = json.loads(Path("trace.json").read_text())["traceEvents"]
    assert max(event["ts"] for event in events if "ts" in event) < 1e6


def test_timelines_need_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    for rank in range(2):
        steps(1).save(f"t.rank{rank}.json")
    assert main(["merge", "t.rank0.json", "t.rank1.json"]) == 2
    assert "name its file: -o trace.json" in error_of(capsys)
    assert main(["merge", "t.rank0.json", "t.rank1.json", "-o", "trace.csv"]) == 2
    assert error_of(capsys) == "a trace ends in .json or .json.gz, got trace.csv"


# --- bad input ---


def test_kinds_are_not_mixed(capsys: pytest.CaptureFixture[str]) -> None:
    save_reports("report.json")
    steps(1).save("trace.json")
    assert main(["merge", "report.json", "trace.json"]) == 2
    assert "report.json holds a Report, trace.json holds a Timeline" in error_of(capsys)


def test_other_results_cannot_be_merged(capsys: pytest.CaptureFixture[str]) -> None:
    main(["merge", *save_reports("a.json", "b.json"), "-o", "ranks.json"])
    Path("copy.json").write_text(Path("ranks.json").read_text())
    capsys.readouterr()
    assert main(["merge", "ranks.json", "copy.json"]) == 2
    assert "ranks.json holds a RankTable, which cannot be merged" in error_of(capsys)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.json"], "merge takes two files or more, got one"),
        (["a.json", "a.json"], "are the same file"),
        (["a.json", "c.json"], "there is no file c.json; did you mean b.json"),
        (["a.json", "notes.json"], "notes.json is not JSON"),
    ],
)
def test_wrong_files_are_refused(
    files: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_reports("a.json", "b.json")
    Path("notes.json").write_text("buy milk")
    assert main(["merge", *files]) == 2
    assert message in error_of(capsys)

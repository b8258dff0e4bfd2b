# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime run`: its files, with a made-up report and a made-up timeline."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import fasttime
from fasttime.cli import main
from fasttime.reports.report import Report

pytestmark = pytest.mark.usefixtures("clean_start")

Write = Callable[..., str]
STEP = """
    import fasttime
    with fasttime.scope("step"):
        pass
"""


class Recording:
    """A made-up recording, and the timeline that it yields."""

    is_recording = True
    dropped = 0

    def __init__(self) -> None:
        self.most_scopes: list[int | None] = []
        self.begun: list[str] = []
        self.saved: list[str] = []

    def start(self) -> None:
        self.begun.append("start")

    def start_in_background(self) -> None:
        self.begun.append("background")

    def stop(self) -> Recording:
        return self

    def save(self, path: str) -> None:
        self.saved.append(os.path.relpath(path))

    def __len__(self) -> int:
        return 1


@pytest.fixture
def timeline(monkeypatch: pytest.MonkeyPatch) -> Recording:
    made = Recording()

    def record_timeline(most_scopes: int | None = None) -> Recording:
        made.most_scopes.append(most_scopes)
        return made

    monkeypatch.setattr(fasttime, "record_timeline", record_timeline)
    return made


@pytest.fixture
def saved_reports(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The timelines that reports were saved with, by path."""
    saved: dict[str, object] = {}

    def save(report: Report, path: str, *, timeline: object = None) -> None:
        saved[os.path.relpath(path)] = timeline

    monkeypatch.setattr(Report, "save", save)
    return saved


@pytest.fixture
def matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)


def test_timeline_and_reports_are_saved(
    write: Write,
    timeline: Recording,
    saved_reports: dict[str, object],
    matplotlib: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--trace", "t.json", "--html", "r.html", "--json", "r.json"]
    assert main(["run", *options, write(STEP)]) == 0
    assert timeline.saved == ["t.json"]
    assert timeline.begun == ["background"]
    assert saved_reports == {"r.html": timeline, "r.json": None}
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith(
        "fasttime: saved t.json\nfasttime: saved r.html\nfasttime: saved r.json\n"
    )


def test_files_are_saved_after_an_exception(
    write: Write, timeline: Recording, saved_reports: dict[str, object]
) -> None:
    name = write("1 / 0")
    assert main(["run", "--trace", "t.json", "--json", "r.json", name]) == 1
    assert (timeline.saved, [*saved_reports]) == (["t.json"], ["r.json"])


@pytest.mark.parametrize(("script", "code"), [("pass", 1), ("raise SystemExit(7)", 7)])
def test_a_failed_file_does_not_hide_others(
    script: str,
    code: int,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def save(report: Report, path: str, **_: object) -> None:
        if os.path.relpath(path) == "r.html":
            raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(Report, "save", save, raising=False)
    assert main(["run", "--html", "r.html", "--json", "r.json", write(script)]) == code
    shown = capsys.readouterr().err
    assert "fasttime: error: could not save r.html: No space left on device\n" in shown
    assert shown.endswith("fasttime: saved r.json\n")


def test_the_same_file_twice_is_refused(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--trace", "a.json", "--json", str(tmp_path / "a.json")]
    assert main(["run", *files, write("print('it ran')")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: --trace and --json both name" in shown.err
    assert shown.err.endswith("a.json; choose two different files\n")


def test_a_cut_trace_says_how_much_it_holds(
    write: Write, timeline: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    timeline.dropped = 1_999
    assert main(["run", "--trace", "t.json", write(STEP)]) == 0
    assert capsys.readouterr().err.endswith(
        "fasttime: saved t.json\nfasttime: t.json holds the first 1 of 2,000 scopes\n"
    )


def test_a_whole_trace_prints_no_message(
    write: Write, timeline: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--trace", "t.json", write(STEP)]) == 0
    assert capsys.readouterr().err.endswith("fasttime: saved t.json\n")


def test_a_picture_shows_the_last_scopes(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("fasttime.timelines.picture.figure._MAX_SPANS", 60)
    code = """
        import fasttime
        for i in range(61):
            with fasttime.scope(f"step {i}"):
                pass
    """
    assert main(["run", "--trace", "many.svg", write(code)]) == 0
    assert "<svg" in Path("many.svg").read_text(encoding="utf-8")
    assert capsys.readouterr().err.endswith(
        "fasttime: saved many.svg\nfasttime: many.svg shows only the last scopes: a picture has no "
        "room for all. Scopes 14 to 61 of 61, in the order in which they began.\n"
    )


def test_a_picture_of_nothing_is_an_error(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["run", "--trace", "none.svg", write("pass")]) == 1
    assert "error: could not save none.svg: there is nothing to draw" in capsys.readouterr().err
    assert not Path("none.svg").exists()


def test_the_timeline_of_a_page_is_bounded(
    write: Write, timeline: Recording, saved_reports: dict[str, object], matplotlib: None
) -> None:
    assert main(["run", "--html", "r.html", write(STEP)]) == 0
    assert (timeline.most_scopes, timeline.begun) == ([2000], ["background"])
    assert saved_reports == {"r.html": timeline}


def test_a_page_without_matplotlib_has_no_picture(
    write: Write,
    timeline: Recording,
    saved_reports: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["run", "--html", "r.html", write(STEP)]) == 0
    assert (timeline.begun, saved_reports) == ([], {"r.html": None})
    said = "r.html has no picture of the timeline; install matplotlib: pip install 'fasttime[plot]'"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("script", "pictures"), [(STEP, 1), ("pass", 0)])
def test_a_page_shows_the_scopes(write: Write, script: str, pictures: int) -> None:
    pytest.importorskip("matplotlib")
    assert main(["run", "--html", "r.html", write(script)]) == 0
    assert Path("r.html").read_text(encoding="utf-8").count("<picture>") == pictures


def test_the_script_s_timeline_replaces_the_page_s(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    code = """
        import fasttime
        with fasttime.record_timeline() as timeline, fasttime.scope("step"):
            pass
        raise SystemExit(6 + len(timeline.spans))
    """
    assert main(["run", "--html", "r.html", write(code)]) == 7
    assert "<picture>" not in Path("r.html").read_text(encoding="utf-8")
    assert "because the script recorded its own" in capsys.readouterr().err


@pytest.mark.parametrize(("code", "expected"), [(0, 1), (7, 7)])
def test_the_script_s_timeline_replaces_a_trace(
    code: int, expected: int, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    script = f"""
        import fasttime
        with fasttime.record_timeline() as timeline, fasttime.scope("step"):
            pass
        raise SystemExit({code} if len(timeline) == 1 else 99)
    """
    assert main(["run", "--trace", "t.json", write(script)]) == expected
    assert not Path("t.json").exists()
    assert capsys.readouterr().err.endswith(
        "error: t.json was not saved, because the script recorded its own timeline\n"
    )


def test_a_page_without_ended_scopes_has_no_picture(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    code = """
        import threading
        import fasttime
        thread = threading.Thread(target=fasttime.begin, args=["step"])
        thread.start()
        thread.join()
    """
    assert main(["run", "--html", "r.html", write(code)]) == 0
    assert "<picture>" not in Path("r.html").read_text(encoding="utf-8")
    message = "r.html has no picture of the timeline: there is nothing to draw: no scope has ended"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("goes", ["os.chdir('/')", "os.chdir('gone'); os.rmdir('../gone')"])
def test_a_new_working_folder_does_not_move_files(
    goes: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    assert main(["run", "--json", "r.json", write(f"import os; {goes}")]) == 0
    assert (tmp_path / "r.json").is_file()
    assert "fasttime: saved r.json\n" in capsys.readouterr().err


# --- ranks ---


@pytest.fixture
def rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")


@pytest.mark.usefixtures("rank", "timeline")
@pytest.mark.parametrize("trace", ["a.json", "a.json.gz", "a.b.csv"])
def test_each_rank_writes_files_of_its_own(
    trace: str, write: Write, timeline: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    script = write(STEP)
    assert main(["run", "--trace", trace, "--json", "r.json", script]) == 0
    stem, suffix = ("a.b", ".csv") if trace == "a.b.csv" else ("a", trace[1:])
    assert timeline.saved == [f"{stem}.rank3{suffix}"]
    assert isinstance(fasttime.load("r.rank3.json"), Report)
    assert not Path("r.json").exists()
    shown = capsys.readouterr().err
    title = f"fasttime report, rank 3 of 8, process {os.getpid()}"
    assert f"{title}\n" in shown
    assert "fasttime: saved r.rank3.json\n" in shown


@pytest.mark.usefixtures("rank")
def test_a_page_names_its_rank(write: Write) -> None:
    assert main(["run", "--html", "r.html", write(STEP)]) == 0
    page = Path("r.rank3.html").read_text(encoding="utf-8")
    assert f"<h1>fasttime report, rank 3 of 8, process {os.getpid()}</h1>" in page


@pytest.mark.parametrize(
    "variables", [{}, {"RANK": "0", "WORLD_SIZE": "1"}, {"RANK": "0"}, {"RANK": "x"}]
)
def test_a_single_process_has_no_rank(
    variables: dict[str, str],
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["run", "--json", "r.json", write(STEP)]) == 0
    assert Path("r.json").exists()
    assert "rank" not in capsys.readouterr().err

# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime run`: scripts run as Python runs them, with the report at their end."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from simulated_cuda import run_under_simulation, torch_can_be_simulated

import fasttime
from fasttime.cli import main
from fasttime.reports.report import Report

# As these tests leave the folder in which a relative path leads to it.
PACKAGE = str(Path(fasttime.__file__).resolve().parents[1])
Write = Callable[..., str]
STEP = """
    import fasttime
    with fasttime.scope("step"):
        pass
"""


@pytest.fixture(autouse=True)
def _a_clean_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    fasttime.reset()
    yield
    fasttime.reset()
    fasttime.enable()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a script and return its name; a module of that name is forgotten at the end."""

    def write_(code: str, name: str = "script.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        if path.stem != "__main__":
            monkeypatch.delitem(sys.modules, path.stem, raising=False)
        return name

    return write_


def test_the_report_is_printed_at_the_script_s_end(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write(STEP + "    print('its own words')")]) == 0
    shown = capsys.readouterr()
    assert shown.out == "its own words\n"
    assert shown.err.splitlines()[2].split()[:2] == ["step", "1"]


def test_a_script_runs_as_main_with_its_own_arguments_and_path(
    write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = write("import sys; print(__name__, __file__, sys.argv, sys.path[0])", "inner/s.py")
    assert main(["run", name, "--trace", "-m", "x"]) == 0
    # Absolute, as with Python, so that it is found from every folder.
    path = tmp_path / name
    expected = f"__main__ {path} ['{path}', '--trace', '-m', 'x'] {tmp_path / 'inner'}\n"
    assert capsys.readouterr().out == expected


def test_a_script_that_goes_to_another_folder_still_finds_its_source(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    code = """
        import inspect, os
        os.chdir("/")
        def f(): pass
        print(inspect.getsource(f), end="")
    """
    assert main(["run", write(code)]) == 0
    assert capsys.readouterr().out == "def f(): pass\n"


def test_a_script_s_neighbours_can_be_imported(write: Write) -> None:
    write("VALUE = 7", "inner/neighbour_of_script.py")
    name = write("import neighbour_of_script as n; raise SystemExit(n.VALUE)", "inner/s.py")
    assert main(["run", name]) == 7


def test_what_a_script_defines_belongs_to_main(write: Write) -> None:
    # As pickle and multiprocessing need it.
    code = "import sys\nclass A: pass\nassert sys.modules['__main__'].A is A"
    assert main(["run", write(code)]) == 0


def test_a_module_runs_as_with_python_m(
    write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write("import sys; print(__name__, sys.argv, sys.path[0])", "a_module_to_run.py")
    assert main(["run", "-m", "a_module_to_run", "-v"]) == 0
    file = tmp_path / "a_module_to_run.py"
    assert capsys.readouterr().out == f"__main__ ['{file}', '-v'] {tmp_path}\n"


def test_a_folder_with_a_main_runs(write: Write) -> None:
    write("raise SystemExit(5)", "app/__main__.py")
    assert main(["run", "app"]) == 5


def test_scopes_are_on_even_where_they_were_off(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    fasttime.disable()
    assert main(["run", write(STEP)]) == 0
    assert "\nstep " in capsys.readouterr().err


def test_arguments_and_path_are_afterwards_what_they_were(write: Write) -> None:
    before = list(sys.argv), list(sys.path)
    main(["run", write("import sys; sys.path.append('x'); sys.argv.append('y')")])
    assert (sys.argv, sys.path) == before


@pytest.mark.parametrize(
    ("code", "expected"), [("", 0), ("None", 0), ("0", 0), ("7", 7), ("True", 1)]
)
def test_the_exit_code_is_the_script_s(write: Write, code: str, expected: int) -> None:
    assert main(["run", write(f"raise SystemExit({code})")]) == expected


def test_a_message_to_exit_with_is_printed_and_ends_with_1(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write("import sys; sys.exit('no data')")]) == 1
    assert capsys.readouterr().err.startswith("no data\n")


def test_an_exception_is_shown_as_python_shows_it_and_the_report_follows(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    code = """
        import fasttime
        with fasttime.scope("step"):
            raise ValueError("no")
    """
    assert main(["run", write(code)]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):\n  File ")
    assert "script.py" in shown.splitlines()[1]
    assert "runpy" not in shown
    assert shown.index("ValueError: no") < shown.index("\nstep ")


def test_a_script_s_own_excepthook_is_asked(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    code = """
        import sys
        sys.excepthook = lambda kind, error, trace: print("hooked", error)
        raise ValueError("no")
    """
    assert main(["run", write(code)]) == 1
    assert capsys.readouterr().out == "hooked no\n"


def test_a_syntax_error_is_shown_without_a_frame(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write("def")]) == 1
    shown = capsys.readouterr().err
    assert "SyntaxError" in shown
    assert "Traceback" not in shown


def test_ctrl_c_in_a_script_ends_with_130_and_the_report(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write(STEP + "    raise KeyboardInterrupt")]) == 130
    shown = capsys.readouterr().err
    assert shown.index("KeyboardInterrupt") < shown.index("\nstep ")


def test_after_ctrl_c_the_device_is_not_waited_for_long(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def report(**options: Any) -> Report:
        asked.append(options)
        return fasttime.Recorder().report()

    monkeypatch.setattr(fasttime, "report", report)
    main(["run", write("raise KeyboardInterrupt")])
    main(["run", write("pass")])
    assert asked == [{"wait": True, "timeout": 2.0}, {"wait": True, "timeout": None}]


def test_ctrl_c_while_the_device_is_waited_for_brings_what_is_done(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = fasttime.report

    def report(wait: bool = False, **_: Any) -> Report:
        if wait:
            raise KeyboardInterrupt
        return real()

    monkeypatch.setattr(fasttime, "report", report)
    assert main(["run", write(STEP)]) == 130
    assert "\nstep " in capsys.readouterr().err


def test_a_script_without_scopes_is_told_what_to_add(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write("pass")]) == 0
    shown = capsys.readouterr().err
    assert shown.startswith("fasttime: there is nothing to report: no scope ended in script.py")
    assert 'with fasttime.scope("step"):' in shown


def test_a_script_that_failed_is_not_told_what_to_add(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write("raise SystemExit(3)")]) == 3
    shown = capsys.readouterr().err
    assert "there is nothing to report" in shown
    assert "Add one" not in shown


def test_a_file_named_as_a_module_is_not_run_before_it_is_refused(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-m", write("print('ran')")]) == 2
    assert capsys.readouterr().out == ""


def test_a_pipe_is_refused_as_it_can_be_read_only_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert main(["run", "pipe"]) == 2
    assert "pipe can be read only once" in capsys.readouterr().err


def test_threads_that_outlast_the_script_are_told_of(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    code = """
        import threading
        go_on = threading.Event()
        for name, daemon in [("worker", False), ("helper", True)]:
            threading.Thread(target=go_on.wait, name=name, daemon=daemon).start()
        threading.go_on = go_on
    """
    try:
        assert main(["run", write(textwrap.dedent(STEP) + textwrap.dedent(code))]) == 0
    finally:
        threading.go_on.set()  # type: ignore[attr-defined]
        del threading.go_on  # type: ignore[attr-defined]
    said = capsys.readouterr().err.splitlines()[0]
    assert said.startswith("fasttime: threads of the script still run (worker); what they do")


def test_a_missing_import_of_the_script_s_keeps_its_traceback(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write("import no_such_module_at_all")]) == 1
    assert "import no_such_module_at_all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scirpt.py"], "there is no file scirpt.py; did you mean script.py?"),
        (["empty"], "empty is a folder without a __main__.py; name a file in it"),
        (["-m", "no_such_module"], "cannot run no_such_module: No module named no_such_module"),
        (["-m", "no_such.module"], "cannot run no_such.module: Error while finding module"),
        (["-m", "script.py"], "script.py is a file, not a module; leave out -m: fasttime run"),
        (["-m", "json"], "cannot run json: No module named json.__main__; 'json' is a package"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_line(
    arguments: list[str],
    message: str,
    write: Write,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("pass")
    (tmp_path / "empty").mkdir()
    assert main(["run", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"fasttime: error: {message}")
    assert shown.err.count("\n") == 1


def test_a_script_s_own_use_of_runpy_keeps_its_traceback(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write("import runpy\nrunpy.run_path('no_such.py')")]) == 1
    shown = capsys.readouterr().err
    assert "FileNotFoundError" in shown
    assert "runpy.run_path('no_such.py')" in shown


def test_a_file_that_may_not_be_read_is_told_in_a_line(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write("pass")

    # In place of a refusal, which root would not meet; written in C, it leaves no frame either.
    monkeypatch.setattr("io.open_code", os.listdir)
    assert main(["run", name]) == 2
    assert "fasttime: error: cannot run script.py: [Errno 20]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--html", "a.txt"], "--html: must end in .html"),
        (["--json", "a.html"], "--json: must end in .json"),
        (["--trace", "none/a.json"], "--trace: there is no folder none; make it first"),
        (
            ["--trace", "a.txt"],
            "--trace: must end in .json or .json.gz or .csv or .svg or .png or .pdf",
        ),
    ],
)
def test_a_file_that_could_not_be_saved_is_refused_before_the_script_runs(
    options: list[str], message: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["run", *options, write("print('it ran')")])
    assert exit_.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err


# --- what is saved, by a made-up report and a made-up timeline ---


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


def test_the_timeline_and_the_report_are_saved_where_asked(
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


def test_the_files_are_saved_after_an_exception_as_well(
    write: Write, timeline: Recording, saved_reports: dict[str, object]
) -> None:
    name = write("1 / 0")
    assert main(["run", "--trace", "t.json", "--json", "r.json", name]) == 1
    assert (timeline.saved, [*saved_reports]) == (["t.json"], ["r.json"])


@pytest.mark.parametrize(("script", "code"), [("pass", 1), ("raise SystemExit(7)", 7)])
def test_a_file_that_cannot_be_saved_is_told_and_hides_no_other(
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


def test_two_files_of_one_name_are_refused_before_the_script_runs(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--trace", "a.json", "--json", str(tmp_path / "a.json")]
    assert main(["run", *files, write("print('it ran')")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: --trace and --json both name" in shown.err
    assert shown.err.endswith("a.json; give each a file of its own\n")


def test_a_trace_that_was_cut_says_what_of_how_many_it_holds(
    write: Write, timeline: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    timeline.dropped = 1_999
    assert main(["run", "--trace", "t.json", write(STEP)]) == 0
    assert capsys.readouterr().err.endswith(
        "fasttime: saved t.json\nfasttime: t.json holds the first 1 of 2,000 scopes\n"
    )


def test_a_trace_that_is_whole_says_nothing_of_it(
    write: Write, timeline: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--trace", "t.json", write(STEP)]) == 0
    assert capsys.readouterr().err.endswith("fasttime: saved t.json\n")


def test_a_picture_of_too_many_scopes_shows_the_last_ones(
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
        "fasttime: saved many.svg\nfasttime: many.svg shows the last ones, as all are too many for "
        "a picture. Scopes 14 to 61 of 61, in the order in which "
        "they began.\n"
    )


def test_a_picture_of_nothing_is_an_error(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["run", "--trace", "none.svg", write("pass")]) == 1
    assert "error: could not save none.svg: there is nothing to draw" in capsys.readouterr().err
    assert not Path("none.svg").exists()


def test_a_page_s_picture_is_of_a_bounded_timeline_that_gives_way(
    write: Write, timeline: Recording, saved_reports: dict[str, object], matplotlib: None
) -> None:
    assert main(["run", "--html", "r.html", write(STEP)]) == 0
    assert (timeline.most_scopes, timeline.begun) == ([2000], ["background"])
    assert saved_reports == {"r.html": timeline}


def test_without_matplotlib_a_page_has_no_picture_and_it_is_said_what_it_takes(
    write: Write,
    timeline: Recording,
    saved_reports: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["run", "--html", "r.html", write(STEP)]) == 0
    assert (timeline.begun, saved_reports) == ([], {"r.html": None})
    assert "r.html has no picture of the timeline; it takes: pip install 'fasttime[plot]'" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(("script", "pictures"), [(STEP, 1), ("pass", 0)])
def test_a_page_shows_the_scopes_that_there_are(write: Write, script: str, pictures: int) -> None:
    pytest.importorskip("matplotlib")
    assert main(["run", "--html", "r.html", write(script)]) == 0
    assert Path("r.html").read_text(encoding="utf-8").count("<picture>") == pictures


def test_a_script_s_own_timeline_goes_before_the_page_s(
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
    assert "as the script recorded one of its own" in capsys.readouterr().err


@pytest.mark.parametrize(("code", "expected"), [(0, 1), (7, 7)])
def test_a_script_s_own_timeline_goes_before_a_trace(
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
        "error: t.json was not saved, as the script recorded a timeline of its own\n"
    )


def test_a_page_comes_without_its_picture_where_no_scope_was_ended(
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
    assert (
        "r.html has no picture of the timeline: there is nothing to draw: no scope has ended"
        in (capsys.readouterr().err)
    )


@pytest.mark.parametrize("goes", ["os.chdir('/')", "os.chdir('gone'); os.rmdir('../gone')"])
def test_files_are_saved_where_they_were_asked_for_wherever_the_script_goes(
    goes: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    assert main(["run", "--json", "r.json", write(f"import os; {goes}")]) == 0
    assert (tmp_path / "r.json").is_file()
    assert "fasttime: saved r.json\n" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--", "-x"], ["a", "--", "--json"], ["--"]])
def test_two_dashes_are_the_script_s_own(
    arguments: list[str], write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write("import sys; print(sys.argv[1:])"), *arguments]) == 0
    assert capsys.readouterr().out == f"{arguments}\n"


def test_two_dashes_before_the_script_end_our_options(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--", write("import sys; print(sys.argv[1:])"), "-x"]) == 0
    assert capsys.readouterr().out == "['-x']\n"


@pytest.mark.parametrize(
    "other", ["io.StringIO()", "type('Log', (), {'write': lambda self, text: None})()"]
)
def test_a_script_s_own_streams_do_not_take_the_report(
    other: str,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    code = textwrap.dedent(STEP) + f"import io, sys; sys.stdout = sys.stderr = {other}"
    assert main(["run", write(code)]) == 0
    assert "\nstep " in capsys.readouterr().err


# --- in a process of its own ---


def run(*arguments: str, stdout: Any = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fasttime", "run", *arguments]
    environment = {**os.environ, "PYTHONPATH": PACKAGE}
    environment.pop("PYTHONUNBUFFERED", None)
    return subprocess.run(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )


def test_a_failing_script_checks_as_it_does_under_python(write: Write) -> None:
    name = write("def f():\n    raise ValueError('no')\nprint('out')\nf()\n")
    ours = run(name)
    bare = subprocess.run(
        [sys.executable, name], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ours.returncode, ours.stdout) == (bare.returncode, bare.stdout) == (1, "out\n")
    said = bare.stderr.replace(str(Path.cwd()) + os.sep, "")
    assert ours.stderr.replace(str(Path.cwd()) + os.sep, "").startswith(said)


def test_a_signal_from_the_keyboard_ends_a_script_with_its_report(write: Write) -> None:
    code = STEP + "    import os, signal\n    os.kill(os.getpid(), signal.SIGINT)\n    input()"
    done = run(write(code))
    assert (done.returncode, done.stdout) == (130, "")
    assert "KeyboardInterrupt" in done.stderr
    assert "\nstep " in done.stderr
    assert "\x1b" not in done.stderr


def test_a_forked_child_that_ends_with_the_script_leaves_the_report_to_its_parent(
    write: Write,
) -> None:
    code = """
        import os, sys
        import fasttime
        child = os.fork()
        name = "parent" if child else "child"
        with fasttime.scope(name):
            pass
        if not child:
            sys.exit(5)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = run("--json", "r.json", "--trace", "t.json", write(code))
    assert done.returncode == 5, done.stderr
    assert "child" not in done.stderr
    assert done.stderr.count("saved r.json") == 1
    assert [site["name"] for site in json.loads(Path("r.json").read_text())["sites"]] == ["parent"]


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_the_script_has_closed_costs_no_file(name: str, write: Write) -> None:
    done = run("--json", "r.json", write(f"import sys; sys.{name}.close()"))
    assert (done.returncode, done.stdout) == (0, "")
    assert Path("r.json").is_file()


def test_a_reader_that_has_gone_costs_neither_report_nor_file(write: Write) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = run("--json", "r.json", write(STEP + "    print('unread')"), stdout=pipe)
    assert (done.returncode, "\nstep " in done.stderr) == (141, True)
    assert Path("r.json").is_file()


@pytest.mark.parametrize("how", ["threading.Thread(target=late).start()", "atexit.register(late)"])
def test_what_a_script_leaves_behind_has_its_arguments_and_path(how: str, write: Write) -> None:
    write("VALUE = 7", "inner/late_neighbour.py")
    code = f"""
        import atexit, sys, threading
        def late():
            if how != "atexit":
                threading.main_thread().join()
            import late_neighbour
            print(late_neighbour.VALUE, sys.argv)
        how = "{how.partition(".")[0]}"
        {how}
    """
    done = run(write(code, "inner/s.py"), "-x")
    assert done.stdout == "7 ['inner/s.py', '-x']\n", done.stderr


def test_a_script_s_worker_processes_find_its_functions(write: Write) -> None:
    code = """
        import multiprocessing
        def double(x):
            return 2 * x
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(double, [1, 2]))
    """
    done = run(write(code))
    assert (done.returncode, done.stdout) == (0, "[2, 4]\n"), done.stderr


LATE = """
    import sys, threading
    from concurrent.futures import ThreadPoolExecutor
    import fasttime
    script_is_over = threading.Event()
    def job():
        script_is_over.wait()
        with fasttime.scope("late"):
            pass
"""


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize(
    "how",
    [
        # Called by Python after the script, before it lets a pool's threads end.
        "ThreadPoolExecutor().submit(job); threading._register_atexit(script_is_over.set)",
        "threading.Thread(target=job).start()\n"
        "    over = lambda: (threading.main_thread().join(), script_is_over.set())\n"
        "    threading.Thread(target=over).start()",
    ],
    ids=["pool", "thread"],
)
def test_what_threads_do_after_the_script_s_end_is_reported(
    how: str, code: int, write: Write
) -> None:
    done = run(
        "--json", "r.json", "--trace", "t.json", write(f"{LATE}    {how}\n    sys.exit({code})")
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\nlate ") == 1
    assert [site["name"] for site in json.loads(Path("r.json").read_text())["sites"]] == ["late"]
    assert '"late"' in Path("t.json").read_text()


def test_a_pool_that_has_nothing_to_do_does_not_keep_the_report(write: Write) -> None:
    done = run(write(LATE + "    script_is_over.set(); ThreadPoolExecutor().submit(job).result()"))
    assert (done.returncode, done.stderr.count("\nlate ")) == (0, 1), done.stderr


def test_a_child_forked_at_exit_leaves_the_report_to_its_parent(write: Write) -> None:
    code = (
        LATE
        + """
    import atexit, os
    def fork():
        child = os.fork()
        if child:
            os.waitpid(child, 0)
    def late():
        threading.main_thread().join()
        atexit.register(fork)
        script_is_over.set()
    threading.Thread(target=job).start()
    threading.Thread(target=late).start()
    """
    )
    done = run("--json", "r.json", write(code))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("saved r.json") == 1


@pytest.mark.skipif(not torch_can_be_simulated(), reason="needs torch built for CUDA 13")
def test_the_device_is_waited_for_at_the_end(write: Write, simulated_library: Path) -> None:
    name = write("""
        import torch, fasttime
        from simulated_cuda import Simulated
        torch.cuda.init()
        device = Simulated.preloaded()
        with fasttime.scope("step"):
            device.enqueue(0, 3_000_000)
        device.advance(10_000_000)
    """)
    done = run_under_simulation(
        f"from fasttime.cli import main; raise SystemExit(main(['run', {name!r}]))",
        simulated_library,
        env={"PYTHONPATH": PACKAGE},
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "3.000 ms" in done.stderr


@pytest.mark.skipif(not torch_can_be_simulated(), reason="needs torch built for CUDA 13")
def test_what_ran_on_a_device_is_in_the_trace_the_page_and_the_json(
    write: Write, tmp_path: Path, simulated_library: Path
) -> None:
    pytest.importorskip("matplotlib")
    name = write("""
        import torch, fasttime
        from simulated_cuda import Simulated
        torch.cuda.init()
        device = Simulated.preloaded()
        for _ in range(2):
            with fasttime.scope("step"):
                device.enqueue(0, 3_000_000)
            device.advance(5_000_000)
    """)
    page, data, trace = (str(tmp_path / f"run.{suffix}") for suffix in ("html", "json", "json.gz"))
    words = ["run", "--html", page, "--json", data, "--trace", trace, name]
    done = run_under_simulation(
        f"from fasttime.cli import main; raise SystemExit(main({words!r}))",
        simulated_library,
        env={"PYTHONPATH": PACKAGE},
    )
    assert done.returncode == 0, done.stderr
    with gzip.open(trace, "rt") as file:
        events = json.load(file)["traceEvents"]
    # Where they lie is not asked: the host's clock is the real one here, the device's virtual.
    assert [e["name"] for e in events if e.get("cat") == "device"] == ["step", "step"]
    assert json.loads(Path(data).read_text())["sites"][0]["device"]["mean_s"] == 3e-3
    assert "data:image/svg+xml" in Path(page).read_text()

# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime run`: scripts run as in Python, with a report at the end."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_the_report_is_printed_at_the_end(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", write(STEP + "    print('its own words')")]) == 0
    shown = capsys.readouterr()
    assert shown.out == "its own words\n"
    assert shown.err.splitlines()[2].split()[:2] == ["step", "1"]


def test_a_script_runs_as_main_with_its_arguments(
    write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = write("import sys; print(__name__, __file__, sys.argv, sys.path[0])", "inner/s.py")
    assert main(["run", name, "--trace", "-m", "x"]) == 0
    # Absolute, as with Python, so that it is found from every folder.
    path = tmp_path / name
    expected = f"__main__ {path} ['{path}', '--trace', '-m', 'x'] {tmp_path / 'inner'}\n"
    assert capsys.readouterr().out == expected


def test_a_script_in_a_new_folder_finds_its_source(
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


def test_a_script_can_import_its_neighbours(write: Write) -> None:
    write("VALUE = 7", "inner/neighbour_of_script.py")
    name = write("import neighbour_of_script as n; raise SystemExit(n.VALUE)", "inner/s.py")
    assert main(["run", name]) == 7


def test_classes_of_a_script_belong_to_main(write: Write) -> None:
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


def test_run_enables_scopes(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    fasttime.disable()
    assert main(["run", write(STEP)]) == 0
    assert "\nstep " in capsys.readouterr().err


def test_arguments_and_path_are_restored(write: Write) -> None:
    before = list(sys.argv), list(sys.path)
    main(["run", write("import sys; sys.path.append('x'); sys.argv.append('y')")])
    assert (sys.argv, sys.path) == before


@pytest.mark.parametrize(
    ("code", "expected"), [("", 0), ("None", 0), ("0", 0), ("7", 7), ("True", 1)]
)
def test_the_exit_code_is_the_script_s(write: Write, code: str, expected: int) -> None:
    assert main(["run", write(f"raise SystemExit({code})")]) == expected


def test_an_exit_message_is_printed(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", write("import sys; sys.exit('no data')")]) == 1
    assert capsys.readouterr().err.startswith("no data\n")


def test_a_report_follows_an_exception(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_the_script_s_excepthook_is_used(
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


def test_a_syntax_error_shows_no_frames(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", write("def")]) == 1
    shown = capsys.readouterr().err
    assert "SyntaxError" in shown
    assert "Traceback" not in shown


def test_ctrl_c_exits_with_130_and_a_report(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write(STEP + "    raise KeyboardInterrupt")]) == 130
    shown = capsys.readouterr().err
    assert shown.index("KeyboardInterrupt") < shown.index("\nstep ")


def test_after_ctrl_c_the_wait_is_short(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def report(**options: Any) -> Report:
        asked.append(options)
        return fasttime.Recorder().report()

    monkeypatch.setattr(fasttime, "report", report)
    main(["run", write("raise KeyboardInterrupt")])
    main(["run", write("pass")])
    assert asked == [{"wait": True, "timeout": 2.0}, {"wait": True, "timeout": None}]


def test_ctrl_c_in_the_wait_reports_finished_scopes(
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


def test_a_script_without_scopes_gets_advice(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write("pass")]) == 0
    shown = capsys.readouterr().err
    assert shown.startswith(
        "fasttime: nothing to report: no scope ended in script.py since its last reset."
    )
    assert 'with fasttime.scope("step"):' in shown


def test_a_failed_script_gets_no_advice(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", write("raise SystemExit(3)")]) == 3
    shown = capsys.readouterr().err
    assert "nothing to report" in shown
    assert "Add a scope" not in shown


def test_a_file_named_as_a_module_does_not_run(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-m", write("print('ran')")]) == 2
    assert capsys.readouterr().out == ""


def test_a_pipe_is_not_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert main(["run", "pipe"]) == 2
    assert "pipe can be read only once" in capsys.readouterr().err


def test_threads_that_outlast_the_script_are_named(
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
    assert said.startswith("fasttime: threads of the script are still running (worker); the report")


def test_a_missing_import_keeps_its_traceback(
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
def test_a_script_that_cannot_run_is_one_line(
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


def test_the_use_of_runpy_keeps_its_traceback(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write("import runpy\nrunpy.run_path('no_such.py')")]) == 1
    shown = capsys.readouterr().err
    assert "FileNotFoundError" in shown
    assert "runpy.run_path('no_such.py')" in shown


def test_an_unreadable_script_is_one_line(
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
        (["--trace", "none/a.json"], "--trace: there is no folder none; create it"),
        (
            ["--trace", "a.txt"],
            "--trace: must end in .json or .json.gz or .csv or .html or .svg or .png or .pdf",
        ),
    ],
)
def test_bad_file_names_are_refused_before_the_run(
    options: list[str], message: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["run", *options, write("print('it ran')")])
    assert exit_.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err


@pytest.mark.parametrize("arguments", [["--", "-x"], ["a", "--", "--json"], ["--"]])
def test_two_dashes_belong_to_the_script(
    arguments: list[str], write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", write("import sys; print(sys.argv[1:])"), *arguments]) == 0
    assert capsys.readouterr().out == f"{arguments}\n"


def test_two_dashes_before_the_script_end_options(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--", write("import sys; print(sys.argv[1:])"), "-x"]) == 0
    assert capsys.readouterr().out == "['-x']\n"


@pytest.mark.parametrize(
    "other", ["io.StringIO()", "type('Log', (), {'write': lambda self, text: None})()"]
)
def test_replaced_streams_do_not_get_the_report(
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


def test_a_failing_script_looks_as_in_python(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write("def f():\n    raise ValueError('no')\nprint('out')\nf()\n")
    bare = subprocess.run(
        [sys.executable, name], capture_output=True, text=True, timeout=120, check=False
    )
    code = main(["run", name])
    shown = capsys.readouterr()
    assert (code, shown.out) == (bare.returncode, bare.stdout) == (1, "out\n")
    folder = str(Path.cwd()) + os.sep
    assert shown.err.replace(folder, "").startswith(bare.stderr.replace(folder, ""))


def test_a_signal_from_the_keyboard_leads_to_a_report(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    code = STEP + "    import os, signal\n    os.kill(os.getpid(), signal.SIGINT)\n    input()"
    assert main(["run", write(code)]) == 130
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "KeyboardInterrupt" in shown.err
    assert "\nstep " in shown.err
    assert "\x1b" not in shown.err


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_closed_stream_does_not_lose_files(
    name: str, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO()))
    assert main(["run", "--json", "r.json", write(f"import sys; sys.{name}.close()")]) == 0
    assert capsys.readouterr().out == ""
    assert Path("r.json").is_file()


def test_a_broken_pipe_loses_no_report_or_file(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        name = write(STEP + "    print('unread')")
        assert main(["run", "--json", "r.json", name]) == 141
    assert "\nstep " in capsys.readouterr().err
    assert Path("r.json").is_file()

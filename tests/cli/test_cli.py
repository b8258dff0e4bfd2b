# SPDX-License-Identifier: BSD-3-Clause
"""The command as a whole: help, version, exit codes, pipes, and how values are read."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up import measurement

import fasttime
from fasttime.cli import (
    arguments,
    demo,
    main,
    output,
)
from fasttime.cli.output import Failure, did_you_mean

COMMANDS = ("demo", "env", "run", "bench", "compare")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert f"examples:\n  fasttime {command}" in capsys.readouterr().out


def test_the_help_lists_commands_and_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"\n    {command} " in shown for command in COMMANDS)
    assert "exit codes:" in shown


def test_the_version_is_fasttime_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"fasttime {fasttime.__version__}\n"


@pytest.mark.parametrize("wrong", [["no_such"], ["env", "--no-such"], ["run"], ["compare", "a"]])
def test_bad_usage_ends_with_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(wrong)
    assert exit_.value.code == 2
    assert "usage: fasttime" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--htm", "r.html", "s.py"], "arguments: --htm; did you mean --html?"),
        (["run", "--htm=r.html", "s.py"], "arguments: --htm=r.html; did you mean --html?"),
        (["bench", "a:b", "--repeats", "5"], "arguments: --repeats 5; did you mean --repeat?"),
        (["bench", "a:b", "--xyz"], "arguments: --xyz\n"),
        (["env", "gpu"], "arguments: gpu\n"),
    ],
)
def test_a_misspelt_option_shows_usage_and_a_guess(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"usage: fasttime {words[0]} ")
    assert f"error: unrecognized {said}" in shown


def test_without_a_command_the_commands_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(f"\n    {command} " in shown.err for command in COMMANDS)


def test_ctrl_c_ends_a_command_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fasttime.cli.env.find", interrupt)
    assert main(["env"]) == 130


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_failure_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise Failure("this\n  and that", code=1)

    monkeypatch.setattr("fasttime.cli.env.find", fail)
    assert main(["env"]) == 1
    assert capsys.readouterr() == ("", "fasttime: error: this and that\n")


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble() -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("fasttime.cli.env.find", stumble)
    with pytest.raises(ValueError, match="a bug"):
        main(["env"])


def test_a_bug_in_the_demo_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("fasttime.demo.demo", stumble)
    with pytest.raises(ValueError, match="a bug"):
        main(["demo", "--device", "cpu"])


def test_a_broken_pipe_is_silent() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fasttime", "env"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("command", [["env"], ["compare", "a.json", "b.json", "--fail-above", "0"]])
def test_a_full_disk_has_its_own_exit_code(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measurement([1.0] * 20).save(tmp_path / "a.json")
    measurement([9.0] * 20).save(tmp_path / "b.json")
    monkeypatch.chdir(tmp_path)
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code = main(command)
        full.flush()  # goes nowhere, as at the exit of the interpreter
    message = "error: could not write the result: No space left on device\n"
    assert code == 3
    assert capsys.readouterr().err.endswith(message)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("command", [["env"], ["compare", "none.json", "none.json"]])
def test_output_to_a_closed_stream_is_dropped(
    command: list[str],
    stream: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, stream, None)  # as after `fasttime env >&-`
    assert main(command) == (0 if command == ["env"] else 2)
    shown = capsys.readouterr()
    assert {"stdout": shown.out, "stderr": shown.err}[stream] == ""
    assert "error" not in shown.out


class Terminal:
    """A stream that claims to be a terminal and keeps its output."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


class Coloured:
    """A result that rich shows in red, and that is plain otherwise."""

    def __rich__(self) -> str:
        return "[red]red[/red]"

    def __str__(self) -> str:
        return "plain"


def test_results_are_coloured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    output.show(Coloured(), terminal)  # type: ignore[arg-type]
    assert "\x1b[31mred" in terminal.text


def test_no_color_removes_the_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    output.show(Coloured(), terminal)  # type: ignore[arg-type]
    assert terminal.text == "red\n"


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(Coloured(), sys.stdout)
    assert capsys.readouterr().out == "plain\n"


def test_unencodable_characters_are_replaced() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    output.put("3 µs at 40 °C", stream)
    stream.seek(0)
    assert stream.read() == "3 us at 40 C\n"


def test_an_ascii_terminal_gets_plain_text() -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    terminal = Terminal(io.BytesIO(), encoding="ascii")
    output.show(Coloured(), terminal)
    terminal.seek(0)
    assert terminal.read() == "plain\n"


# --- values ---


@pytest.mark.parametrize(
    ("text", "value"), [("5%", 0.05), ("0.05", 0.05), ("0", 0.0), ("150%", 1.5), (" 5 % ", 0.05)]
)
def test_a_change_may_be_percent_or_a_fraction(text: str, value: float) -> None:
    assert arguments.fraction(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["-5%", "five", "nan", "inf", "", "%"])
def test_other_changes_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"such as 5% or 0\.05, got"):
        arguments.fraction(text)


def test_a_change_of_5_needs_a_percent_sign() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="got '5': write 5% or a fraction"):
        arguments.fraction("5")


def test_runs_are_a_number_or_auto() -> None:
    assert arguments.runs("auto") == arguments.ignored_runs("auto") == "auto"
    assert arguments.runs("7") == 7
    assert arguments.ignored_runs("0") == 0


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many"])
def test_other_numbers_of_runs_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"must be auto, or .* got '{text}'"):
        arguments.runs(text)


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "soon"])
def test_durations_must_be_positive(text: str) -> None:
    assert arguments.seconds("0.5") == 0.5
    with pytest.raises(argparse.ArgumentTypeError, match=f"above 0, got '{text}'"):
        arguments.seconds(text)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert arguments.new_file(str(tmp_path / "a.json")) == tmp_path / "a.json"
    with pytest.raises(argparse.ArgumentTypeError, match=r"create it: mkdir -p .*/none"):
        arguments.new_file(str(tmp_path / "none" / "a.json"))
    with pytest.raises(argparse.ArgumentTypeError, match="is a folder; name a file"):
        arguments.new_file(str(tmp_path))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no files")
def test_a_folder_without_room_for_files_is_refused() -> None:
    with pytest.raises(
        argparse.ArgumentTypeError, match=r"cannot write /proc/a\.json: (No such|Perm)"
    ):
        arguments.new_file("/proc/a.json")


def test_a_read_only_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.touch()
    monkeypatch.setattr(os, "access", lambda asked, _: asked != path)  # root may write to anything
    with pytest.raises(argparse.ArgumentTypeError, match=r"cannot write .*: Permission denied"):
        arguments.new_file(str(path))
    assert arguments.new_file(str(tmp_path / "b.json")).name == "b.json"


def test_a_long_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"cannot write .*: File name too long"):
        arguments.new_file(str(tmp_path / f"{'a' * 300}.json"))


def test_a_pipe_is_accepted_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.json")
    monkeypatch.setattr("tempfile.TemporaryFile", os.listdir)  # raises: nothing may be put beside
    assert arguments.new_file(str(tmp_path / "a.json")).name == "a.json"


def test_the_check_of_a_file_leaves_no_file(tmp_path: Path) -> None:
    arguments.new_file(str(tmp_path / "a.json"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [".json", "some/.JSON", ".json.gz"])
def test_a_suffix_is_not_a_name(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"has no name; write for example run\."):
        arguments.new_timeline(text)


def test_a_file_needs_the_suffix_of_its_format(tmp_path: Path) -> None:
    assert arguments.new_html(str(tmp_path / "a.HTML")).name == "a.HTML"
    with pytest.raises(argparse.ArgumentTypeError, match=r"must end in \.json, got 'a\.txt'"):
        arguments.new_json("a.txt")


def test_only_similar_names_are_suggested() -> None:
    assert did_you_mean("xyz", ["forward"]) == ""
    assert did_you_mean("foward", ["forward", "reset"]) == "; did you mean forward?"


def test_a_picture_needs_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert arguments.new_timeline(str(tmp_path / "a.csv")).name == "a.csv"
    with pytest.raises(argparse.ArgumentTypeError, match=r"pip install 'fasttime\[plot\]'"):
        arguments.new_timeline(str(tmp_path / "a.svg"))


def test_similar_files_are_in_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    assert arguments.similar_files(tmp_path / "trian.py") == "; did you mean train.py?"
    assert arguments.similar_files(tmp_path / "none" / "trian.py") == ""


def test_the_device_of_the_demo_is_checked_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert demo.__doc__
    assert main(["demo", "--device", "meta"]) == 2
    assert capsys.readouterr().err.startswith("fasttime: error: device must be cpu, cuda")


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("benchh", "; did you mean bench?"),
        ("xyz", "; choose demo, env, run, bench, compare, show, merge, peaks"),
    ],
)
def test_an_unknown_command_brings_advice(
    word: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([word, "--whatever"])
    assert exit_.value.code == 2
    assert f"error: there is no command {word!r}{advice}\n" in capsys.readouterr().err


def test_a_device_has_one_of_three_forms(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "a:b", "--device", "gpu"])
    assert exit_.value.code == 2
    said = "argument --device: must be cpu, cuda or cuda:<index>, got 'gpu'\n"
    assert capsys.readouterr().err.endswith(said)

# SPDX-License-Identifier: BSD-3-Clause
"""The progress bar: when it shows, and that nothing of it stays."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable

import pytest
from scripted_loop import ScriptedLoop

import fasttime
from fasttime.measuring.progress import ProgressBar

HIDE_CURSOR, SHOW_CURSOR, CLEAR_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"


class Terminal(io.StringIO):
    """Takes what is written, and calls itself a terminal."""

    def __init__(self, on_write: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.on_write = on_write

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.on_write()
        return super().write(text)


def a_terminal(
    monkeypatch: pytest.MonkeyPatch, on_write: Callable[[], None] = lambda: None
) -> Terminal:
    """What stderr is from here on. No fixture: pytest puts a stderr of its own in after these."""
    made = Terminal(on_write)
    monkeypatch.setattr(sys, "stderr", made)
    for name in ("NO_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return made


def test_nothing_is_drawn_in_the_first_two_seconds(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    with ProgressBar("model") as bar:
        script.now = 1.99
        bar.update(0.5)
    assert terminal.getvalue() == ""


def test_after_two_seconds_a_bar_says_what_is_measured_and_how_far_it_is(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    with ProgressBar("model") as bar:
        script.now = 2.0
        bar.update(0.25)
        drawn = terminal.getvalue()
    assert "measuring model" in drawn
    assert "25%" in drawn


def test_the_two_seconds_count_from_its_making(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    script.now = 100.0
    with ProgressBar("model") as bar:
        bar.update(0.5)
    assert terminal.getvalue() == ""


def test_a_bar_is_drawn_by_updates_only(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    before = threading.active_count()
    with ProgressBar("model") as bar:
        script.now = 2.0
        bar.update(0.25)
        assert threading.active_count() == before
        drawn = terminal.getvalue()
        script.now = 50.0
        assert terminal.getvalue() == drawn
        bar.update(0.5)
        assert "50%" in terminal.getvalue()[len(drawn) :]


def test_a_bar_is_drawn_four_times_a_second_at_most(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    with ProgressBar("model") as bar:
        script.now = 2.0
        bar.update(0.25)
        drawn = terminal.getvalue()
        script.now = 2.125
        bar.update(0.5)
        assert terminal.getvalue() == drawn
        script.now = 2.25
        bar.update(0.5)
        assert "50%" in terminal.getvalue()[len(drawn) :]


def test_an_update_says_how_long_it_took(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    with ProgressBar("model") as bar:
        assert bar.update(0.25) == 0.0
        script.now = 2.0
        terminal.on_write = lambda: script.sleep(0.125)
        assert bar.update(0.5) == script.now - 2.0 > 0.0
        terminal.on_write = lambda: None


def test_a_part_of_the_whole_moves_the_bar_by_its_share(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    with ProgressBar("model") as bar:
        script.now = 2.0
        bar.begin_part(3, 4)
        bar.update(0.4)
    assert "85%" in terminal.getvalue()


def test_a_label_is_shown_as_it_is(script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    with ProgressBar("pick[red]") as bar:
        script.now = 2.0
        bar.update(0.5)
    assert "measuring pick[red]" in terminal.getvalue()


def test_more_than_all_is_all(script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    with ProgressBar("model") as bar:
        script.now = 2.0
        bar.update(1.7)
        assert "100%" in terminal.getvalue()


def is_cleared(drawn: str) -> bool:
    """Whether the last thing written is a line that is empty, with the cursor shown again."""
    return CLEAR_LINE in drawn.rpartition(SHOW_CURSOR)[2] and drawn.count(
        HIDE_CURSOR
    ) == drawn.count(SHOW_CURSOR)


def test_a_bar_is_cleared_at_the_end(script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    with ProgressBar("model") as bar:
        script.now = 2.0
        bar.update(0.5)
        assert not is_cleared(terminal.getvalue())
    assert is_cleared(terminal.getvalue())


def test_a_bar_is_cleared_after_an_exception_that_passes(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    with pytest.raises(ZeroDivisionError):
        with ProgressBar("model") as bar:
            script.now = 2.0
            bar.update(0.5)
            _ = 1 // 0
    assert is_cleared(terminal.getvalue())
    assert sys.stderr is terminal


def test_nothing_is_drawn_where_stderr_is_no_terminal(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with ProgressBar("model") as bar:
        script.now = 5.0
        bar.update(0.5)
    assert file.getvalue() == ""


def test_nothing_is_drawn_where_there_is_no_stderr(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with ProgressBar("model") as bar:
        script.now = 5.0
        bar.update(0.5)


# --- in a measurement ---


def test_a_long_measurement_shows_a_bar_and_leaves_nothing(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.measure(script.work, 0.25, 0.0, method="sync", budget=16.0)
    assert "measuring work" in terminal.getvalue()
    assert is_cleared(terminal.getvalue())


def test_given_runs_beside_a_warm_up_of_its_own_length_show_how_many_are_done(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.measure(script.work, 1.0, 0.0, method="sync", repeat=4, budget=16.0)
    for percent in ("25%", "50%", "75%", "100%"):
        assert percent in terminal.getvalue()


def test_a_short_measurement_shows_none(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.measure(script.work, 1 / 1024, 0.0, method="sync")
    assert terminal.getvalue() == ""


def test_a_bar_is_cleared_where_the_callable_raises(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)

    def fn() -> None:
        script.work(0.25, 0.0)
        if script.now > 8.0:
            raise OSError("in a run")

    with pytest.raises(OSError, match=r"^in a run$"):
        fasttime.measure(fn, method="sync", budget=16.0)
    assert "measuring fn" in terminal.getvalue()
    assert is_cleared(terminal.getvalue())


def test_a_long_warm_up_shows_that_it_is_one(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.measure(script.work, 0.25, 0.0, method="sync", warmup=20, budget=16.0)
    drawn = terminal.getvalue()
    assert 0 < drawn.index("warming up work") < drawn.index("measuring work")

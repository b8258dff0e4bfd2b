# SPDX-License-Identifier: BSD-3-Clause
"""The progress bar: when it is drawn, and that it leaves nothing behind."""

from __future__ import annotations

import io
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from scripted_loop import ScriptedLoop
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime.measuring.progress import ProgressBar

HIDE_CURSOR, SHOW_CURSOR, CLEAR_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"


class Terminal(io.StringIO):
    """A file that calls itself a terminal."""

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
    """Replace stderr. No fixture can do that: pytest replaces stderr after fixtures are set up."""
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


def test_after_two_seconds_the_bar_shows_progress(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    with ProgressBar("model") as bar:
        script.now = 2.0
        bar.update(0.25)
        drawn = terminal.getvalue()
    assert "measuring model" in drawn
    assert "25%" in drawn


def test_the_two_seconds_start_with_the_bar(
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


def test_a_part_moves_the_bar_by_its_share(
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


def test_more_than_everything_is_100_percent(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    with ProgressBar("model") as bar:
        script.now = 2.0
        bar.update(1.7)
        assert "100%" in terminal.getvalue()


def is_cleared(drawn: str) -> bool:
    """Whether the last output is an empty line with a visible cursor."""
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


def test_a_bar_is_cleared_after_an_exception(
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


def test_nothing_is_drawn_without_a_terminal(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with ProgressBar("model") as bar:
        script.now = 5.0
        bar.update(0.5)
    assert file.getvalue() == ""


def test_nothing_is_drawn_without_stderr(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with ProgressBar("model") as bar:
        script.now = 5.0
        bar.update(0.5)


# --- in a measurement ---


def test_a_long_measurement_shows_and_clears_a_bar(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.measure(script.work, 0.25, 0.0, method="sync", budget=16.0)
    assert "measuring work" in terminal.getvalue()
    assert is_cleared(terminal.getvalue())


def test_a_given_repeat_shows_the_kept_runs(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.measure(script.work, 1.0, 0.0, method="sync", repeat=4, budget=16.0)
    for percent in ("25%", "50%", "75%", "100%"):
        assert percent in terminal.getvalue()


def test_a_short_measurement_shows_no_bar(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.measure(script.work, 1 / 1024, 0.0, method="sync")
    assert terminal.getvalue() == ""


def test_a_bar_is_cleared_if_the_callable_raises(
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


def test_a_long_warm_up_shows_a_bar(script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    durations = iter(range(1, 10_000))  # so the warm-up lasts as long as it may
    fasttime.measure(
        lambda: script.work(next(durations) / 8, 0.0), method="sync", repeat=40, budget=64.0
    )
    drawn = terminal.getvalue()
    assert 0 < drawn.index("warming up <lambda>") < drawn.index("measuring <lambda>")


@pytest.mark.parametrize("method", ["naive", "sync", "event"])
def test_given_numbers_of_runs_show_no_bar(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    script.cuda_is_up = False
    terminal = a_terminal(monkeypatch)
    fasttime.measure(script.work, 1.0, 0.0, method=method, warmup=4, repeat=40)
    assert script.now >= 40.0
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(("host", "device"), [(400 * MS, 10 * MS), (10 * US, 400 * MS)])
def test_drawing_does_not_change_times(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch, host: int, device: int
) -> None:
    def measured() -> fasttime.Measurement:
        return fasttime.measure(simulated.work, host, device, repeat=12, budget=20.0)

    unwatched = measured()
    with monkeypatch.context() as patch:
        terminal = a_terminal(patch, lambda: simulated.cuda.advance(2 * MS))
        watched = measured()
    assert terminal.getvalue()
    for name in ("times", "warmup_times", "host_times", "wall_time"):
        assert getattr(watched, name) == pytest.approx(getattr(unwatched, name), rel=1e-6), name


def test_the_bar_is_drawn_while_the_device_is_idle(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlogs: list[int | None] = []
    a_terminal(monkeypatch, lambda: backlogs.append(simulated.cuda.backlog_ns(0)))
    fasttime.measure(simulated.work, 10 * US, 400 * MS, repeat=12, budget=20.0)
    assert set(backlogs) == {0}


# --- in a comparison ---


def percents(terminal: Terminal) -> list[int]:
    return [int(found) for found in re.findall(r"(\d+)%", terminal.getvalue())]


def test_a_comparison_shows_a_bar_between_batches(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = {
        "a": lambda: simulated.work(10 * US, 200 * MS),
        "b": lambda: simulated.work(10 * US, 300 * MS),
    }
    terminal = a_terminal(monkeypatch, lambda: simulated.cuda.advance(2 * MS))
    found = fasttime.compare(candidates, rounds=8, budget=60.0)
    assert "comparing 2 candidates" in terminal.getvalue()
    assert max(percents(terminal)) == 88  # seven rounds of eight
    assert found.measurements["a"].times == pytest.approx([0.2] * 8, rel=1e-6)
    assert found.measurements["b"].times == pytest.approx([0.3] * 8, rel=1e-6)


def test_a_comparison_of_methods_shows_one_bar(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch, lambda: script.sleep(0.0625))
    found = fasttime.compare_methods(
        script.work, 0.125, 0.0, methods=("naive", "sync"), warmup=1, repeat=8, rounds=2
    )
    text = terminal.getvalue()
    assert "comparing 2 methods" in text
    assert "measuring" not in text
    shown = [percent for percent in percents(terminal) if percent]
    assert shown == sorted(shown)
    assert 83 <= shown[-1] < 100  # five of six loops are done when the last one begins
    assert found.loop_times == dict.fromkeys(("untimed", "naive", "sync"), (1.0, 1.0))


def test_a_short_comparison_shows_no_bar(
    script: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = a_terminal(monkeypatch)
    fasttime.compare_methods(
        script.work, 1 / 64, 0.0, methods=("naive", "sync"), warmup=1, repeat=8, rounds=2
    )
    assert terminal.getvalue() == ""

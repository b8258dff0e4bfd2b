# SPDX-License-Identifier: BSD-3-Clause
"""The progress line of a sweep: points done, and the time left."""

from __future__ import annotations

import io
import sys

import pytest

from fasttime.measuring import machine
from fasttime.sweeping.progress import SweepProgress, in_words


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the clock reads, in seconds."""
    found = [0.0]
    monkeypatch.setattr(machine, "clock", lambda: found[0])
    return found


def lines(file: io.StringIO) -> list[str]:
    return [text.strip() for text in file.getvalue().split("\r") if text.strip()]


def test_the_time_left_follows_from_the_points_done(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Terminal()
    monkeypatch.setattr(sys, "stderr", file)
    with SweepProgress(5, "a, b") as progress:
        for n in (1, 2):
            now[0] += 30.0
            progress.advance({"n": n, "dtype": "float16"})
    assert lines(file) == [
        "sweep of a, b: 1 of 5 points (n=1, dtype=float16), 2 min 0 s left",
        "sweep of a, b: 2 of 5 points (n=2, dtype=float16), 1 min 30 s left",
    ]


def test_points_of_the_file_take_no_time(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    file = Terminal()
    monkeypatch.setattr(sys, "stderr", file)
    with SweepProgress(4, "a") as progress:
        progress.advance({"n": 1}, was_timed=False)
        now[0] += 10.0
        progress.advance({"n": 2})
    assert lines(file) == [
        "sweep of a: 1 of 4 points (n=1)",
        "sweep of a: 2 of 4 points (n=2), 20 s left",
    ]


def test_nothing_is_written_without_a_terminal(
    now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with SweepProgress(4, "a") as progress:
        progress.advance({"n": 1})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3725.0, "1 h 2 min")]
)
def test_durations_are_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words

# SPDX-License-Identifier: BSD-3-Clause
"""Verdicts against a known truth: false verdicts are rare, and true effects are found.

Each cell has few comparisons, for speed. `benchmarks/ab_truth.py` has all cells with many.
"""

from __future__ import annotations

import functools
import importlib
import math

import pytest
from ab_simulation import (
    LOUDNESS,
    NOISES,
    OFFSETS,
    is_false,
    verdict_in_rounds,
    verdict_on_saved,
)

from fasttime.stats.interim import InterimAnalysis

candidates = importlib.import_module("fasttime.comparing.candidates")
rounds = importlib.import_module("fasttime.comparing.rounds")

COUNT = 40


def bound(count: int) -> float:
    """Return a count that a rate of 5 % stays below in 99 of 100 cells."""
    return 0.05 * count + 2.33 * math.sqrt(0.05 * 0.95 * count)


@functools.cache  # two tests need the same verdicts
def verdict_of(noise: str, loudness: float, effect: float, seed: int) -> str:
    return verdict_in_rounds(noise, loudness, effect, seed)[0]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("loudness", LOUDNESS)
@pytest.mark.parametrize("effect", [0.0, 0.02])
def test_false_verdicts_are_rare_in_any_noise(noise: str, loudness: int, effect: float) -> None:
    count = COUNT if effect == 0 else COUNT // 3
    found = [verdict_of(noise, loudness, effect, seed) for seed in range(count)]
    assert sum(is_false(verdict, effect) for verdict in found) <= bound(count)


def test_fewer_than_5_percent_are_false_overall() -> None:
    found = [verdict_of(noise, 8, 0.0, seed) for noise in NOISES for seed in range(30)]
    assert sum(is_false(verdict, 0.0) for verdict in found) <= 0.05 * len(found)


def test_unadjusted_analyses_are_false_often(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(most: int, pairs: int) -> list[InterimAnalysis]:
        return [InterimAnalysis(after, 0.05) for after in range(8, most + 1, 4)]

    monkeypatch.setattr(rounds, "plan_interim_analyses", careless)
    found = [verdict_in_rounds("normal", 8, 0.0, seed, margin=1e-4)[0] for seed in range(COUNT)]
    assert sum(is_false(verdict, 0.0) for verdict in found) > bound(COUNT)


def test_several_candidates_share_the_5_percent() -> None:
    found = [verdict_in_rounds("normal", 8, 0.0, seed, others=4) for seed in range(COUNT)]
    wrong = sum(any(is_false(verdict, 0.0) for verdict in verdicts) for verdicts in found)
    assert wrong <= bound(COUNT)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("effect", [0.05, 0.10])
def test_a_quiet_machine_shows_5_percent(noise: str, effect: float) -> None:
    assert {verdict_in_rounds(noise, 1, effect, seed)[0] for seed in range(20)} == {"slower"}


@pytest.mark.parametrize("noise", ["normal", "drift of both", "process offset"])
def test_a_quiet_machine_shows_equal_candidates(noise: str) -> None:
    assert {verdict_in_rounds(noise, 1, 0.0, seed)[0] for seed in range(20)} == {"same"}


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("processes", [(1, 1), (2, 2), (3, 3), (5, 5), (3, 10), (10, 3), (3, 20)])
@pytest.mark.parametrize("effect", [0.0, 0.02])
def test_saved_measurements_rarely_mislead(
    offset: str, processes: tuple[int, int], effect: float
) -> None:
    found = [verdict_on_saved(offset, processes, effect, seed) for seed in range(COUNT)]
    assert sum(is_false(verdict, effect) for verdict in found) <= bound(COUNT)


def test_more_processes_find_smaller_effects() -> None:
    def power(count: int) -> int:
        found = [verdict_on_saved("normal", (count, count), 0.05, seed) for seed in range(50)]
        return sum(verdict == "slower" for verdict in found)

    assert power(1) <= 10
    assert power(10) >= 30


def test_verdicts_on_means_are_rarely_false() -> None:
    found = [
        (effect, verdict_in_rounds(noise, 8, effect, seed, statistic="mean")[0])
        for noise in NOISES
        for effect in (0.0, 0.02)
        for seed in range(8)
    ]
    wrong = sum(is_false(verdict, effect) for effect, verdict in found)
    assert wrong <= bound(len(found))


def test_a_difference_within_the_margin_is_never_called_one() -> None:
    found = [verdict_of("normal", 1, 0.005, seed) for seed in range(20)]
    assert set(found) <= {"same", "can't tell"}
    assert found.count("same") >= 15

# SPDX-License-Identifier: BSD-3-Clause
"""Comparisons with a known truth: the real code decides, on virtual time and made-up noise."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from made_up import measurement
from scripted_sampler import Machine, candidates, opening, rounds, taking

from fasttime.comparing.saved import compare_saved
from fasttime.comparing.verdict import MARGIN

# How much longer the second candidate truly takes than the first.
EFFECTS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.10)

# Quiet, and so loud that most comparisons reach their last interim analysis.
LOUDNESS = (1, 8)

# --- noise that a machine adds to a batch of any candidate ---


def normal(machine: Machine, runs: int) -> Any:
    return 0.02 * machine.rng.standard_normal(runs)


def lognormal(machine: Machine, runs: int) -> Any:
    return 0.05 * machine.rng.lognormal(sigma=1.0, size=runs)


def heavy_tail(machine: Machine, runs: int) -> Any:
    return np.log1p(0.01 * machine.rng.pareto(1.2, size=runs))


def drift(machine: Machine, runs: int) -> Any:
    return 0.06 * min(machine.now, 5.0) + 0.01 * machine.rng.standard_normal(runs)


def two_modes(machine: Machine, runs: int) -> Any:
    return 0.05 * machine.rng.integers(2) + 0.005 * machine.rng.standard_normal(runs)


def autocorrelated(machine: Machine, runs: int) -> Any:
    machine.state = 0.95 * machine.state + 0.05 * machine.rng.standard_normal()
    return 0.1 * machine.state + 0.005 * machine.rng.standard_normal(runs)


def process_offset(machine: Machine, runs: int) -> Any:
    if not machine.state:
        machine.state = 0.03 * machine.rng.standard_normal()
    return machine.state + 0.01 * machine.rng.standard_normal(runs)


NOISES: dict[str, Callable[[Machine, int], Any]] = {
    "normal": normal,
    "lognormal": lognormal,
    "heavy tail": heavy_tail,
    "drift of both": drift,
    "two modes, by batch": two_modes,
    "autocorrelated": autocorrelated,
    "process offset": process_offset,
}


def verdict_in_rounds(
    noise: str, loudness: float, effect: float, seed: int, others: int = 1, **options: Any
) -> list[str]:
    """Return the verdicts on `others` candidates, which all take longer by `effect`.

    More arguments are options of `compare`.
    """

    def louder(machine: Machine, runs: int) -> Any:
        return loudness * NOISES[noise](machine, runs)

    machine = Machine(np.random.default_rng([seed, round(1e4 * effect)]), louder)
    replaced = opening._open_sampler, rounds._new_random, candidates.machine.environment
    overhead, rounds.loop_overhead = rounds.loop_overhead, lambda method: None
    opening._open_sampler = machine.open
    candidates.machine.environment = lambda: None
    rounds._new_random = lambda: random.Random(seed)
    try:
        # The ignored rounds are as loud, so every comparison plans the same number of rounds.
        slower = {f"b{index}": taking(1e-3 * (1 + effect)) for index in range(others)}
        found = candidates.compare({"a": taking(1e-3), **slower}, rounds=160, budget=60, **options)
    finally:
        opening._open_sampler, rounds._new_random, candidates.machine.environment = replaced
        rounds.loop_overhead = overhead
    return [verdict.verdict for verdict in found.verdicts.values()]


# --- how processes differ ---

OFFSETS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "none": lambda rng, count: np.zeros(count),
    "normal": lambda rng, count: 0.03 * rng.standard_normal(count),
    "fast or slow": lambda rng, count: 0.05 * rng.integers(2, size=count),
    "heavy tail": lambda rng, count: 0.01 * rng.standard_t(2, size=count),
    "exponential": lambda rng, count: 0.02 * rng.exponential(size=count),
}

# How many processes the old and the new measurement have.
PROCESSES = ((1, 1), (2, 2), (3, 3), (5, 5), (10, 10), (3, 5), (3, 10), (10, 3), (3, 20))


def verdict_on_saved(offset: str, processes: tuple[int, int], effect: float, seed: int) -> str:
    """Return the verdict on two measurements with these numbers of processes."""
    rng = np.random.default_rng([seed, *processes, round(1e4 * effect)])

    def made(factor: float, count: int) -> Any:
        offsets = OFFSETS[offset](rng, count)
        logs = offsets[:, None] + 0.01 * rng.standard_normal((count, 30))
        return measurement(factor * np.exp(logs).ravel(), processes=(30,) * count)

    old, new = processes
    return compare_saved(made(1e-3, old), made(1e-3 * (1 + effect), new)).verdict


def is_false(verdict: str, effect: float) -> bool:
    """Say whether a verdict is false if the candidate takes longer by `effect`."""
    if verdict == "same":
        return effect > MARGIN * (1 + 1e-9)
    if verdict == "slower":
        return effect <= MARGIN * (1 - 1e-9)
    return verdict == "faster"

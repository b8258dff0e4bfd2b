# SPDX-License-Identifier: BSD-3-Clause
"""Two revisions on a machine that changes from process to process, in blocks and in turns."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from made_up import measurement, origin

from fasttime import Measurement, compare_saved
from fasttime.comparing.against import turns

Levels = npt.NDArray[np.float64]

# How much processes differ on a machine that stays as it is, and runs within a process.
_PROCESS, _RUN = 0.005, 0.01
_RUNS = 10
_MARGIN = 1e-6


def sessions(rng: np.random.Generator, count: int) -> Levels:
    """Two sessions of equal length that differ by 1 %, as on two days."""
    return np.repeat(0.01 * rng.standard_normal(2), [count // 2, count - count // 2])


def short_sessions(rng: np.random.Generator, count: int) -> Levels:
    """Sessions of five processes each, which differ by 1 %."""
    return np.repeat(0.01 * rng.standard_normal(count // 5 + 1), 5)[:count]


def wander(rng: np.random.Generator, count: int) -> Levels:
    """An Ornstein-Uhlenbeck process of 1 % that forgets within five processes."""
    kept = np.exp(-1 / 5)
    level, levels = 0.01 * rng.standard_normal(), []
    for _ in range(count):
        levels.append(level)
        level = kept * level + 0.01 * np.sqrt(1 - kept**2) * rng.standard_normal()
    return np.array(levels)


def warming(rng: np.random.Generator, count: int) -> Levels:
    """A machine that gets slower all the time, by 0.5 % per process."""
    return 0.005 * np.arange(count)


def modes(rng: np.random.Generator, count: int) -> Levels:
    """Two modes, 3 % apart. After each process, the machine changes with a chance of 1 in 4."""
    return 0.03 * (np.cumsum(rng.random(count) < 0.25) % 2)


def steady(rng: np.random.Generator, count: int) -> Levels:
    """No change of the machine."""
    return np.zeros(count)


MACHINES: dict[str, Callable[[np.random.Generator, int], Levels]] = {
    "two sessions": sessions,
    "short sessions": short_sessions,
    "wander": wander,
    "warming": warming,
    "modes": modes,
    "steady": steady,
}


def in_blocks(pairs: int, seed: int) -> list[int]:
    """Return the side of each process: all old ones first."""
    return [0] * pairs + [1] * pairs


def in_turns(pairs: int, seed: int) -> list[int]:
    """Return the side of each process, as `fasttime bench --against` draws them."""
    return [side for pair in turns(pairs, random.Random(seed)) for side in pair]


def verdict_on_sides(
    machine: str, order: Callable[[int, int], list[int]], pairs: int, effect: float, seed: int
) -> str:
    """Return the verdict of the package if the new side takes longer by `effect`.

    The margin is almost 0, so the interval alone decides.
    """
    rng = np.random.default_rng([seed, pairs, round(1e4 * effect)])
    levels = MACHINES[machine](rng, 2 * pairs) + _PROCESS * rng.standard_normal(2 * pairs)
    sides: tuple[list[Measurement], list[Measurement]] = ([], [])
    for number, (side, level) in enumerate(zip(order(pairs, seed), levels, strict=True)):
        typical = 1e-3 * (1 + effect * side) * np.exp(level)
        times = typical * np.exp(_RUN * rng.standard_normal(_RUNS))
        sides[side].append(measurement(times, origins=(origin(number + 1, float(number)),)))
    old, new = (Measurement.merge(*side) for side in sides)
    return compare_saved(old, new, margin=_MARGIN).verdict

# SPDX-License-Identifier: BSD-3-Clause
"""Faster, slower, the same, or not to be told: what an interval of a ratio says."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from ..measuring.arguments import is_real

VerdictWord = Literal["faster", "slower", "same", "can't tell"]

# The ratio of two times that differ by less is of no use to anybody, and is more than what a
# different address or a rebuilt cache does to a run.
MARGIN = 0.01


class Verdict(NamedTuple):
    """Whether one thing is faster than another, and how sure that is.

    Attributes:
        verdict: ``faster``, ``slower``, ``same`` or ``can't tell``.
        ratio: its time by the other's: 0.9 where it takes 10 % less.
        interval: two ratios between which the true one lies, with 95 % probability or more.
        reason: what the verdict rests on, in a sentence; where it cannot be told, what would tell.
    """

    verdict: VerdictWord
    ratio: float
    interval: tuple[float, float]
    reason: str


def check_margin(margin: object) -> None:
    """Raise TypeError or ValueError unless it is a share, between 0 and 1."""
    if not is_real(margin):
        raise TypeError(f"margin must be a number, got {margin!r}")
    if not 0 < margin < 1:
        raise ValueError(f"margin must lie between 0 and 1, 0.01 for 1 %, got {margin}")


def decide(interval: tuple[float, float], margin: float) -> VerdictWord:
    """Return what an interval of a ratio proves.

    ``same`` where all of it is within the margin, also where 1 is not in it: a difference that is
    real, and too small to matter. Else ``faster`` or ``slower`` where all of it is on one side.
    """
    low, high = interval
    if 1 / (1 + margin) <= low and high <= 1 + margin:
        return "same"
    if high < 1:
        return "faster"
    if low > 1:
        return "slower"
    return "can't tell"


# The reason where `times_as_many` is infinite; takes the step in percent.
TOO_COARSE = (
    "the clock moves in steps of {:.2g} % of a run, which no number of runs makes up for; do more "
    "in a call"
)


def times_as_many(location: float, half_width: float, margin: float, step: float = 0.0) -> float:
    """Return how many times the evidence would do, were the true ratio the one found.

    An interval becomes narrower with the square root of the evidence. It has to become so narrow
    that it leaves 1 outside, or that it fits into the margin, whichever comes first. Infinity where
    the clock's steps alone leave it open.

    Args:
        location: logarithm of the ratio.
        half_width: of its interval, in logarithms.
        margin: see `decide`.
        step: by how much more it may be off for the clock's steps, in logarithms.
    """
    enough = max(abs(location), math.log1p(margin) - abs(location)) - step
    if enough <= 0:
        return math.inf
    return float(max(1.0, (half_width / enough) ** 2))

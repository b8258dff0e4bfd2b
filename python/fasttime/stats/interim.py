# SPDX-License-Identifier: BSD-3-Clause
"""The plan of a comparison's interim analyses: after which rounds, and at which level.

Analysing after each round and stopping at the first verdict would always find a verdict in the end,
true or not. So there are few analyses, planned before the first round, and they share the permitted
probability of a false verdict. However the analyses depend on each other, the probability of any
false verdict is at most the sum of the shares (Bonferroni). The final analysis has half of it,
because most close comparisons end there. Its interval is 14 % wider than with a single analysis.
"""

from __future__ import annotations

from typing import NamedTuple

# The probability of any false verdict in a comparison, over all candidates and analyses. It is a
# little below the promised 5 %, because noise only nearly meets the assumptions of the interval.
ALPHA = 0.04

# With fewer rounds, an early analysis has hardly a chance of a verdict.
_FEWEST_ROUNDS = 16


class InterimAnalysis(NamedTuple):
    """One analysis of the rounds so far.

    Attributes:
        rounds: the number of rounds after which it takes place.
        alpha: the probability of a false verdict that it may have, per pair of candidates.
    """

    rounds: int
    alpha: float


def plan_interim_analyses(rounds: int, pairs: int) -> list[InterimAnalysis]:
    """Return the analyses of a comparison; the last one follows the last round.

    Args:
        rounds: the most rounds that there can be.
        pairs: how many candidates are compared with the baseline. Each pair has the same share of
            the probability: Bonferroni instead of Holm, so that the intervals shown are the
            intervals that decide.
    """
    alpha = ALPHA / pairs
    early = sorted({rounds // part for part in (2, 4, 8) if rounds // part >= _FEWEST_ROUNDS})
    if not early:
        return [InterimAnalysis(rounds, alpha)]
    analyses = [InterimAnalysis(after, alpha / 2 / len(early)) for after in early]
    return [*analyses, InterimAnalysis(rounds, alpha / 2)]

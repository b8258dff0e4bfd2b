# SPDX-License-Identifier: BSD-3-Clause
"""When a comparison may look at its own figures, and how sure each look has to be.

Who looks after each round and stops at the first verdict finds one in the end, true or not. So
there are few looks, planned before the first round, and the permitted share of false verdicts is
shared out between them: whatever the looks have to do with one another, false verdicts add up to no
more than the shares do (Bonferroni). The last look has half of it, as most comparisons that are
close end there; its interval is 14 % wider than that of a single look would be.
"""

from __future__ import annotations

from typing import NamedTuple

# The share of comparisons with any false verdict, all candidates and looks together. A little below
# the 5 % that are promised, as noise is only nearly what an interval supposes.
ALPHA = 0.04

# Below so many rounds an early look has hardly a chance.
_FIRST = 16


class Look(NamedTuple):
    """A look at the figures.

    Attributes:
        rounds: after how many rounds.
        alpha: which share of false verdicts this look may have, for each pair of candidates.
    """

    rounds: int
    alpha: float


def plan_looks(rounds: int, pairs: int) -> list[Look]:
    """Return the looks at a comparison, the last one after all rounds.

    Args:
        rounds: how many there can be.
        pairs: how many candidates are set against the first. Each has the same share (Bonferroni
            again, rather than Holm, so that the intervals shown are those which decide).
    """
    alpha = ALPHA / pairs
    early = sorted({rounds // part for part in (2, 4, 8) if rounds // part >= _FIRST})
    if not early:
        return [Look(rounds, alpha)]
    looks = [Look(after, alpha / 2 / len(early)) for after in early]
    return [*looks, Look(rounds, alpha / 2)]

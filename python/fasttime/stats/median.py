# SPDX-License-Identifier: BSD-3-Clause
"""The confidence interval of the median of one process's runs."""

from __future__ import annotations

import functools
from statistics import NormalDist

import numpy as np

from . import Times
from .clock_step import clock_step
from .student import block_half_width

# Consecutive blocks of runs. Few long blocks measure slow noise under fast noise. Many short blocks
# show better how long the machine rests in one state. The wider of the two intervals counts.
_BLOCKS = (20, 40)
_FEWEST_BLOCKS = 8
_BLOCK_RUNS = 5
_TRIM = 20  # one of this many block medians is trimmed at each end

# Above this count, summing over all ranks costs too much. The normal approximation then gives the
# rank to within one or two in a thousand.
_EXACT_UP_TO = 200_000


def median_interval(
    times: Times, level: float = 0.95, step: float | None = None
) -> tuple[float, float]:
    """Return the interval that covers the true median with probability `level` or more.

    The interval is the wider of two:

    * The first goes from one order statistic to another, as the sign test gives them (Thompson
      1936; David and Nagaraja, Order Statistics, 7.1). A percentile bootstrap of the median
      converges to the same interval. This one is exact for any distribution and any number of runs,
      and needs no random numbers. Like the bootstrap, it assumes that runs are independent.
    * If runs resemble their neighbours, there is less information in them. So from 40 runs on, the
      second interval comes from the spread of the medians of consecutive blocks (batch means:
      Schmeiser 1982). Blocks may resemble their neighbours too, so they count as fewer blocks; see
      `block_half_width`. The smallest and the largest block medians are trimmed, because odd
      runs come in bursts. This interval ends at the shortest and the longest reading.

    If the step of the clock shows, half a step is added at each end. Both ends are NaN if there are
    too few runs for the level: fewer than 6 for 95 %.

    Args:
        times: in the order of the runs, in seconds.
        level: the probability.
        step: the step of the clock, in seconds; None to find it in `times`. Give it for times of
            several processes, which show no common step.
    """
    rank = _lower_rank(len(times), level)
    if rank == 0:
        return float("nan"), float("nan")
    lower, upper = rank - 1, len(times) - rank
    ends = np.partition(times, (lower, upper))
    reach = _reach_of_blocks(times, level)
    middle = float(np.median(times))
    # Order statistics are steps of the clock. Two equal ones show which step it is, but the time is
    # not exact. Runs begin anywhere between two steps, so the median reading is the step nearest to
    # the truth, at most half a step off. Only the readings show how long a step is: CUDA promises
    # 0.5 us for events, 16 times the step of an H100, and a measurement may come from another
    # machine. If all readings are equal, no step shows and no width is made up, because such runs
    # hardly ever lie between two steps.
    half_step = (clock_step(times) if step is None else step) / 2
    low, high = min(float(ends[lower]), middle - reach), max(float(ends[upper]), middle + reach)
    # The spread of blocks can exceed the range of the readings, for example if runs stay in one of
    # two modes for a long time.
    return max(low, float(times.min())) - half_step, min(high, float(times.max())) + half_step


def _reach_of_blocks(times: Times, level: float) -> float:
    """Return the half-width from the medians of blocks; 0 if there are too few runs for blocks."""
    most = len(times) // _BLOCK_RUNS
    counts = {min(blocks, most) for blocks in _BLOCKS}
    return max(
        (
            block_half_width(block_medians(times, count), 1 - level, max(1, count // _TRIM))
            for count in counts
            if count >= _FEWEST_BLOCKS
        ),
        default=0.0,
    )


def block_medians(times: Times, blocks: int) -> list[float]:
    """Return the medians of consecutive blocks of runs, nearly equal in length."""
    return [float(np.median(block)) for block in np.array_split(times, blocks)]


@functools.lru_cache(maxsize=64)
@np.errstate(under="ignore")  # terms of a binomial distribution may be as small as 0
def _lower_rank(count: int, level: float) -> int:
    """Return the rank of the lower end, from 1, by the sign test; 0 if there is none.

    It is the largest k with P(Binomial(count, 1/2) < k) at most (1 - level) / 2.
    """
    tail = (1 - level) / 2
    if count > _EXACT_UP_TO:
        half = NormalDist().inv_cdf(1 - tail) * count**0.5 / 2
        return int((count + 1) / 2 - half)
    below = np.arange(1, count // 2 + 1)
    log_terms = np.concatenate(([0.0], np.cumsum(np.log((count - below + 1) / below))))
    at_most = np.cumsum(np.exp(log_terms - count * np.log(2)))
    return int(np.searchsorted(at_most, tail, side="right"))

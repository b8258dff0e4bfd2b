# SPDX-License-Identifier: BSD-3-Clause
"""Figures of a sample of times that a few odd runs cannot spoil."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from .student import trimmed_half_width

Times = npt.NDArray[np.float64]

# Tukey's outer fences (Exploratory Data Analysis, 1977), so many spreads of the middle half away
# from it. The inner ones, at 1.5, would flag 7 runs of 1000 of a normal distribution; these, 2 in a
# million, and 1 % where times have an exponential tail.
_FENCE = 3.0

# A fence is at least this far out, as a share of the median, and two of the clock's steps: the
# middle half can have no spread at all.
_LEAST_FENCE = 0.01

# A gap wider than both, a share of the median and seconds, is not taken for a step of a clock.
_COARSEST_STEP = (0.1, 1e-6)

# Readings whose distances are further from a whole number of steps than this, in steps, were not
# read in them. Those of 100 ms by events, floats of 24 bits, may be a fourth of one of 32 ns off.
_OFF_STEP = 0.3

# Blocks of runs, of which each is to tell little about the next. Few and long ones do that for runs
# that resemble one another for long; of many, the interval is narrower. With ten it is 15 to 20 %
# wider than need be where runs are independent.
_BLOCKS = 10
_FEWEST_BLOCKS = 8
_BLOCK_RUNS = 5

# From here on the sum over all ranks is more work than the answer is worth: the normal
# approximation then has the rank right to one or two in a thousand.
_EXACT_UP_TO = 200_000


def median_interval(
    times: Times, level: float = 0.95, step: float | None = None
) -> tuple[float, float]:
    """Return the interval that covers the true median with probability `level` or more.

    The wider one of two. The first reaches from one order statistic to another, those which the
    sign test does not reject (Thompson 1936; David and Nagaraja, Order Statistics, 7.1). That is
    what a percentile bootstrap of the median comes to with infinitely many resamples, but exact for
    any distribution and any number of runs, without a seed, and as quick as a partition of the
    array. It supposes, as the bootstrap does, that one run does not tell about the next. Where runs
    resemble their neighbours, there is less to be known from them than from so many; so the second,
    from 40 runs on, is by how much the medians of consecutive blocks spread (batch means: Schmeiser
    1982), but for the least and the greatest of them, as runs that are odd come in bursts. It goes
    no further than the readings do. Both ends are NaN below the least number of runs from which any
    two of them can be so sure, 6 for 95 %.

    Where the clock's step shows, the interval is wider by half of it at either end. `step` is that
    of times which come from several processes, and show none together.
    """
    rank = _lower_rank(len(times), level)
    if rank == 0:
        return float("nan"), float("nan")
    lower, upper = rank - 1, len(times) - rank
    ends = np.partition(times, (lower, upper))
    reach = _reach_of_blocks(times, level)
    middle = float(np.median(times))
    # Order statistics of readings are steps of the clock, and two that are equal say which step it
    # is, not that the time is known to the last digit. As runs begin anywhere between two steps,
    # the median reading is the step nearest to the truth: half a step off at most. How long a step
    # is only the readings tell. What is promised of events, 0.5 us, is sixteen times what an H100
    # has, and a measurement may have been loaded on another machine; so where all readings are one
    # value, and none shows, no width is made up: such runs hardly ever lie between two steps.
    half_step = (clock_step(times) if step is None else step) / 2
    low, high = min(float(ends[lower]), middle - reach), max(float(ends[upper]), middle + reach)
    # Blocks may spread so that nothing is known, as where runs keep to one of two modes for long.
    return max(low, float(times.min())) - half_step, min(high, float(times.max())) + half_step


def _reach_of_blocks(times: Times, level: float) -> float:
    """Return how far the median may be off by what the medians of blocks say; 0 of too few runs."""
    blocks = min(_BLOCKS, len(times) // _BLOCK_RUNS)
    if blocks < _FEWEST_BLOCKS:
        return 0.0
    medians = [float(np.median(block)) for block in np.array_split(times, blocks)]
    return trimmed_half_width(medians, 1 - level)


@functools.lru_cache(maxsize=64)
def _lower_rank(count: int, level: float) -> int:
    """Return the largest rank, from 1, with P(fewer than so many lie below the median) small."""
    tail = (1 - level) / 2
    if count > _EXACT_UP_TO:
        from statistics import NormalDist

        half = NormalDist().inv_cdf(1 - tail) * count**0.5 / 2
        return int((count + 1) / 2 - half)
    below = np.arange(1, count // 2 + 1)
    log_terms = np.concatenate(([0.0], np.cumsum(np.log((count - below + 1) / below))))
    at_most = np.cumsum(np.exp(log_terms - count * np.log(2)))
    return int(np.searchsorted(at_most, tail, side="right"))


def median_deviation(times: Times) -> float:
    """Return the median of the distances from the median (MAD), as it is: not scaled to a std."""
    return float(np.median(np.abs(times - np.median(times))))


def far_outliers(times: Times, step: float | None = None) -> npt.NDArray[np.bool_]:
    """Say for each time whether it lies beyond Tukey's outer fences. `step`: see above."""
    step = clock_step(times) if step is None else step
    lower, middle, upper = np.quantile(times, (0.25, 0.5, 0.75))
    reach = max(_FENCE * (upper - lower), _LEAST_FENCE * abs(middle), 2 * step)
    return np.asarray((times < lower - reach) | (times > upper + reach))


def middle_mean(times: Times, axis: int = -1) -> Times:
    """Return the mean of the middle half along an axis.

    As safe from odd runs as the median nearly, less noisy, and not bound to the clock's steps: what
    lies between two of them shows in how often each one is read.
    """
    count = times.shape[axis]
    cut = count // 4
    if cut == 0:
        return np.asarray(np.mean(times, axis=axis))
    kept = np.take(
        np.partition(times, (cut, count - cut - 1), axis=axis), range(cut, count - cut), axis
    )
    return np.asarray(np.mean(kept, axis=axis))


def clock_step(times: Times) -> float:
    """Return the step in which these times were read, in seconds; 0 where none shows.

    One shows where the same few values come again and again, all of them so many steps apart. A
    single reading beside the others is a stray one, and shows none.
    """
    values, counts = np.unique(times, return_counts=True)
    if values.size < 2 or values.size > len(times) / 2 or len(times) - counts.max() < 2:
        return 0.0
    gaps = np.diff(values)
    step = float(gaps.min())
    steps = gaps / step
    if not np.isfinite(steps).all() or np.abs(steps - np.rint(steps)).max() > _OFF_STEP:
        return 0.0
    share, seconds = _COARSEST_STEP
    return step if step <= max(share * abs(float(np.median(times))), seconds) else 0.0

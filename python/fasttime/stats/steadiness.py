# SPDX-License-Identifier: BSD-3-Clause
"""Whether runs stay at one level: tests for drift, slow noise and two modes."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from . import Times
from .correlation import lag_one
from .median import block_medians
from .student import block_half_width

# A drift counts if times changed by at least this share from the first run to the last, and if
# chance alone would order the blocks like that in at most one of 1000 measurements.
DRIFT_CHANGE = 0.02
DRIFT_P = 1e-3
_DRIFT_BLOCKS = 24
_DRIFT_FEWEST_BLOCKS = 8  # no order of fewer blocks is that rare
_DRIFT_BLOCK_RUNS = 3

# Two modes count if they are at least this far apart and at least six steps of the clock, and if
# the smaller one has this share of the runs. Half-way between the modes there must be fewer than
# half as many runs as at each mode, with a p-value of at most one in 1000.
MODE_DISTANCE = 0.03
MODE_SHARE = 0.1
_MODE_STEPS = 6
_VALLEY = 0.5
_VALLEY_P = 1e-3
_MODE_RUNS = 20

# With fewer runs, a valley in the density cannot be counted. Two modes then count if the gap
# between them is this wide, as a multiple of the wider mode's range and divided by the number of
# runs, and if each has a quarter of the runs and at least three. With one mode, that is the case in
# one of 1000 measurements: for normal, exponential, uniform and log-normal runs by simulation.
_FEW_MODE_RUNS = 8
_FEW_GAP = 36.0
_FEW_SHARE = 0.25
_FEW_IN_MODE = 3

# Slow noise counts if neighbouring blocks are correlated by this much and if chance alone gives
# such a correlation in at most one of 1000 measurements. It must also matter: the interval of the
# median must be at least this share of the median to each side.
_SLOW_CORRELATION = 0.6
_SLOW_DEVIATIONS = 3.0
_SLOW_HALF_WIDTH = 0.005
_SLOW_BLOCKS = 40
_SLOW_FEWEST_BLOCKS = 20
_SLOW_BLOCK_RUNS = 5


def drift(times: Times, p: float = DRIFT_P) -> float | None:
    """Return the relative change of times from the first run to the last; None without a drift.

    The slope is the Theil-Sen estimate (1950, 1968), and the test is the Mann-Kendall test (1945,
    1975). Both use the medians of up to 24 consecutive blocks of 3 runs or more, or of 2 or 1 if
    there are fewer than 24 or 16 runs. So runs that resemble their next neighbours do not look like
    a trend. Times that wander for longer than a block cannot be told from a trend. With a
    correlation of 0.9 between neighbours, the test finds a drift in 8 % of measurements of 45 runs,
    and in 3 % of measurements of 200.

    Args:
        times: in the order of the runs, in seconds.
        p: the p-value below which an order of the blocks is not due to chance.
    """
    if len(times) < _DRIFT_FEWEST_BLOCKS:
        return None
    block_runs = min(_DRIFT_BLOCK_RUNS, len(times) // _DRIFT_FEWEST_BLOCKS)
    n = min(_DRIFT_BLOCKS, len(times) // block_runs)
    medians = np.array(block_medians(times, n))
    earlier, later = np.triu_indices(n, 1)
    rises = medians[later] - medians[earlier]
    # The 1 is the continuity correction of Kendall's statistic.
    excess = max(0.0, abs(float(np.sign(rises).sum())) - 1) / math.sqrt(
        n * (n - 1) * (2 * n + 5) / 18
    )
    if 2 * NormalDist().cdf(-excess) > p:
        return None
    slope = float(np.median(rises / (later - earlier)))
    middle = float(np.median(medians))
    start = middle - slope * (n - 1) / 2
    end = middle + slope * (n - 1) / 2
    if start <= 0 or end <= 0:  # a line so steep that one end is no possible time
        start, end = float(medians[:2].mean()), float(medians[-2:].mean())
    change = end / start - 1
    return change if abs(change) >= DRIFT_CHANGE else None


def slow_noise(times: Times) -> tuple[float, int] | None:
    """Return the correlation of neighbouring blocks, and runs per block; None without slow noise.

    With slow noise, a measurement sees the machine in few of its states, and the interval of the
    median may be too narrow. The blocks are a fortieth of the runs each, and five runs or more.

    Args:
        times: in the order of the runs, in seconds.
    """
    count = min(_SLOW_BLOCKS, len(times) // _SLOW_BLOCK_RUNS)
    if count < _SLOW_FEWEST_BLOCKS:
        return None
    medians = block_medians(times, count)
    correlation = lag_one(medians)
    # The standard error of the correlation of independent values is 1 / sqrt(count).
    if correlation <= max(_SLOW_CORRELATION, _SLOW_DEVIATIONS / math.sqrt(count)):
        return None
    if block_half_width(medians, 0.05) < _SLOW_HALF_WIDTH * abs(float(np.median(times))):
        return None
    return correlation, len(times) // count


def two_modes(times: Times, step: float = 0.0) -> tuple[float, float, float] | None:
    """Return both modes in seconds and the share of runs in the upper one; None without two modes.

    The sample is cut in two so as to minimise the variance of the logarithms within the parts (Otsu
    1979). Then three windows of equal width are counted: one around the median of each part, and
    one half-way between. A unimodal density, averaged over a window, stays unimodal. So with one
    mode, whatever its shape, only chance puts fewer runs into the middle window than into the
    emptier of the others.

    With fewer than 20 runs, the gap between the parts decides instead.

    Args:
        times: in any order, in seconds.
        step: the step of the clock, in seconds; 0 if none shows.
    """
    if len(times) < _FEW_MODE_RUNS or times.min() <= 0:
        return None
    logs = np.sort(np.log(times))
    # A quarter of a mode's least share is left out at each end, since one far-off run would attract
    # the cut.
    edge = int(len(logs) * MODE_SHARE / 4)
    logs = logs[edge : len(logs) - edge]
    cut = _best_cut(logs)
    share = 1 - (edge + cut) / len(times)
    low, high = float(np.median(logs[:cut])), float(np.median(logs[cut:]))
    apart = high - low
    is_apart = apart >= math.log1p(MODE_DISTANCE)
    is_apart &= math.exp(high) - math.exp(low) >= _MODE_STEPS * step
    if not is_apart or not MODE_SHARE <= share <= 1 - MODE_SHARE:
        return None
    modes = math.exp(low), math.exp(high), share
    if len(times) < _MODE_RUNS:
        return modes if _has_gap(logs, cut) else None
    at_low, between, at_high = (
        int(
            np.searchsorted(logs, centre + apart / 6, "left")
            - np.searchsorted(logs, centre - apart / 6, "left")
        )
        for centre in (low, (low + high) / 2, high)
    )
    lesser = min(at_low, at_high)
    if between >= _VALLEY * lesser or _binomial_half(between, between + lesser) > _VALLEY_P:
        return None
    return modes


def _has_gap(values: Times, cut: int) -> bool:
    """Return whether few sorted values fall into two narrow groups."""
    count = len(values)
    if min(cut, count - cut) < max(_FEW_IN_MODE, _FEW_SHARE * count):
        return False
    wider = max(values[cut - 1] - values[0], values[-1] - values[cut])
    return bool(values[cut] - values[cut - 1] > _FEW_GAP / count * wider)


def _best_cut(values: Times) -> int:
    """Return how many of the sorted values go into the lower part."""
    centred = values - values.mean()
    counts = np.arange(1, len(values))
    sums = np.cumsum(centred)[:-1]
    between = sums**2 / (counts * (len(values) - counts))
    return int(np.argmax(between)) + 1


def _binomial_half(successes: int, trials: int) -> float:
    """Return P(Binomial(trials, 1/2) <= successes)."""
    logs = (
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        for k in range(successes + 1)
    )
    return math.fsum(math.exp(log - trials * math.log(2)) for log in logs)

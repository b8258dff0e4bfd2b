# SPDX-License-Identifier: BSD-3-Clause
"""Doubts that rest on the times alone: few runs or processes, outliers, a drift, two modes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from ..stats.processes import (
    FEWEST_PROCESSES,
    at_one_level,
    by_process,
    coarsest_step,
)
from ..stats.times import Times, far_outliers
from ..text import format_change, format_seconds
from ..timing_warning import TimingWarning
from .warnings import WarningKind

# Those which can be worked out again from the times, so that a merged measurement does.
DISTRIBUTION_KINDS: tuple[WarningKind, ...] = (
    "few_samples",
    "few_processes",
    "outliers",
    "drift",
    "two_modes",
)

# Below it, quantiles and spread are guesses, and none of the tests below has a chance.
FEW = 10

# More outliers than this, and at least so many, are no accident of a long tail: an exponential one
# has 1 %.
OUTLIER_SHARE = 0.05
_OUTLIERS = 5

# A drift is told where times changed by this share from the first run to the last, and chance
# alone would order them so only once in 1000 measurements.
DRIFT_CHANGE = 0.02
_DRIFT_P = 1e-3
_DRIFT_BLOCKS = 20
_DRIFT_FEWEST_BLOCKS = 8  # of fewer no order whatever is so rare
_DRIFT_BLOCK_RUNS = 3

# Two modes are told where they lie this far apart (and at least six of the clock's steps), the
# smaller one has this share of the runs, and half-way between there are less than half as many runs
# as at either, which with one mode alone would be seen in less than one measurement of 1000.
MODE_DISTANCE = 0.03
MODE_SHARE = 0.1
_MODE_STEPS = 6
_VALLEY = 0.5
_VALLEY_P = 1e-3
_MODE_RUNS = 20


def judge_times(times: Times, processes: Sequence[int] = ()) -> tuple[TimingWarning, ...]:
    """Return what to doubt about the times of a measurement.

    Args:
        times: of the kept runs, in the order in which they ran; seconds.
        processes: how many of them each process contributed. That processes differ is no doubt
            about any of them: each is judged against its own median, and a drift within it. That
            there are too few of them to say by how much they do is a doubt about all.
    """
    parts = [part for part in by_process(times, processes) if len(part)]
    medians = [float(np.median(part)) for part in parts]
    few = _few_processes(len(parts))
    if not medians or min(medians) <= 0 or not np.isfinite(times).all():
        return () if few is None else (few,)
    level = at_one_level(parts)
    # Of each process by itself: brought to one level, their steps no longer fall on one another.
    step = coarsest_step(parts)
    found = (
        _few(times),
        few,
        _outliers(level, step),
        _drift(parts),
        _two_modes(level, step),
    )
    return tuple(warning for warning in found if warning is not None)


def _few(times: Times) -> TimingWarning | None:
    if len(times) >= FEW:
        return None
    return TimingWarning(
        "few_samples",
        f"too few runs to judge by, {len(times)}: the median and the spread may be off; take at "
        f"least {FEW}",
    )


def _few_processes(count: int) -> TimingWarning | None:
    # One process is a measurement of that process, with an interval that says no more.
    if not 1 < count < FEWEST_PROCESSES:
        return None
    return TimingWarning(
        "few_processes",
        f"the spread of {count} processes says too little of where the next would lie, so that the "
        f"median has no interval; merge at least {FEWEST_PROCESSES}, as fasttime bench TARGET "
        f"--processes {FEWEST_PROCESSES} does",
    )


def _outliers(times: Times, step: float) -> TimingWarning | None:
    count = int(far_outliers(times, step).sum())
    if count < _OUTLIERS or count <= OUTLIER_SHARE * len(times):
        return None
    return TimingWarning(
        "outliers",
        f"{count} of {len(times)} runs lie far from the others; the median can be relied on, the "
        "mean cannot. See what else runs on the machine",
    )


def _drift(parts: Sequence[Times]) -> TimingWarning | None:
    changes = [change for part in parts if (change := drift(part, _DRIFT_P / len(parts)))]
    if not changes:
        return None
    where = "" if len(parts) == 1 else f" in {len(changes)} of {len(parts)} processes"
    change = max(changes, key=abs)
    return TimingWarning(
        "drift",
        f"times changed by {format_change(change)} from the first run to the last{where}; warm up "
        "for longer, or let the machine cool down",
    )


def drift(times: Times, p: float = _DRIFT_P) -> float | None:
    """Return by which share times changed over the run, if that is no accident; else None.

    The slope is Theil's and Sen's, the test Mann's and Kendall's, both of the medians of up to 20
    consecutive blocks of at least 3 runs. So runs that resemble the next one or two do not pass for
    a trend. Where they wander for longer than a block, nothing tells that from one: of 45 runs with
    a correlation of 0.9 from one to the next, in 9 % of cases; of 200, in 1 %.
    """
    n = min(_DRIFT_BLOCKS, len(times) // _DRIFT_BLOCK_RUNS)
    if n < _DRIFT_FEWEST_BLOCKS:
        return None
    medians = np.array([np.median(block) for block in np.array_split(times, n)])
    earlier, later = np.triu_indices(n, 1)
    rises = medians[later] - medians[earlier]
    # One less: the correction for continuity of Kendall's statistic.
    excess = max(0.0, abs(float(np.sign(rises).sum())) - 1) / math.sqrt(
        n * (n - 1) * (2 * n + 5) / 18
    )
    if 2 * NormalDist().cdf(-excess) > p:
        return None
    slope = float(np.median(rises / (later - earlier)))
    middle = float(np.median(medians))
    # A line that is steep enough leaves what times can be at one of its ends.
    start = middle - slope * (n - 1) / 2
    end = middle + slope * (n - 1) / 2
    if start <= 0 or end <= 0:
        start, end = float(medians[:2].mean()), float(medians[-2:].mean())
    change = end / start - 1
    return change if abs(change) >= DRIFT_CHANGE else None


def _two_modes(times: Times, step: float) -> TimingWarning | None:
    found = two_modes(times, step)
    if found is None:
        return None
    low, high, share = found
    return TimingWarning(
        "two_modes",
        f"times fall into two groups, about {format_seconds(low)} and {format_seconds(high)} "
        f"({round(100 * share)} % of the runs), so that the median may jump from one to the other; "
        "look for two code paths, or a clock that changes",
    )


def two_modes(times: Times, step: float = 0.0) -> tuple[float, float, float] | None:
    """Return the two modes, and the share of runs in the upper one; None where there is but one.

    The sample is cut in two where that leaves the least variance of logarithms (Otsu 1979). Three
    windows of one width are then counted: around the median of either half, and in the middle.
    With one mode, whatever its shape, the middle window holds no fewer than the emptier of the
    others but by accident, since a unimodal density smoothed over a window is unimodal.
    """
    if len(times) < _MODE_RUNS or times.min() <= 0:
        return None
    logs = np.sort(np.log(times))
    # Half of a mode's least share at either end is left out: one far-off run would draw the cut.
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
    return math.exp(low), math.exp(high), share


def _best_cut(values: Times) -> int:
    """Return how many of the sorted values go into the lower group."""
    centred = values - values.mean()
    counts = np.arange(1, len(values))
    sums = np.cumsum(centred)[:-1]
    between = sums**2 / (counts * (len(values) - counts))
    return int(np.argmax(between)) + 1


def _binomial_half(successes: int, trials: int) -> float:
    """Return P(at most so many successes), each as likely as not."""
    logs = (
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        for k in range(successes + 1)
    )
    return math.fsum(math.exp(log - trials * math.log(2)) for log in logs)

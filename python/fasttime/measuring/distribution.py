# SPDX-License-Identifier: BSD-3-Clause
"""Warnings from the times alone: few runs or processes, rare cost, outliers, drift, modes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..stats import Times
from ..stats.outliers import far_outliers
from ..stats.processes import FEWEST_PROCESSES, at_one_level, by_process, coarsest_step
from ..stats.steadiness import DRIFT_P, drift, slow_noise, two_modes
from ..text import format_change, format_count, format_seconds
from ..timing_warning import TimingWarning
from .warnings import WarningKind

# The kinds that can be worked out again from the times, as a merged measurement does.
DISTRIBUTION_KINDS: tuple[WarningKind, ...] = (
    "few_samples",
    "few_processes",
    "rare_cost",
    "outliers",
    "drift",
    "correlated",
    "two_modes",
)

# With fewer runs, quantiles and spread are guesses.
FEW = 10

# A mean that exceeds the median by more than this share shows a cost that the median leaves out.
RARE_COST = 0.10

# Runs of more than this many times the median count as long.
_LONG = 1.5

# More outliers than this share, and at least this many, are not just a long tail: an exponential
# tail has 1 %.
OUTLIER_SHARE = 0.05
_FEWEST_OUTLIERS = 5


def judge_times(times: Times, processes: Sequence[int] = ()) -> tuple[TimingWarning, ...]:
    """Return the warnings about the times of a measurement.

    Args:
        times: the times of the kept runs, in the order of the runs, in seconds.
        processes: the number of kept runs of each process. Each process is judged against its own
            median, and tested for a drift by itself, because processes may differ. Too few
            processes are a warning of their own.
    """
    parts = [part for part in by_process(times, processes) if len(part)]
    medians = [float(np.median(part)) for part in parts]
    few = _few(times), _few_processes(len(parts))
    if not medians:
        return ()
    if min(medians) <= 0 or not np.isfinite(times).all():
        return tuple(warning for warning in few if warning is not None)
    level = at_one_level(parts)
    # From the unscaled times: after scaling, the steps of two processes no longer coincide.
    step = coarsest_step(parts)
    found = (
        *few,
        rare_cost := _rare_cost(level),
        None if rare_cost else _outliers(level, step),
        drift := _drift(parts),
        None if drift else _correlated(parts),
        _two_modes(level, step),
    )
    return tuple(warning for warning in found if warning is not None)


def _few(times: Times) -> TimingWarning | None:
    if len(times) >= FEW:
        return None
    there_are = "There is only 1 run" if len(times) == 1 else f"There are only {len(times)} runs"
    return TimingWarning(
        "few_samples",
        f"{there_are}, so the median and the spread may be far off. Take at least {FEW}.",
    )


def _few_processes(count: int) -> TimingWarning | None:
    # One process gets no warning: its interval only claims to describe that process.
    if not 1 < count < FEWEST_PROCESSES:
        return None
    return TimingWarning(
        "few_processes",
        f"{count} processes are too few to show how much processes differ, so the median has no "
        f"interval. Merge at least {FEWEST_PROCESSES}, as fasttime bench TARGET --processes "
        f"{FEWEST_PROCESSES} does.",
    )


def _rare_cost(times: Times) -> TimingWarning | None:
    mean, median = float(times.mean()), float(np.median(times))
    if mean <= (1 + RARE_COST) * median:
        return None
    long = int((times > _LONG * median).sum())
    cause = (
        f", because {long} of {format_count(len(times), 'run')} took much longer" if long else ""
    )
    return TimingWarning(
        "rare_cost",
        f"The mean of {format_seconds(mean)} is {100 * (mean / median - 1):.0f} % above the "
        f"median{cause}, so the median leaves out part of the cost. For totals and rates, use the "
        "mean.",
    )


def _outliers(times: Times, step: float) -> TimingWarning | None:
    count = int(far_outliers(times, step).sum())
    if count < _FEWEST_OUTLIERS or count <= OUTLIER_SHARE * len(times):
        return None
    return TimingWarning(
        "outliers",
        f"{count} of {len(times)} runs lie far from the others, so quantiles and the standard "
        "deviation depend on what disturbed these runs. Check what else runs on the machine.",
    )


def _drift(parts: Sequence[Times]) -> TimingWarning | None:
    changes = [change for part in parts if (change := drift(part, DRIFT_P / len(parts)))]
    if not changes:
        return None
    where = "" if len(parts) == 1 else f" in {len(changes)} of {len(parts)} processes"
    change = max(changes, key=abs)
    return TimingWarning(
        "drift",
        f"Times changed by {format_change(change)} from the first run to the last{where}, so the "
        "median depends on when you measure. Warm up for longer, or let the machine cool down.",
    )


def _correlated(parts: Sequence[Times]) -> TimingWarning | None:
    found = [noise for part in parts if (noise := slow_noise(part)) is not None]
    if not found:
        return None
    correlation, runs = max(found)
    return TimingWarning(
        "correlated",
        f"Times wander slowly: blocks of {format_count(runs, 'run')} are correlated by "
        f"{correlation:.1f} with the next block, so the median's interval may be too narrow. Use a "
        "larger budget, or measure in several processes.",
    )


def _two_modes(times: Times, step: float) -> TimingWarning | None:
    found = two_modes(times, step)
    if found is None:
        return None
    low, high, share = found
    return TimingWarning(
        "two_modes",
        f"Times fall into two groups, about {format_seconds(low)} and {format_seconds(high)} "
        f"({round(100 * share)} % of the runs), so the median may jump from one to the other. "
        "Check for two code paths, or for a clock that changes.",
    )

# SPDX-License-Identifier: BSD-3-Clause
"""The verdict on two saved measurements: by pairs of processes, by processes, or by runs."""

from __future__ import annotations

import math

import numpy as np

from ..measuring.measurement import Measurement
from ..stats.median import median_interval
from ..stats.processes import FEWEST_PROCESSES, by_process, coarsest_step
from ..stats.signed_rank import fewest_pairs, location_interval
from ..stats.student import difference_interval
from .verdict import TOO_COARSE, Verdict, decide, times_as_many

# A little less than the promised 5 %, because medians of processes are only nearly normal.
_ALPHA = 0.04

# The signed rank test makes no assumption on the noise.
_ALPHA_OF_PAIRS = 0.05
FEWEST_PAIRS = fewest_pairs(_ALPHA_OF_PAIRS)

# More processes per side than this are not advised: they take too long.
_MOST_ADVISED = 20

_QUIETER = "To decide, stop other programs on the machine, or do more work in each call."


def judge_saved(
    old: Measurement, new: Measurement, margin: float, allowance: float, *, in_pairs: bool
) -> Verdict:
    """Return the verdict on the new measurement.

    Args:
        old, new: the measurements; both calibrated, or both not.
        margin: how far the ratio may be from 1 for ``same``.
        allowance: how much two processes may differ by chance, if there are too few of them.
        in_pairs: whether the processes of the two sides took turns. Then each pair has a ratio.
    """
    medians = old.process_medians, new.process_medians
    if not all(0 < median < math.inf for side in medians for median in side):
        reason = "A median is not above zero, so there is no ratio. Do more work in each call."
        return Verdict("can't tell", math.nan, (0.0, math.inf), reason)
    before, after = (np.log(side).tolist() for side in medians)
    # A median is a multiple of the clock's step, so it may be half a step off on either side.
    step = (_relative_step(old) + _relative_step(new)) / 2
    if in_pairs:
        return _judge_pairs(before, after, step, margin)
    if min(len(before), len(after)) >= FEWEST_PROCESSES:
        return _judge_processes(before, after, step, margin)
    return _judge_runs(old, new, margin, allowance)


def _judge_pairs(old: list[float], new: list[float], step: float, margin: float) -> Verdict:
    """Judge by the ratio of each pair. What the machine did to both sides of a pair cancels out.

    The side that goes first is drawn for each pair. With no real difference, the log ratios are
    then symmetric around zero, whatever the noise is like. The interval relies on nothing else.
    """
    change, low, high = location_interval(np.subtract(new, old), _ALPHA_OF_PAIRS)
    interval = (math.exp(low - step), math.exp(high + step))
    verdict = decide(interval, margin)
    reason = f"Based on {len(old)} pairs of processes that took turns."
    if verdict == "can't tell":
        reason = f"{len(old)} pairs of processes vary too much to decide. "
        reason += _what_would_decide(
            change,
            (high - low) / 2,
            margin,
            step,
            len(old),
            "About {0} pairs would decide: fasttime bench TARGET --against REV --processes {0}",
        )
    return Verdict(verdict, math.exp(change), interval, reason)


def _judge_processes(old: list[float], new: list[float], step: float, margin: float) -> Verdict:
    """Judge by the logarithms of the processes' medians, since runs are not independent."""
    change, low, high = difference_interval(old, new, _ALPHA)
    interval = (math.exp(low - step), math.exp(high + step))
    verdict = decide(interval, margin)
    counts = f"{len(old)} old and {len(new)} new processes"
    reason = f"Based on the spread of {counts}."
    if verdict == "can't tell":
        reason = f"{counts} vary too much to decide. "
        reason += _what_would_decide(
            change,
            (high - low) / 2,
            margin,
            step,
            min(len(old), len(new)),
            "About {0} processes per side would decide: fasttime bench TARGET --processes {0}",
        )
    return Verdict(verdict, math.exp(change), interval, reason)


def _what_would_decide(
    change: float, half_width: float, margin: float, step: float, count: int, advice: str
) -> str:
    more = times_as_many(change, half_width, margin, step)
    if math.isinf(more):
        return TOO_COARSE.format(100 * step)
    needed = max(count + 1, math.ceil(more * count))
    return _QUIETER if needed > _MOST_ADVISED else advice.format(needed)


def _judge_runs(old: Measurement, new: Measurement, margin: float, allowance: float) -> Verdict:
    """Judge by the runs, and allow for the change that another process could make."""
    ratio = new.median / old.median
    ends = (*_interval(old), *_interval(new))
    advice = "measure both in several processes: fasttime bench TARGET --processes 5"
    if any(math.isnan(end) for end in ends) or min(ends) <= 0:
        why = "Some times are zero" if min(ends) <= 0 else "There are too few runs"
        reason = f"{why}. To decide, {advice}"
        return Verdict("can't tell", ratio, (0.0, math.inf), reason)
    room = 1 + allowance
    interval = (ends[2] / ends[1] / room, ends[3] / ends[0] * room)
    verdict = decide(interval, margin, beyond=max(0.0, (1 + margin) / room - 1))
    reason = (
        f"With fewer than {FEWEST_PROCESSES} processes per side, a change of "
        f"{100 * allowance:g} % may be chance"
    )
    if verdict == "can't tell":
        reason += f". To decide, {advice}"
    elif verdict == "same":
        reason += ", but this change is within the margin."
    else:
        reason += ", but this change is larger."
    return Verdict(verdict, ratio, interval, reason)


def _interval(measurement: Measurement) -> tuple[float, float]:
    """Return the interval of the median. With too few processes, it holds each process's median."""
    medians = measurement.process_medians
    if len(medians) >= FEWEST_PROCESSES:
        return measurement.median_interval
    parts = by_process(measurement.times, measurement.processes)
    low, high = median_interval(measurement.times, step=coarsest_step(parts))
    # The interval of all runs together may lie between two processes and leave out both.
    return float(np.min([low, *medians])), float(np.max([high, *medians]))


def _relative_step(one: Measurement) -> float:
    return coarsest_step(by_process(one.times, one.processes)) / one.median

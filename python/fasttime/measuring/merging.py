# SPDX-License-Identifier: BSD-3-Clause
"""Several measurements of one callable, each from a process of its own, as one measurement."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bottleneck import Bottleneck
from ..environment.differences import environment_differences
from ..timing_warning import TimingWarning
from .distribution import DISTRIBUTION_KINDS, judge_times

if TYPE_CHECKING:
    from .measurement import Measurement

Parts = tuple["Measurement", ...]

# These must be equal, or the times are not times of the same thing.
_SAME = ("label", "method", "cache", "device", "held", "is_calibrated")

_ENDINGS = ("interrupt", "budget", "precision", "count")  # the ending that asks for most care first


def merged_fields(parts: Parts) -> dict[str, Any]:
    """Return the fields in which the merged measurement differs from the first of the parts.

    Raises ValueError if the parts cannot be merged.
    """
    if not parts:
        raise ValueError("merge() takes at least one measurement, got none")
    for name in _SAME:
        found = {getattr(part, name): None for part in parts}
        if len(found) > 1:
            raise ValueError(
                f"measurements with different {name} cannot be merged: "
                f"{', '.join(map(repr, found))}; use fasttime.compare_saved(old, new) to compare "
                "them"
            )
    _refuse_twice(parts)
    times = np.concatenate([part.times for part in parts])
    processes = tuple(count for part in parts for count in part.processes)
    return {
        "times": times,
        "warmup_times": np.concatenate([part.warmup_times for part in parts]),
        "host_times": np.concatenate([part.host_times for part in parts]),
        "loop_time": sum(part.loop_time for part in parts),
        "warmup": sum(part.warmup for part in parts),
        "repeat": sum(part.repeat for part in parts),
        "wall_time": _median_of([part.wall_time for part in parts]),
        "event_overhead": _median_of([part.event_overhead for part in parts]),
        "ended_by": min((part.ended_by for part in parts), key=_ENDINGS.index),
        "processes": processes,
        "bottleneck": _bottleneck(parts),
        "warnings": (*_warnings(parts), *judge_times(times, processes)),
    }


def _refuse_twice(parts: Parts) -> None:
    """Raise ValueError if a measurement is given twice, since it would agree with itself."""
    for (first, one), (second, other) in itertools.combinations(enumerate(parts), 2):
        # A few device times can be equal by accident, because the clock moves in steps. Host times
        # cannot.
        if one is other or all(
            np.array_equal(getattr(one, name), getattr(other, name))
            for name in ("times", "host_times", "loop_time")
        ):
            raise ValueError(
                f"measurements {first} and {second} are the same one, which does not show how much "
                "processes differ; measure in separate processes: fasttime bench TARGET "
                f"--processes {len(parts)}"
            )


def _bottleneck(parts: Parts) -> Bottleneck | None:
    """Return the middle bottleneck if all parts agree, and ``unclear`` if not."""
    found = [part.bottleneck for part in parts if part.bottleneck is not None]
    if len(found) < len(parts):
        return None
    votes = Counter(one.bound for one in found)
    if len(votes) > 1:
        words = ", ".join(f"{count} {bound}" for bound, count in votes.most_common())
        return Bottleneck("unclear", f"the processes disagree ({words})")
    return sorted(found, key=lambda one: one.headroom or 0.0)[(len(found) - 1) // 2]


def _median_of(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if len(known) == len(values) else None


def _warnings(parts: Parts) -> list[TimingWarning]:
    """Return one warning of each kind, without those about the times."""
    by_kind: dict[str, TimingWarning] = {}
    for part in parts:
        for warning in part.warnings:
            if warning.kind not in DISTRIBUTION_KINDS:
                by_kind.setdefault(warning.kind, warning)
    if changed := _changed_environment(parts):
        by_kind["environments_differ"] = TimingWarning(
            "environments_differ",
            f"The processes ran in different environments ({changed}), so their times may not "
            "belong together. Measure them again under the same conditions.",
        )
    return list(by_kind.values())


def _changed_environment(parts: Parts) -> str:
    differences = {
        difference.field: difference
        for part in parts[1:]
        for difference in environment_differences(parts[0].environment, part.environment)
    }
    return "; ".join(map(str, differences.values()))

# SPDX-License-Identifier: BSD-3-Clause
"""Several measurements of one thing, each from a process of its own, as one."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bottleneck import Bottleneck
from ..timing_warning import TimingWarning
from .distribution import DISTRIBUTION_KINDS, judge_times

if TYPE_CHECKING:
    from .measurement import Measurement

# What has to be the same for times to be times of one thing.
_SAME = ("label", "method", "cache", "device", "held", "is_calibrated")

_ENDINGS = ("budget", "precision", "count")  # the one that asks for most care first


def merge(parts: tuple[Measurement, ...]) -> Measurement:
    """Return the parts as one. Raises ValueError where they do not belong together."""
    if not parts:
        raise ValueError("merge() takes at least one measurement, got none")
    first = parts[0]
    for name in _SAME:
        found = {getattr(part, name): None for part in parts}
        if len(found) > 1:
            raise ValueError(
                f"measurements that differ in {name} cannot be merged: "
                f"{', '.join(map(repr, found))}; use fasttime.compare_saved(old, new) to set one "
                "against the other"
            )
    _refuse_twice(parts)
    times = np.concatenate([part.times for part in parts])
    processes = tuple(count for part in parts for count in part.processes)
    return dataclasses.replace(
        first,
        times=times,
        warmup_times=np.concatenate([part.warmup_times for part in parts]),
        host_times=np.concatenate([part.host_times for part in parts]),
        loop_time=sum(part.loop_time for part in parts),
        warmup=sum(part.warmup for part in parts),
        repeat=sum(part.repeat for part in parts),
        wall_time=_median_of([part.wall_time for part in parts]),
        event_overhead=_median_of([part.event_overhead for part in parts]),
        ended_by=min((part.ended_by for part in parts), key=_ENDINGS.index),
        processes=processes,
        bottleneck=_bottleneck(parts),
        warnings=(*_warnings(parts), *judge_times(times, processes)),
    )


def _refuse_twice(parts: tuple[Measurement, ...]) -> None:
    """Raise ValueError where one measurement is there twice: it would agree with itself."""
    for (first, one), (second, other) in itertools.combinations(enumerate(parts), 2):
        # Few times of a clock that moves in steps may be equal by accident; the host's are not.
        if one is other or all(
            np.array_equal(getattr(one, name), getattr(other, name))
            for name in ("times", "host_times", "loop_time")
        ):
            raise ValueError(
                f"measurements {first} and {second} are one and the same, which says nothing of "
                "how much processes differ; measure in a process for each: fasttime bench TARGET "
                f"--processes {len(parts)}"
            )


def _bottleneck(parts: tuple[Measurement, ...]) -> Bottleneck | None:
    """Return the one in the middle where all are of one mind; `unclear` where they are not."""
    found = [part.bottleneck for part in parts if part.bottleneck is not None]
    if len(found) < len(parts):
        return None
    votes = Counter(one.bound for one in found)
    if len(votes) > 1:
        words = ", ".join(f"{count} {bound}" for bound, count in votes.most_common())
        return Bottleneck("unclear", f"the processes do not agree ({words})")
    return sorted(found, key=lambda one: one.headroom or 0.0)[(len(found) - 1) // 2]


def _median_of(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if len(known) == len(values) else None


def _warnings(parts: tuple[Measurement, ...]) -> list[TimingWarning]:
    """Return one doubt of each kind. Those about the times are worked out anew by the caller."""
    by_kind: dict[Any, TimingWarning] = {}
    for part in parts:
        for warning in part.warnings:
            if warning.kind not in DISTRIBUTION_KINDS:
                by_kind.setdefault(warning.kind, warning)
    if changed := _changed_environment(parts):
        by_kind["environments_differ"] = TimingWarning(
            "environments_differ", f"the processes ran in different environments: {changed}"
        )
    return list(by_kind.values())


def _changed_environment(parts: tuple[Measurement, ...]) -> str:
    from ..environment.differences import environment_differences

    differences = {
        difference.field: difference
        for part in parts[1:]
        for difference in environment_differences(parts[0].environment, part.environment)
    }
    return "; ".join(map(str, differences.values()))

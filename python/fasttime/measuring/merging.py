# SPDX-License-Identifier: BSD-3-Clause
"""Several measurements of one callable, each from a process of its own, as one measurement."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bottleneck import Bottleneck
from ..environment.differences import environment_differences
from ..text import format_seconds
from ..timing_warning import TimingWarning
from .clocks import ClockSample
from .distribution import DISTRIBUTION_KINDS, judge_times

if TYPE_CHECKING:
    from ..environment.origin import ProcessOrigin
    from .measurement import Measurement

Parts = tuple["Measurement", ...]

# These must be equal, or the times are not times of the same thing.
_SAME = ("label", "method", "cache", "device", "calls", "has_setup", "work")

_ENDINGS = ("interrupt", "budget", "precision", "count")  # the ending that asks for most care first


def merged_fields(parts: Parts) -> dict[str, Any]:
    """Return the fields in which the merged measurement differs from the first of the parts.

    Raises ValueError if the parts cannot be merged.
    """
    if not parts:
        raise ValueError("merge() takes at least one measurement, got none")
    for name in _SAME:
        found = [getattr(part, name) for part in parts]
        if any(value != found[0] for value in found):
            distinct = dict.fromkeys(map(repr, found))
            raise ValueError(
                f"measurements with different {name} cannot be merged: "
                f"{', '.join(distinct)}; use fasttime.compare_saved(old, new) to compare "
                "them"
            )
    _refuse_twice(parts)
    _refuse_one_process(parts)
    on_holding, on_overhead = mixed_holding(parts), mixed_calibration(parts)
    if on_overhead is not None:
        parts = tuple(map(with_overhead, parts))
    mixed = [warning for warning in (on_holding, on_overhead) if warning is not None]
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
        "held": all(part.held for part in parts),
        "is_calibrated": parts[0].is_calibrated,
        "processes": processes,
        "origins": _origins(parts),
        "bottleneck": _bottleneck(parts),
        "peaks": _peaks(parts),
        "clocks": _clocks(parts),
        "warnings": (*mixed, *_warnings(parts), *judge_times(times, processes)),
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


def _refuse_one_process(parts: Parts) -> None:
    """Raise ValueError if two measurements are from one process, as far as this is known."""
    seen: dict[tuple[object, ...], int] = {}
    for index, part in enumerate(parts):
        for process in {origin.process for origin in part.origins}:
            first = seen.setdefault(process, index)
            if first != index:
                raise ValueError(
                    f"measurements {first} and {index} are from one process, number {process[1]}, "
                    "so they do not show how much processes differ; measure in separate "
                    f"processes: fasttime bench TARGET --processes {len(parts)}"
                )


def _origins(parts: Parts) -> tuple[ProcessOrigin, ...]:
    known = all(len(part.origins) == len(part.processes) for part in parts)
    return tuple(origin for part in parts for origin in part.origins) if known else ()


def _peaks(parts: Parts) -> dict[str, float]:
    """Return the peaks on which all parts that know them agree."""
    known: dict[str, set[float]] = {}
    for part in parts:
        for kind, peak in part.peaks.items():
            known.setdefault(kind, set()).add(peak)
    return {kind: found.pop() for kind, found in known.items() if len(found) == 1}


def _clocks(parts: Parts) -> tuple[ClockSample, ...]:
    """Return all samples, with the runs counted over all parts."""
    before = itertools.accumulate((len(part) for part in parts), initial=0)
    return tuple(
        ClockSample(first + sample.run, sample.mhz)
        for first, part in zip(before, parts, strict=False)
        for sample in part.clocks
    )


def with_overhead(part: Measurement) -> Measurement:
    """Return a measurement whose times include the event overhead."""
    if not part.is_calibrated:
        return part
    times = part.times + (part.event_overhead or 0.0)
    return dataclasses.replace(part, times=times, is_calibrated=False)


def mixed_calibration(parts: Parts) -> TimingWarning | None:
    """Warn if the event overhead was subtracted in some processes only."""
    raw = [part for part in parts if not part.is_calibrated]
    if len(raw) in (0, len(parts)):
        return None
    overhead = max(part.event_overhead or 0.0 for part in parts)
    processes = [sum(len(part.processes) for part in some) for some in (raw, parts)]
    return TimingWarning(
        "mixed_calibration",
        f"In {processes[0]} of {processes[1]} processes the event overhead could not be "
        f"subtracted, so all times include about {format_seconds(overhead)} of it. Measure with "
        "hold=True (fasttime bench --hold), or do more work in each call.",
    )


def mixed_holding(parts: Parts) -> TimingWarning | None:
    """Warn if the stream was held in some processes only, and the times of others may differ.

    Without a hold, the event overhead is subtracted only if work was waiting at each run. Times are
    then what they are behind a held stream.
    """
    free = [part for part in parts if not part.held and not part.is_calibrated]
    if not free or not any(part.held for part in parts):
        return None
    processes = [sum(len(part.processes) for part in some) for some in (free, parts)]
    return TimingWarning(
        "mixed_holding",
        f"In {processes[0]} of {processes[1]} processes the stream was not held, so their times "
        "may include launch latency. Measure with hold=False (fasttime bench --no-hold) to treat "
        "all alike.",
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

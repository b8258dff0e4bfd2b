# SPDX-License-Identifier: BSD-3-Clause
"""Which of the three methods reads right, and why, worked out from their figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ..measuring.doubts import DoubtKind
from ..measuring.measurement import Measurement, Method
from ..units import format_change, format_seconds

Reading = Literal["right", "right by accident", "wrong", "unclear"]

# Two methods that are no further apart than this agree.
_TOLERANCE = 0.05

# A change of the loop below this is taken for noise.
_LOOP_NOISE = 0.01

_NAIVE_READINGS: dict[DoubtKind, Reading] = {
    "queued_only": "wrong",
    "launch_queue_full": "right by accident",
    "host_bound": "right",
}


class Finding(NamedTuple):
    """What a method's reading is worth.

    Attributes:
        reading: ``right``, ``right by accident``, ``wrong`` or ``unclear``.
        reason: why, in a sentence with the figures it rests on.
    """

    reading: Reading
    reason: str


def judge_methods(
    measurements: Mapping[Method, Measurement], loop_change: Mapping[Method, float]
) -> dict[Method, Finding]:
    """Return a finding for each method. The event reading, where there is one, is the yardstick."""
    event = measurements.get("event")
    return {
        method: _judge(measurement, event, loop_change[method])
        for method, measurement in measurements.items()
    }


def _judge(measurement: Measurement, event: Measurement | None, loop_change: float) -> Finding:
    for doubt in measurement.warnings:
        if doubt.kind == "cpu":
            return Finding("right", doubt.message)
    if measurement.method == "naive":
        return _judge_naive(measurement, event)
    return _judge_waiting(measurement, event, _describe_loop(loop_change))


def _judge_naive(measurement: Measurement, event: Measurement | None) -> Finding:
    doubt = measurement.warnings[0]
    reading = _NAIVE_READINGS.get(doubt.kind, "unclear")
    if reading == "right" and event is not None and not _agree(measurement, event):
        return Finding("unclear", f"{_difference(measurement, event)}, and yet {doubt.message}")
    return Finding(reading, doubt.message)


def _judge_waiting(measurement: Measurement, event: Measurement | None, loop: str) -> Finding:
    if measurement.method == "event":
        return Finding("right", f"read on the device, without a wait; {loop}")
    if event is None:
        return Finding("right", f"the host waited for the device at either end of a run; {loop}")
    difference = _difference(measurement, event)
    if _agree(measurement, event):
        return Finding("right", f"{difference}, but the host stood still meanwhile; {loop}")
    return Finding(
        "unclear",
        f"{difference}: the host's way to the device and back is part of it, which tells where "
        f"runs are short; {loop}",
    )


def _describe_loop(change: float) -> str:
    if change < _LOOP_NOISE:
        return f"the loop takes as long as untimed ({format_change(change)})"
    return f"the loop takes longer than untimed ({format_change(change)})"


def _agree(one: Measurement, other: Measurement) -> bool:
    return abs(one.median / other.median - 1) <= _TOLERANCE


def _difference(one: Measurement, event: Measurement) -> str:
    change = format_change(one.median / event.median - 1)
    return f"{change} against the {format_seconds(event.median)} of the events"

# SPDX-License-Identifier: BSD-3-Clause
"""Which of the three methods reads right, and why, worked out from their figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ..measuring.measurement import Measurement
from ..measuring.options import Method
from ..measuring.warnings import WarningKind
from ..text import (
    format_change,
    format_factor,
    format_ratio,
    format_seconds,
    is_beyond_change,
)
from ..timing_warning import TimingWarning

Reading = Literal["right", "right by accident", "wrong", "unclear"]

# Two methods that are no further apart than this agree.
_TOLERANCE = 0.05

# A change of the loop below this is taken for noise.
_LOOP_NOISE = 0.01

_NAIVE_READINGS: dict[str, Reading] = {
    "queued_only": "wrong",
    "launch_queue_full": "right by accident",
    "host_bound": "right",
}

# Doubts of a reading that does not see all the work.
_MISSED_WORK: tuple[WarningKind, ...] = ("other_streams", "no_device_work")


class MethodFinding(NamedTuple):
    """What a method's reading is worth.

    Attributes:
        reading: ``right``, ``right by accident``, ``wrong`` or ``unclear``.
        reason: why, in a sentence with the figures it rests on.
    """

    reading: Reading
    reason: str


def judge_methods(
    measurements: Mapping[Method, Measurement], loop_change: Mapping[Method, float]
) -> dict[Method, MethodFinding]:
    """Return a finding for each method.

    The event reading is the yardstick, and where it does not see the work, or is not there, that of
    the sync method, which waits for all streams.
    """
    yardstick = measurements.get("event")
    if yardstick is None or _missed_work(yardstick) is not None:
        yardstick = measurements.get("sync")
    return {
        method: _judge(measurement, yardstick, loop_change[method])
        for method, measurement in measurements.items()
    }


def _judge(
    measurement: Measurement, yardstick: Measurement | None, loop_change: float
) -> MethodFinding:
    for warning in measurement.warnings:
        if warning.kind == "cpu":
            return MethodFinding("right", warning.message)
    if measurement.method == "naive":
        return _judge_naive(measurement, yardstick)
    loop = _describe_loop(loop_change)
    if measurement.method == "event":
        return _judge_event(measurement, loop)
    return _judge_sync(measurement, yardstick, loop)


def _judge_naive(measurement: Measurement, yardstick: Measurement | None) -> MethodFinding:
    warning = measurement.warnings[0]
    reading = _NAIVE_READINGS.get(warning.kind, "unclear")
    if reading == "right" and yardstick is not None and not _agree(measurement, yardstick):
        return MethodFinding(
            "unclear", f"{_difference(measurement, yardstick)}, and yet {warning.message}"
        )
    return MethodFinding(reading, warning.message)


def _judge_event(measurement: Measurement, loop: str) -> MethodFinding:
    missed = _missed_work(measurement)
    if missed is not None:
        return MethodFinding("wrong", f"{missed.message}; {loop}")
    reason = "read on the device, without a wait"
    for warning in measurement.warnings:
        if warning.kind == "raw":
            reason += f"; {warning.message}"
    return MethodFinding("right", f"{reason}; {loop}")


def _judge_sync(
    measurement: Measurement, yardstick: Measurement | None, loop: str
) -> MethodFinding:
    if yardstick is None or yardstick is measurement:
        return MethodFinding(
            "right", f"the host waited for the device at either end of a run; {loop}"
        )
    difference = _difference(measurement, yardstick)
    if _agree(measurement, yardstick):
        return MethodFinding("right", f"{difference}, but the host stood still meanwhile; {loop}")
    return MethodFinding(
        "unclear",
        f"{difference}: the host's way to the device and back is part of it, which tells where "
        f"runs are short; {loop}",
    )


def _missed_work(measurement: Measurement) -> TimingWarning | None:
    """Return the doubt that says that there was work which is not in the times."""
    found = (warning for warning in measurement.warnings if warning.kind in _MISSED_WORK)
    return next(found, None)


def _describe_loop(change: float) -> str:
    if change < _LOOP_NOISE:
        return f"the loop takes as long as untimed ({format_ratio(1 + change)})"
    return f"the loop takes longer than untimed ({format_ratio(1 + change)})"


def _agree(one: Measurement, other: Measurement) -> bool:
    return abs(one.median / other.median - 1) <= _TOLERANCE


def _difference(one: Measurement, yardstick: Measurement) -> str:
    ratio = one.median / yardstick.median
    whose = "the events" if yardstick.method == "event" else f"the {yardstick.method} method"
    theirs = f"the {format_seconds(yardstick.median)} of {whose}"
    if is_beyond_change(ratio):
        return f"{format_factor(ratio)} times {theirs}"
    return f"{format_change(ratio - 1)} against {theirs}"

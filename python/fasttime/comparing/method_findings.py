# SPDX-License-Identifier: BSD-3-Clause
"""Whether each method reads right, and why, derived from the measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from ..measuring.measurement import Measurement
from ..measuring.options import Method
from ..measuring.warnings import WarningKind
from ..text import (
    format_change,
    format_ratio,
    format_seconds,
    is_beyond_change,
)
from ..timing_warning import TimingWarning

Reading = Literal["right", "right by accident", "wrong", "unclear"]

# Two readings agree if they differ by no more than this fraction.
_TOLERANCE = 0.05

# A smaller change of the loop is noise.
_LOOP_NOISE = 0.01

_NAIVE_READINGS: dict[str, Reading] = {
    "queued_only": "wrong",
    "launch_queue_full": "right by accident",
    "host_bound": "right",
}

# Warnings that some of the work is not in the times.
_MISSED_WORK: tuple[WarningKind, ...] = (
    "other_streams",
    "other_devices",
    "no_device_work",
    "accelerator",
)

# After a call, the host learns this late that the device is done, in seconds.
_WAY_BACK = 100e-6


class MethodFinding(NamedTuple):
    """Whether a method reads right.

    Attributes:
        reading: ``right``, ``right by accident``, ``wrong`` or ``unclear``.
        reason: why, with the figures behind it.
    """

    reading: Reading
    reason: str


def judge_methods(
    measurements: Mapping[Method, Measurement], loop_change: Mapping[Method, float]
) -> dict[Method, MethodFinding]:
    """Return a finding for each method.

    The other methods are compared with the event method. Without an event measurement, or if the
    events missed work, they are compared with the sync method, which waits for all devices in use.
    """
    yardstick = measurements.get("event")
    if yardstick is None or _missed_work(yardstick) is not None:
        yardstick = measurements.get("sync")
    return {
        method: _judge(measurement, yardstick, measurements.get("sync"), loop_change[method])
        for method, measurement in measurements.items()
    }


def _judge(
    measurement: Measurement,
    yardstick: Measurement | None,
    sync: Measurement | None,
    loop_change: float,
) -> MethodFinding:
    for warning in measurement.warnings:
        if warning.kind == "cpu":
            return MethodFinding("right", warning.message)
        if warning.kind == "accelerator":
            reading: Reading = "right" if measurement.method == "sync" else "unclear"
            return MethodFinding(reading, warning.message)
    if measurement.method == "naive":
        return _judge_naive(measurement, yardstick)
    loop = _describe_loop(loop_change)
    if measurement.method == "event":
        return _judge_event(measurement, sync, loop)
    return _judge_sync(measurement, yardstick, loop)


def _judge_naive(measurement: Measurement, yardstick: Measurement | None) -> MethodFinding:
    warning = measurement.warnings[0]
    reading = _NAIVE_READINGS.get(warning.kind, "unclear")
    if reading == "right" and yardstick is not None and not _agree(measurement, yardstick):
        difference = _difference(measurement, yardstick)
        return MethodFinding("unclear", f"{difference}, which contradicts this: {warning.message}")
    return MethodFinding(reading, warning.message)


def _judge_event(measurement: Measurement, sync: Measurement | None, loop: str) -> MethodFinding:
    missed = _missed_work(measurement)
    if missed is not None:
        return MethodFinding("wrong", _sentences(missed.message, loop))
    if sync is not None:
        # What is left when a call returns cannot take longer than the whole call on the device.
        left = float(np.median(sync.times)) - sync.host_time
        if left > (1 + _TOLERANCE) * measurement.median + _WAY_BACK:
            outlast = (
                f"After a call returned, devices worked for another {format_seconds(left)} in the "
                "sync method, longer than the events read. So work went on that they do not see"
            )
            return MethodFinding("wrong", _sentences(outlast, loop))
    raw = [warning.message for warning in measurement.warnings if warning.kind == "raw"]
    return MethodFinding("right", _sentences("Read on the device, without waiting", *raw, loop))


def _judge_sync(
    measurement: Measurement, yardstick: Measurement | None, loop: str
) -> MethodFinding:
    if yardstick is None or yardstick is measurement:
        waited = "The host waited for the device before and after every run"
        return MethodFinding("right", _sentences(waited, loop))
    difference = _difference(measurement, yardstick)
    if _agree(measurement, yardstick):
        agrees = f"{difference}: it agrees, but the host waited in every run"
        return MethodFinding("right", _sentences(agrees, loop))
    more = "It includes launch latency and the time until the host notices the end of the work"
    return MethodFinding("unclear", _sentences(difference, more, loop))


def _missed_work(measurement: Measurement) -> TimingWarning | None:
    """Return the warning that some of the work is not in the times."""
    found = (warning for warning in measurement.warnings if warning.kind in _MISSED_WORK)
    return next(found, None)


def _describe_loop(change: float) -> str:
    how = "as long as" if change < _LOOP_NOISE else "longer than"
    return f"The loop takes {how} without timing ({format_ratio(1 + change)})"


def _agree(one: Measurement, other: Measurement) -> bool:
    return abs(one.median / other.median - 1) <= _TOLERANCE


def _difference(one: Measurement, yardstick: Measurement) -> str:
    ratio = one.median / yardstick.median
    whose = "events'" if yardstick.method == "event" else f"{yardstick.method} method's"
    theirs = f"the {whose} reading of {format_seconds(yardstick.median)}"
    if is_beyond_change(ratio):
        return f"{float(f'{ratio:.4g}'):g} times {theirs}"
    return f"{format_change(ratio - 1)} from {theirs}"


def _sentences(*parts: str) -> str:
    return " ".join(part if part.endswith(".") else f"{part}." for part in parts)

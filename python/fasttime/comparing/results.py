# SPDX-License-Identifier: BSD-3-Clause
"""The joint warnings of the measurements in a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ..measuring.measurement import Measurement
from ..timing_warning import TimingWarning


def _keep(warning: TimingWarning) -> bool:
    return False


def collect_warnings(
    measurements: Mapping[Any, Measurement],
    label: Callable[[Any], str] = str,
    skip: Callable[[TimingWarning], bool] = _keep,
) -> tuple[TimingWarning, ...]:
    """Return each kind of warning once, in the order of the measurements.

    A warning that all measurements share word for word stays as it is. Otherwise the message begins
    with the names of the measurements. If messages of a kind differ, the first message stands for
    all of them.

    Args:
        measurements: by name.
        label: how a name is written in a message.
        skip: says which warnings to leave out.
    """
    # A measurement may have two warnings of a kind, so the key counts them.
    by_kind: dict[tuple[str, int], dict[Any, str]] = {}
    for name, measurement in measurements.items():
        seen: Counter[str] = Counter()
        for warning in measurement.warnings:
            if not skip(warning):
                by_kind.setdefault((warning.kind, seen[warning.kind]), {})[name] = warning.message
                seen[warning.kind] += 1
    return tuple(
        TimingWarning(kind, _message(messages, len(measurements), label))
        for (kind, _), messages in by_kind.items()
    )


def _message(messages: Mapping[Any, str], count: int, label: Callable[[Any], str]) -> str:
    message = next(iter(messages.values()))
    alike = [label(name) for name, other in messages.items() if other == message]
    if len(alike) == count:
        return message
    others = [label(name) for name, other in messages.items() if other != message]
    likewise = f" (likewise {', '.join(others)})" if others else ""
    return f"{', '.join(alike)}{likewise}: {message}"

# SPDX-License-Identifier: BSD-3-Clause
"""What limits the steps of a training loop, and how sure that is.

The time of a step is divided among four limits. With device times, this is the device's time:

* ``data``: the device is idle because the host waits for data
* ``gradients``: the device waits for the gradients of other ranks
* ``host``: parts in which the device waits for the host, and other idle time
* ``device``: parts in which the host is ahead and the device is busy

Parts whose bottleneck is unclear belong to no limit. Without device times, the host's time is
divided: waiting for data, waiting for gradients, and everything else, which limits as ``host``.
Host times alone do not show whether a device is the limit, so such a case is never clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from ..reports.bottleneck import judge
from ..text import format_count, format_seconds
from .records import DATA, GRADIENTS, IDLE, StepPart, StepRecords

Limit = Literal["data", "gradients", "host", "device", "none"]
Certainty = Literal["clear", "likely", "unclear"]

# The part of the step that a limit needs to be called clear, or likely.
_CLEAR, _LIKELY = 0.8, 0.5
_ENOUGH_STEPS = 10  # fewer steps never make a clear case

_WHAT = {
    "data": "Waiting for data limits the step",
    "gradients": "Waiting for the gradients of other ranks limits the step",
    "host": "The host limits the step",
    "device": "The device limits the step",
}
_WHY = {
    "data": "it takes {part} of {step}",
    "gradients": "it takes {part} of {step}; fasttime.gather() finds the slow rank",
    "host": "for {part} of {step} the device waits for the host, most of all in {largest}",
    "device": "for {part} of {step} the host is ahead and the device is busy, most of all in "
    "{largest}",
}
_HOST_ONLY = "{largest} takes longest, {own} of {step}"


class StepLimit(NamedTuple):
    """What limits the step.

    Attributes:
        limit: ``data``, ``gradients``, ``host``, ``device``, or ``none`` if no limit takes half of
            the step.
        certainty: ``clear``: it takes at least 80 % of the step, by device times of 10 steps or
            more. ``likely``: it takes at least half. ``unclear``: anything else.
        shares: the part of the step that belongs to each limit. Unclear parts belong to none.
        sentence: the same in words, with the times on which it rests.
    """

    limit: Limit
    certainty: Certainty
    shares: dict[Limit, float]
    sentence: str


def step_limit(records: StepRecords) -> StepLimit:
    """Return what limits the steps."""
    on_device = records.device is not None and records.device.total > 0
    by_limit = _device_parts(records) if on_device else _host_parts(records)
    whole = records.device if on_device and records.device is not None else records.host
    if not records.count or not whole.total:
        return StepLimit("none", "unclear", {}, "No step has ended yet, so nothing limits it.")
    shares: dict[Limit, float] = {
        limit: sum(seconds for _, seconds in parts) / whole.total
        for limit, parts in by_limit.items()
    }
    limit = max(shares, key=lambda one: shares[one])
    share = shares[limit]
    step = f"the step of {format_seconds(whole.mean)}"
    by_host = "" if on_device else "by host times alone, "
    if share < _LIKELY:
        return StepLimit("none", "unclear", shares, _no_single(shares, by_host + step))
    few = whole.count < _ENOUGH_STEPS
    is_clear = on_device and not few and share >= _CLEAR
    certainty: Certainty = "clear" if is_clear else "likely"
    largest, seconds = max(by_limit[limit], key=lambda part: part[1])
    why = _WHY[limit] if on_device or limit != "host" else _HOST_ONLY
    reason = why.format(
        part=f"{share:.0%}", own=f"{seconds / whole.total:.0%}", step=step, largest=largest
    )
    without = "" if on_device else " without device times"
    basis = f" ({'only ' if few else ''}{format_count(whole.count, 'step')}{without})"
    word = "clearly" if certainty == "clear" else "probably"
    return StepLimit(limit, certainty, shares, f"{_WHAT[limit]}, {word}: {by_host}{reason}{basis}.")


_Parts = dict[Limit, list[tuple[str, float]]]  # the name and the seconds of each part


def _device_parts(records: StepRecords) -> _Parts:
    found = _empty()
    waited = next((part.host.total for part in records.parts if part.name == DATA), 0.0)
    for part in records.parts:
        seconds = part.device.total if part.device else 0.0
        if part.name == IDLE:
            for_data = min(seconds, waited)
            found["data"].append((part.name, for_data))
            found["host"].append((part.name, seconds - for_data))
        elif part.name == GRADIENTS:
            found["gradients"].append((part.name, seconds))
        elif part.name != DATA:
            found[_bound(part)].append((part.name, seconds))
    del found["none"]  # unclear parts
    return found


def _bound(part: StepPart) -> Limit:
    bottleneck = judge(part.checks, part.timed)
    if bottleneck is None or bottleneck.bound == "unclear":
        return "none"
    return "host" if bottleneck.bound == "host-bound" else "device"


def _host_parts(records: StepRecords) -> _Parts:
    found = _empty()
    special: dict[str, Limit] = {DATA: "data", GRADIENTS: "gradients"}
    for part in records.parts:
        found[special.get(part.name, "host")].append((part.name, part.host.total))
    del found["none"], found["device"]
    return found


def _empty() -> _Parts:
    return {"data": [], "gradients": [], "host": [], "device": [], "none": []}


def _no_single(shares: dict[Limit, float], step: str) -> str:
    named: Sequence[Limit] = sorted(shares, key=lambda limit: -shares[limit])
    parts = ", ".join(f"{limit} {shares[limit]:.0%}" for limit in named if shares[limit] >= 0.005)
    unclear = 1 - sum(shares.values())
    rest = f", unclear {unclear:.0%}" if unclear >= 0.005 else ""
    return f"Nothing limits the step alone; {step} divides into {parts}{rest}."

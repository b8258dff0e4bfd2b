# SPDX-License-Identifier: BSD-3-Clause
"""Which of the two was the bottleneck, the host or the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..bottleneck import Bottleneck, Bound
from ..text import format_count, format_seconds

if TYPE_CHECKING:
    from .checks import BacklogChecks

# So much of what was seen has to point one way before a verdict is given.
_MAJORITY = 2 / 3


def judge(checks: BacklogChecks, timed: int) -> Bottleneck | None:
    """Return the verdict on a site; None where it has no device time at all.

    Args:
        looks: what was seen there.
        timed: how many scopes have a device time.
    """
    if timed == 0:
        return None
    backlog = checks.backlog_total / checks.number if checks.number else None
    # If the device clearly took longer than the host in a scope, it was behind at the scope's end.
    outlasted = checks.device_outlasted / timed
    above = max(outlasted, checks.above / checks.number if checks.number else 0.0)
    near = checks.near / checks.number if checks.number else 0.0
    bound: Bound = "unclear"
    agreement = 0.0
    if above >= _MAJORITY:
        bound, agreement = "device-bound", above
    elif near >= _MAJORITY and outlasted < 1 - _MAJORITY:
        bound, agreement = "host-bound", near
    return Bottleneck(
        bound,
        _reason(bound, backlog, checks.number),
        backlog=backlog,
        checks=checks.number,
        agreement=agreement,
        host_may_wait=checks.number > 0 and checks.host_took_as_long >= _MAJORITY * checks.number,
    )


def _reason(bound: Bound, backlog: float | None, checks: int) -> str:
    if backlog is None:
        if bound == "device-bound":
            return "the scopes clearly took longer on the device than on the host"
        return "the backlog was never checked"
    # The two clocks agree to within 2 us, so a backlog below zero is none.
    behind = f"{format_seconds(max(0.0, backlog))} behind"
    where = f"the device was {behind} when the host left the scope"
    number = f"a mean over {format_count(checks, 'check')}"
    return f"{where}, {number}" if bound != "unclear" else f"too close to call: {where}, {number}"

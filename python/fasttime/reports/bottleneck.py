# SPDX-License-Identifier: BSD-3-Clause
"""Decide whether the host or the device is the bottleneck at a site."""

from __future__ import annotations

from typing import NamedTuple

from ..bottleneck import Bottleneck, Bound
from ..text import format_count, format_seconds

# The share of the evidence that must agree before a site is called host-bound or device-bound.
_MAJORITY = 2 / 3


class BacklogChecks(NamedTuple):
    """The evidence for a site's bottleneck, as counts that add up.

    At the end of some scopes, fasttime checks the backlog: how far was the device behind when the
    host left the scope?

    Attributes:
        near: checks that found almost no backlog.
        above: checks that found the device clearly behind.
        between: checks with a backlog between the two.
        backlog_total: the sum of the backlogs over all checks, in seconds.
        host_took_as_long: how many checks in `above` belong to scopes in which the host spent about
            as long as the device, or longer.
        device_outlasted: scopes that clearly took longer on the device than on the host, with or
            without a check.
    """

    near: int = 0
    above: int = 0
    between: int = 0
    backlog_total: float = 0.0
    host_took_as_long: int = 0
    device_outlasted: int = 0

    @property
    def number(self) -> int:
        """How many checks were made."""
        return self.near + self.above + self.between


def judge(checks: BacklogChecks, timed: int) -> Bottleneck | None:
    """Return the bottleneck of a site, or None if the site has no device times.

    Args:
        checks: the evidence counted at the site.
        timed: how many scopes have a device time.
    """
    if timed == 0:
        return None
    backlog = checks.backlog_total / checks.number if checks.number else None
    # If a scope clearly took longer on the device than on the host, the device ended it late.
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
    # The clocks of host and device agree to 2 us, so a small backlog can come out negative.
    behind = f"{format_seconds(max(0.0, backlog))} behind"
    where = f"the device was {behind} when the host left the scope"
    number = f"a mean over {format_count(checks, 'check')}"
    return f"{where}, {number}" if bound != "unclear" else f"too close to call: {where}, {number}"

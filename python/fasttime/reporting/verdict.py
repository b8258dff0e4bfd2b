# SPDX-License-Identifier: BSD-3-Clause
"""Which of the two was the bottleneck, the host or the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from .._native import SiteEntry

# So much of what was seen has to point one way before a verdict is given.
_MAJORITY = 2 / 3


class Verdict(NamedTuple):
    """Who waited for whom at a site.

    Host time and device time alone cannot tell: once the launch queue is full, host time grows to
    device time. What tells is the backlog, which is how far the device was behind when the host
    left the scope: next to nothing where the device waits for the host, and clearly there (more
    than 20 us, and more than 5 % of the scope) where it does not.

    Attributes:
        bound: ``host-bound``, ``device-bound``, or ``unclear``: too close to call, or never seen.
        backlog: the mean backlog in seconds over the scopes looked at; None if none was.
        looks: how many scopes were looked at; at most one each time pending scopes are read.
        agreement: the fraction of looks that agree with `bound`; 0.0 for ``unclear``.
        host_took_as_long: at two thirds of the looks or more the device was behind, and the host
            had spent about as long here as the device, or longer: with work of its own, in a wait
            (for data, or for the device), or held back by a full launch queue. Which of them it was
            cannot be told, so host time need not be what it takes to issue the work.
    """

    bound: Literal["host-bound", "device-bound", "unclear"]
    backlog: float | None
    looks: int
    agreement: float
    host_took_as_long: bool

    def __str__(self) -> str:
        return self.bound


def judge(entry: SiteEntry) -> Verdict | None:
    """Return the verdict on a site; None where it has no device time at all."""
    summary = entry.summary
    timed = summary.device.count
    if timed == 0:
        return None
    looks = summary.backlog_near + summary.backlog_above + summary.backlog_between
    backlog = summary.backlog_total_ns * 1e-9 / looks if looks else None
    # A device that clearly outlasts the host in a scope is behind at its end, look or no look.
    outlasted = summary.device_outlasted / timed
    above = max(outlasted, summary.backlog_above / looks if looks else 0.0)
    near = summary.backlog_near / looks if looks else 0.0
    as_long = looks > 0 and summary.host_took_as_long >= _MAJORITY * looks
    if above >= _MAJORITY:
        return Verdict("device-bound", backlog, looks, above, as_long)
    if near >= _MAJORITY and outlasted < 1 - _MAJORITY:
        return Verdict("host-bound", backlog, looks, near, as_long)
    return Verdict("unclear", backlog, looks, 0.0, as_long)

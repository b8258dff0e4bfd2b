# SPDX-License-Identifier: BSD-3-Clause
"""Which of the two was the bottleneck, the host or the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from .checks import Looks

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


def judge(looks: Looks, timed: int) -> Verdict | None:
    """Return the verdict on a site; None where it has no device time at all.

    Args:
        looks: what was seen there.
        timed: how many scopes have a device time.
    """
    if timed == 0:
        return None
    backlog = looks.backlog_total / looks.number if looks.number else None
    # A device that clearly outlasts the host in a scope is behind at its end, look or no look.
    outlasted = looks.device_outlasted / timed
    above = max(outlasted, looks.above / looks.number if looks.number else 0.0)
    near = looks.near / looks.number if looks.number else 0.0
    as_long = looks.number > 0 and looks.host_took_as_long >= _MAJORITY * looks.number
    if above >= _MAJORITY:
        return Verdict("device-bound", backlog, looks.number, above, as_long)
    if near >= _MAJORITY and outlasted < 1 - _MAJORITY:
        return Verdict("host-bound", backlog, looks.number, near, as_long)
    return Verdict("unclear", backlog, looks.number, 0.0, as_long)

# SPDX-License-Identifier: BSD-3-Clause
"""Host or device: which of the two limits a piece of code. One class for sites and measurements."""

from __future__ import annotations

from typing import Literal, NamedTuple

from .text import for_stdout

Bound = Literal["host-bound", "device-bound", "unclear"]
BOUNDS: tuple[Bound, ...] = ("host-bound", "device-bound", "unclear")


class Bottleneck(NamedTuple):
    """Which of the two limits a site or a measured callable: the host or the device.

    Attributes:
        bound: ``host-bound``: the device waits for the host, so a faster GPU changes nothing;
            ``device-bound``: the host runs ahead and the device is busy; ``unclear``: too close to
            call, or there is too little evidence.
        reason: the same as a sentence, with the figures behind it.
        headroom: measurements only. By what factor the other side could go faster. 8.0 for a
            host-bound callable means that the device is idle for 7/8 of the time. None if unknown.
        backlog: sites only. How far the device was behind when the host left the scope, in seconds,
            as a mean over the checks. None without a check.
        checks: sites only. How many scopes had their backlog checked.
        agreement: sites only. The fraction of checks that agree with `bound`. 0.0 for ``unclear``.
        host_may_wait: sites only. In two thirds of the checks or more, the device was behind and
            the host spent about as long in the scope as the device. The host time may then include
            waiting: for data, for the device, or for room in the launch queue.
    """

    bound: Bound
    reason: str
    headroom: float | None = None
    backlog: float | None = None
    checks: int = 0
    agreement: float = 0.0
    host_may_wait: bool = False

    def __str__(self) -> str:
        return for_stdout(f"{self.bound}: {self.reason}")

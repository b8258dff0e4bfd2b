# SPDX-License-Identifier: BSD-3-Clause
"""The bottleneck of a site or a measurement: the host or the device."""

from __future__ import annotations

from typing import Literal, NamedTuple

from .text import for_stdout

Bound = Literal["host-bound", "device-bound", "unclear"]
BOUNDS: tuple[Bound, ...] = ("host-bound", "device-bound", "unclear")


class Bottleneck(NamedTuple):
    """Whether the host or the device limits a site or a measured callable.

    Attributes:
        bound: ``host-bound``: the device waits for the host, so a faster GPU would not help.
            ``device-bound``: the host runs ahead and the device is busy.
            ``unclear``: the two are too close, or there is too little evidence.
        reason: a sentence that explains `bound`, with figures.
        headroom: for measurements: the factor by which the other side could be faster. 8.0 for a
            host-bound callable means that the device is idle for 7/8 of the time. None if unknown.
        backlog: for sites: how far the device was behind when the host left the scope. The mean
            over all checks, in seconds. None without a check.
        checks: for sites: how many scopes had their backlog checked.
        agreement: for sites: the fraction of checks that agree with `bound`. 0.0 for ``unclear``.
        host_may_wait: for sites: whether the host time may include waiting for data, for the device
            or for room in the launch queue. True if, in at least two thirds of the
            checks, the device was behind and the host took about as long as the device.
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

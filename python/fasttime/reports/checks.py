# SPDX-License-Identifier: BSD-3-Clause
"""What a verdict rests on."""

from __future__ import annotations

from typing import NamedTuple


class BacklogChecks(NamedTuple):
    """What was seen at a site of who waited for whom: counts, which add up.

    A look is taken at a scope's end, now and then: how far was the device behind when the host left
    the scope?

    Attributes:
        near: looks that found next to nothing.
        above: those that found the device clearly behind.
        between: those that found neither.
        backlog_total: by how much the device was behind, over all of these, in seconds.
        host_took_as_long: those of `above` where the host had spent about as long in the scope as
            the device, or longer.
        device_outlasted: scopes that clearly took longer on the device than on the host, whether
            one looked or not.
    """

    near: int = 0
    above: int = 0
    between: int = 0
    backlog_total: float = 0.0
    host_took_as_long: int = 0
    device_outlasted: int = 0

    @property
    def number(self) -> int:
        """How many looks there were."""
        return self.near + self.above + self.between

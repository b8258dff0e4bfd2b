# SPDX-License-Identifier: BSD-3-Clause
"""From one reset of a recorder's statistics to the next."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

from . import _native

if TYPE_CHECKING:
    from ._native import Core


class Interval(NamedTuple):
    """When an interval began, and what the counters that no reset clears had come to by then.

    Attributes:
        name: no other interval has it, in any process.
        begin_ns: on the clock of the scopes, which are compared with it.
        refused_sites: of the recorder, since it was made.
        failures: calls to CUDA that failed, since the process began.
    """

    name: str
    begin_ns: int
    refused_sites: int
    failures: int

    @classmethod
    def begin(cls, core: Core) -> Interval:
        """Return the interval that begins now."""
        return cls(
            secrets.token_hex(8),
            _native.host_now_ns(),
            core.counts().refused_sites,
            _native.backend()["failures"],
        )

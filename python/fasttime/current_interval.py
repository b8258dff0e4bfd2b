# SPDX-License-Identifier: BSD-3-Clause
"""The interval that a recorder counts in: since its statistics began, until now."""

from __future__ import annotations

import os
import secrets
import threading
import weakref
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

from . import _native
from .reports.build import build_sites, tallies_in
from .reports.report import Report
from .torch_compile import support as compile_support

if TYPE_CHECKING:
    from ._native import Core
    from .reports.totals import Totals

# Held while statistics are taken or cleared, so that they match their interval. Re-entrant, because
# a signal handler may ask for a report as well.
taking = threading.RLock()


class Start(NamedTuple):
    """The beginning of an interval, and the counters at that moment that no reset clears.

    Attributes:
        name: names the interval; differs from every other name, in every process.
        begin_ns: the beginning, on the host clock of the scopes.
        refused_sites: of the recorder, since it was made.
        failures: failed CUDA calls, since the process began.
    """

    name: str
    begin_ns: int
    refused_sites: int
    failures: int

    @classmethod
    def now(cls, core: Core) -> Start:
        """Return the start of an interval that begins now."""
        return cls(
            secrets.token_hex(8),
            _native.host_now_ns(),
            core.counts().refused_sites,
            _native.backend()["failures"],
        )


class CurrentInterval:
    """The statistics of a recorder since they were last cleared, and the reports made of them.

    Args:
        core: of the recorder.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.start = Start.now(core)
        self._compiled_before = 0  # scopes that torch.compile had met at the last clear()
        self._totals: weakref.WeakSet[Totals] = weakref.WeakSet()  # of exporters
        _intervals.add(self)

    def report(self, *, reset: bool, switched_off: bool) -> Report:
        """Return a report of the interval. Never waits, and reads no pending scopes.

        Args:
            reset: also begin a new interval, in the same step.
            switched_off: whether scopes are switched off.
        """
        core = self._core
        with taking:
            start, following = self.start, Start.now(core)
            entries = core.site_entries(reset)
            if reset:
                self.start = following
                for totals in list(self._totals):
                    totals.add(tallies_in(entries, 0.0))
        counts = core.counts()
        backend = _native.backend()
        duration = (following.begin_ns - start.begin_ns) * 1e-9
        failures = following.failures - start.failures
        return Report(
            sites=build_sites(tallies_in(entries, duration)),
            backend="cuda" if backend["has_cuda"] else "host",
            backend_reason=backend["reason"],
            duration=duration,
            open=counts.open,
            pending=counts.pending,
            refused_sites=following.refused_sites - start.refused_sites,
            last_failure=backend["last_failure"] if failures else "",
            scopes_were_compiled=compile_support.scopes_met() > self._compiled_before,
            switched_off=switched_off,
            date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            failures=failures,
            interval=start.name,
            captured_reason=core.graph_refusal(),
        )

    def clear(self) -> None:
        """Delete all statistics and samples, and begin a new interval."""
        with taking:
            self._core.reset()
            self.begin_again()
            self._compiled_before = compile_support.scopes_met()

    def begin_again(self) -> None:
        """Begin a new interval after the core has cleared its statistics."""
        self.start = Start.now(self._core)
        for totals in list(self._totals):
            totals.clear()

    def hand_over_to(self, totals: Totals) -> None:
        """From now on, add to `totals` what reports clear. The caller holds the lock `taking`."""
        self._totals.add(totals)


_intervals: weakref.WeakSet[CurrentInterval] = weakref.WeakSet()


def _begin_in_child() -> None:
    """Begin new intervals in the child of a fork. The core has cleared its statistics by now."""
    taking.release()
    for interval in list(_intervals):
        interval.begin_again()


os.register_at_fork(
    before=taking.acquire, after_in_parent=taking.release, after_in_child=_begin_in_child
)

# SPDX-License-Identifier: BSD-3-Clause
"""What timing itself has cost, by estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .report import Report

# Documented figures instead of a calibration: to measure a scope is to record events, which would
# put work on a live device, could block behind a full launch queue, and must not happen while a
# graph is captured; and a report waits for nothing. They come from one H100 machine, and hosts
# differ by a factor of two: good for "is it 0.1 % or 10 %?", not for a second digit.
# benchmarks/results/scope_overhead.json has the host's, a test compares them.
HOST_A_SCOPE = 1.2e-6  # a scope less its two records, which leave the caches cold
HOST_A_SCOPE_WITHOUT_EVENTS = 0.25e-6  # between one that is off and nullcontext()
HOST_A_RECORD = 1.73e-6
DEVICE_A_SCOPE = 3.4e-6  # the two events of a scope
DEVICE_A_SHARED_EVENT = 1.3e-6  # what one event less saves


class TimingCost(NamedTuple):
    """What timing itself has cost, in seconds: an estimate from figures of an H100 machine.

    Attributes:
        host: what the host spent in beginning, ending and reading scopes.
        device: what the events added to their streams. Where the device had idle gaps, they fell
            into these, and nothing took longer.
    """

    host: float
    device: float


def estimate_cost(report: Report) -> TimingCost:
    """Return what timing has cost; a constant for each scope and each event, times their number."""
    scopes = with_events = shared = 0
    for site in report.walk():
        scopes += site.count
        with_events += site.counts["ok"]
        # A scope that borrows both of its events is flagged once: the estimate is then too high.
        shared += min(site.shared_boundaries, site.counts["ok"])
    return TimingCost(
        host=with_events * HOST_A_SCOPE
        + (scopes - with_events) * HOST_A_SCOPE_WITHOUT_EVENTS
        + (2 * with_events - shared) * HOST_A_RECORD,
        device=with_events * DEVICE_A_SCOPE - shared * DEVICE_A_SHARED_EVENT,
    )

# SPDX-License-Identifier: BSD-3-Clause
"""Estimate what timing itself cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .report import Report

# Seconds, measured on one H200 machine. Hosts differ by a factor of two, so the estimate tells
# 0.1 % from 10 % and has no second digit. fasttime does not calibrate: recording events would put
# work on a live device, could block behind a full launch queue, and must not happen during a
# capture. The figures with events are those around the layers of a model, where each record finds
# cold caches (benchmarks/results/leaf_layers.json). A test compares the host's figures with
# benchmarks/results/scope_overhead.json.
HOST_PER_SCOPE = 0.5e-6  # a scope without its two records
HOST_PER_SCOPE_WITHOUT_EVENTS = 0.2e-6  # between a disabled scope and nullcontext()
HOST_PER_RECORD = 1.5e-6
DEVICE_PER_SCOPE = 3.2e-6  # the two events of a scope
DEVICE_PER_SHARED_EVENT = 1.5e-6  # saved by each event that two scopes share
DEVICE_PER_REPLAYED_SCOPE = 2.4e-6  # the two stamps of a scope in a CUDA graph, if none is shared


class TimingCost(NamedTuple):
    """An estimate of what timing itself cost, in seconds, from figures of an H200 machine.

    Attributes:
        host: the time that the host spent on beginning, ending and reading scopes.
        device: the time that the events added to their streams. An event that fell into an idle gap
            of the device cost nothing.
    """

    host: float
    device: float


def estimate_cost(report: Report) -> TimingCost:
    """Return the number of scopes and events, times a constant for each."""
    scopes = with_events = shared = replayed = 0
    for site in report.walk():
        in_graphs = max(0, site.device.count - site.host.count) if site.device else 0
        replayed += in_graphs
        scopes += site.count - in_graphs - site.lost
        with_events += site.counts["ok"] - in_graphs
        # A scope that shares both of its events counts once, so the estimate is a little high.
        shared += min(site.shared_boundaries, site.counts["ok"] - in_graphs)
    return TimingCost(
        host=with_events * HOST_PER_SCOPE
        + (scopes - with_events) * HOST_PER_SCOPE_WITHOUT_EVENTS
        + (2 * with_events - shared) * HOST_PER_RECORD,
        device=with_events * DEVICE_PER_SCOPE
        - shared * DEVICE_PER_SHARED_EVENT
        + replayed * DEVICE_PER_REPLAYED_SCOPE,
    )

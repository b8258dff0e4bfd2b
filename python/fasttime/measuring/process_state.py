# SPDX-License-Identifier: BSD-3-Clause
"""Observers that make calls slower: trace functions, profile functions and profilers."""

from __future__ import annotations

import sys

import torch

from ..timing_warning import TimingWarning

_MONITORING_TOOLS = 6  # ids that sys.monitoring has


def judge_process() -> TimingWarning | None:
    """Return a warning if something observes each call or line of this thread."""
    observers = []
    if sys.gettrace() is not None:
        observers.append("a trace function (sys.settrace, as debuggers and coverage set it)")
    if sys.getprofile() is not None:
        observers.append("a profile function (sys.setprofile, as cProfile sets it)")
    observers += [f"the monitoring tool {name!r} (sys.monitoring)" for name in _monitoring_tools()]
    if torch._C._autograd._profiler_enabled():
        observers.append("torch's profiler")
    if not observers:
        return None
    return TimingWarning(
        "traced",
        f"Host times include the cost of {' and '.join(observers)}, and may be several times too "
        "long. Measure without it.",
    )


def _monitoring_tools() -> list[str]:
    """Return the tools with events in all code. Python has `sys.monitoring` since 3.12."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return []
    names = ((tool, monitoring.get_tool(tool)) for tool in range(_MONITORING_TOOLS))
    return [name for tool, name in names if name is not None and monitoring.get_events(tool)]

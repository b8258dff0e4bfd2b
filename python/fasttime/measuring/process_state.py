# SPDX-License-Identifier: BSD-3-Clause
"""State of the process that timing must notice: tracers, profilers, and torch.compile."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from ..timing_warning import TimingWarning

_F = TypeVar("_F", bound=Callable[..., Any])

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
        f"Active during the runs: {' and '.join(observers)}. Host times include its cost and "
        "may be several times too long; measure without it.",
    )


def not_compiled(function: _F) -> _F:
    """Mark a function for torch.compile, which then calls it as it is and breaks the graph there.

    `torch.compiler.disable` does the same, but imports torch._dynamo, which takes seconds.
    """
    function._torchdynamo_disable = True  # type: ignore[attr-defined]
    return function


def _monitoring_tools() -> list[str]:
    """Return the tools with events in all code. Python has `sys.monitoring` since 3.12."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return []
    names = ((tool, monitoring.get_tool(tool)) for tool in range(_MONITORING_TOOLS))
    return [name for tool, name in names if name is not None and monitoring.get_events(tool)]

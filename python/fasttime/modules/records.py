# SPDX-License-Identifier: BSD-3-Clause
"""What a handle knows about modules and steps, as plain data.

`handle.table()` returns ``ModuleTable(records)``, and `handle.steps()` returns
``StepReport(records)``. Both results are built from these records alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..reports.bottleneck import BacklogChecks
from ..reports.durations import Durations
from ..timing_warning import TimingWarning

# The parts of a step, in the order in which a step has them.
DATA, FORWARD, LOSS, BACKWARD, GRADIENTS, OPTIMIZER, OTHER, IDLE = (
    "data wait",
    "forward",
    "loss",
    "backward",
    "gradient wait",
    "optimizer",
    "other",
    "idle device",
)
PARTS = (DATA, FORWARD, LOSS, BACKWARD, GRADIENTS, OPTIMIZER, OTHER, IDLE)


@dataclass(frozen=True, kw_only=True)
class Times:
    """The times of one column of one module, from the timed steps.

    Attributes:
        host: one host time per call. For backward: one per visit of the backward pass.
        device: the same on the device; None if there are no device times.
        host_total: the host time of all steps in seconds. Equal to ``host.total`` if all steps
            were timed, otherwise an estimate.
        device_total: the same on the device; None if there are no device times.
        host_error, device_error: the standard errors of the two totals in seconds. 0.0 if all
            steps were timed.
    """

    host: Durations
    device: Durations | None
    host_total: float
    device_total: float | None
    host_error: float = 0.0
    device_error: float = 0.0

    @property
    def time(self) -> Durations:
        """The device times, or the host times if there are no device times."""
        return self.host if self.device is None else self.device

    @property
    def total(self) -> float:
        """The total of the kind of time that `time` has, in seconds, over all steps."""
        return self.host_total if self.device_total is None else self.device_total

    @property
    def error(self) -> float:
        """The standard error of `total`, in seconds."""
        return self.host_error if self.device_total is None else self.device_error


@dataclass(frozen=True, kw_only=True)
class ModuleRecord:
    """One module. A column is None if nothing was timed there.

    Attributes:
        path: the module's path in the model, as in ``named_modules()``. Empty for the model itself.
        type: the name of the module's class. Wrappers that replace the class, such as FSDP2, are
            left out.
        parent: the position of the nearest timed module around this one, in
            `ModuleRecords.modules`. None for the model itself.
        calls: how many forward calls were timed, without recomputation.
        forward, backward: times including the modules inside.
        forward_self, backward_self: times without the modules inside.
        recompute, recompute_self: forward calls that activation checkpointing repeats during the
            backward pass, with and without the modules inside. `backward` excludes them.
        checks: the counted evidence for the module's bottleneck, over all columns.
        timed: how many timed calls have a device time, over all columns.
        captured: how many calls have no device time because their stream was capturing a graph.
            Replays of the graph are not timed, whether `graph_timing` is on or not.
        lost: how many other calls have no device time although the process uses CUDA, because a
            CUDA call failed or the call did not end.
        is_compiled: whether the module was compiled by torch.compile, and is timed from outside.
    """

    path: str
    type: str
    parent: int | None
    calls: int
    forward: Times | None
    forward_self: Times | None
    backward: Times | None
    backward_self: Times | None
    recompute: Times | None
    recompute_self: Times | None
    checks: BacklogChecks
    timed: int
    captured: int
    lost: int
    is_compiled: bool = False


@dataclass(frozen=True, kw_only=True)
class ModuleRecords:
    """All modules that a handle times: what ``ModuleTable`` is built from.

    Attributes:
        modules: a parent before its children, in the order of ``named_modules()``. Modules without
            a timed call are included.
        has_backward: whether the handle times backward passes.
        steps: how many steps ended so far.
        timed_steps: in how many of them modules were timed. Less than `steps` only with an
            ``overhead_budget``.
        overhead_budget: as given to ``instrument``; None times every step.
        overhead: the estimated cost of timing the modules, as a fraction of the time of all steps.
            None if unknown.
        pending: how many module calls the device had not finished yet.
        backend: ``cuda`` or ``host``.
        duration: seconds since the handle was made.
        date: when the records were taken, as ISO 8601 in UTC.
        warnings: reasons to distrust the numbers.
    """

    modules: tuple[ModuleRecord, ...]
    has_backward: bool
    steps: int
    timed_steps: int
    overhead_budget: float | None
    overhead: float | None
    pending: int
    backend: str
    duration: float
    date: str
    warnings: tuple[TimingWarning, ...]


@dataclass(frozen=True, kw_only=True)
class StepPart:
    """One part of the steps.

    Attributes:
        name: one of `PARTS`.
        host: one host time per step: all stretches of this part, added up. 0 for a step without it.
        device: the same on the device; None if there are no device times.
        checks: the counted evidence for the bottleneck of this part.
        timed: how many stretches of this part have a device time.

    On the device, the data wait is 0, because the device has nothing to do then. Its time on the
    device counts as ``idle device``. That part has no host time.
    """

    name: str
    host: Durations
    device: Durations | None
    checks: BacklogChecks
    timed: int


@dataclass(frozen=True, kw_only=True)
class StepRecords:
    """The steps that ended so far: what ``StepReport`` is built from.

    Attributes:
        count: how many steps ended.
        host: one host time per step. The host times of all parts add up to it.
        device: one device time per step, to which the device times of all parts add up. None if
            there are no device times. Steps with a part that lacks a device time are left out, in
            the parts as well. A part in the capture of a CUDA graph has none.
        parts: all of `PARTS`, in this order.
        ended_by: what ends a step: ``optimizer``, ``backward``, ``forward`` or ``step()``.
        pending: how many parts the device had not finished yet.
        backend, duration, date, warnings: as in `ModuleRecords`.
    """

    count: int
    host: Durations
    device: Durations | None
    parts: tuple[StepPart, ...]
    ended_by: str
    pending: int
    backend: str
    duration: float
    date: str
    warnings: tuple[TimingWarning, ...]

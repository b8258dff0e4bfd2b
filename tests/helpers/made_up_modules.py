# SPDX-License-Identifier: BSD-3-Clause
"""Records of modules and steps, made up for tests."""

from __future__ import annotations

from typing import Any

from made_up_report import durations

from fasttime import ModuleTable, StepReport
from fasttime.modules.records import (
    PARTS,
    ModuleRecord,
    ModuleRecords,
    StepPart,
    StepRecords,
    Times,
)
from fasttime.reports.bottleneck import BacklogChecks

BEHIND = BacklogChecks(above=10, backlog_total=0.03)  # device-bound
NEAR = BacklogChecks(near=10, backlog_total=2e-5)  # host-bound
MIXED = BacklogChecks(near=5, above=5, backlog_total=0.01)  # unclear


def times(
    calls: int, ms: float | None, *, device: bool = True, weight: float = 1.0, error: float = 0.0
) -> Times | None:
    """Return equal durations; None for None. Host times are a tenth of device times.

    Args:
        weight: how many steps each timed step stands for.
        error: the standard error of the total in seconds.
    """
    if ms is None:
        return None
    long, short = durations(calls, ms / 1e3), durations(calls, ms / 1e4)
    host = long if not device else short
    return Times(
        host=host,
        device=long if device else None,
        host_total=host.total * weight,
        device_total=long.total * weight if device else None,
        host_error=error,
        device_error=error if device else 0.0,
    )


def record(
    path: str,
    type_: str,
    parent: int | None,
    *,
    calls: int = 10,
    stays: int | None = None,
    forward: tuple[float, float] | None = None,
    backward: tuple[float, float] | None = None,
    recompute: tuple[float, float] | None = None,
    checks: BacklogChecks = BEHIND,
    captured: int = 0,
    lost: int = 0,
    is_compiled: bool = False,
    **how: Any,
) -> ModuleRecord:
    """Return a module with mean times in ms: with and without the modules inside."""

    def column(pair: tuple[float, float] | None, index: int, count: int) -> Times | None:
        return None if pair is None else times(count, pair[index], **how)

    visits = calls if stays is None else stays
    return ModuleRecord(
        path=path,
        type=type_,
        parent=parent,
        calls=calls,
        forward=column(forward, 0, calls),
        forward_self=column(forward, 1, calls),
        backward=column(backward, 0, visits),
        backward_self=column(backward, 1, visits),
        recompute=column(recompute, 0, calls),
        recompute_self=column(recompute, 1, calls),
        checks=checks,
        timed=calls if how.get("device", True) else 0,
        captured=captured,
        lost=lost,
        is_compiled=is_compiled,
    )


def records(*modules: ModuleRecord, **others: Any) -> ModuleRecords:
    known: dict[str, Any] = {
        "has_backward": True,
        "steps": 10,
        "timed_steps": 10,
        "overhead_budget": None,
        "overhead": None,
        "pending": 0,
        "backend": "cuda",
        "duration": 2.5,
        "date": "2026-01-02T03:04:05+00:00",
        "warnings": (),
    }
    return ModuleRecords(modules=modules, **{**known, **others})


def network(**others: Any) -> ModuleTable:
    """Return the table of a small network: 10 ms forward and 20 ms backward per step."""
    return ModuleTable(
        records(
            record("", "Net", None, forward=(10, 1), backward=(20, 2)),
            record("stem", "Conv2d", 0, forward=(3, 3), backward=(6, 6)),
            record("body", "Sequential", 0, forward=(6, 0), backward=(12, 0)),
            record("body.0", "Conv2d", 2, forward=(4, 4), backward=(4.5, 4.5), stays=20),
            record("body.1", "ReLU", 2, forward=(2, 2), backward=(3, 3), checks=NEAR),
            record("unused", "Linear", 0, calls=0),
            **others,
        )
    )


def step_part(
    name: str,
    host: float,
    device: float | None,
    checks: BacklogChecks = BEHIND,
    steps: int = 10,
) -> StepPart:
    """Return a part with these mean times per step in ms."""
    timed = 0 if device is None else steps
    on_device = None if device is None else durations(steps, device / 1e3)
    return StepPart(
        name=name,
        host=durations(steps, host / 1e3),
        device=on_device,
        checks=checks if timed else BacklogChecks(),
        timed=timed,
    )


def step_records(
    parts: dict[str, tuple[float, float | None]],
    checks: dict[str, BacklogChecks] | None = None,
    *,
    steps: int = 10,
    **others: Any,
) -> StepRecords:
    """Return steps whose parts have these host and device times in ms; others are 0."""
    on_device = any(device is not None for _, device in parts.values())
    made = tuple(
        step_part(
            name,
            *parts.get(name, (0.0, 0.0 if on_device else None)),
            (checks or {}).get(name, BEHIND),
            steps,
        )
        for name in PARTS
    )
    known: dict[str, Any] = {
        "count": steps,
        "host": durations(steps, sum(part.host.mean for part in made)),
        "device": durations(steps, sum(part.device.mean for part in made if part.device))
        if on_device
        else None,
        "parts": made,
        "ended_by": "optimizer",
        "pending": 0,
        "backend": "cuda" if on_device else "host",
        "duration": 2.5,
        "date": "2026-01-02T03:04:05+00:00",
        "warnings": (),
    }
    return StepRecords(**{**known, **others})


def training_steps(**others: Any) -> StepReport:
    """Return steps of 40 ms that the device limits."""
    return StepReport(
        step_records(
            {
                "data wait": (1.0, 0.0),
                "forward": (4.0, 12.0),
                "loss": (0.5, 0.5),
                "backward": (6.0, 21.0),
                "optimizer": (2.0, 4.0),
                "other": (26.5, 0.5),
                "idle device": (0.0, 2.0),
            },
            **others,
        )
    )

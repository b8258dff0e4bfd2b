# SPDX-License-Identifier: BSD-3-Clause
"""What tests ask of a handle: counts and whole nanoseconds by module path."""

from __future__ import annotations

from fasttime import Handle
from fasttime.modules.records import ModuleRecord, Times


def records(handle: Handle) -> dict[str, ModuleRecord]:
    """Return the records of all modules by path, after the device has finished."""
    return {record.path: record for record in handle.module_records(wait=True).modules}


def counts(handle: Handle, column: str) -> dict[str, int]:
    """Return how often each module was timed in a column; modules without are left out."""
    found = {path: getattr(record, column) for path, record in records(handle).items()}
    return {path: times.host.count for path, times in found.items() if times is not None}


def host_ns(times: Times | None) -> int:
    """Return the exact sum of the host times."""
    return 0 if times is None else times.host._series.moments()[1]


def adds_up(handle: Handle, column: str) -> bool:
    """Return whether the self times of a column add up to the time of the model, exactly."""
    found = records(handle)
    own = sum(host_ns(getattr(record, f"{column}_self")) for record in found.values())
    return own == host_ns(getattr(found[""], column)) > 0


def part_counts(handle: Handle) -> dict[str, int]:
    """Return how many steps had each part of a step."""
    parts = handle.step_records(wait=True).parts
    return {part.name: part.host.count for part in parts}

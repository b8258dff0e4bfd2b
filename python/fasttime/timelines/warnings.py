# SPDX-License-Identifier: BSD-3-Clause
"""What a timeline lacks, as warnings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..sample import STATUSES, Status
from ..text import format_count
from ..timing_warning import TimingWarning

if TYPE_CHECKING:
    from .columns import Columns


def warnings_of(
    columns: Columns, dropped: int, pending: int, waited: bool
) -> tuple[TimingWarning, ...]:
    """Return the warnings of a timeline.

    Args:
        columns: the spans.
        dropped: how many scopes were not kept because the limit was reached.
        pending: how many scopes the device had not finished.
        waited: whether the recording waited for the device.
    """
    found = _warnings(columns, dropped, pending, waited)
    return tuple(TimingWarning(kind, message) for kind, message in found)


def _warnings(
    columns: Columns, dropped: int, pending: int, waited: bool
) -> Iterator[tuple[str, str]]:
    if dropped:
        yield (
            "dropped",
            f"fasttime did not keep {_scopes(dropped)} because max_scopes was reached, so the end "
            "of the interval is missing. Raise max_scopes or record a shorter interval.",
        )
    if pending:
        remedy = (
            "Raise the timeout."
            if waited
            else "Stop with stop(wait=True), outside a CUDA graph capture."
        )
        yield (
            "unfinished",
            f"The device had not finished {_scopes(pending)} when the recording stopped, so the "
            f"timeline lacks this work. {remedy}",
        )
    if never_ended := _count(~columns.is_ended & ~columns.is_in_graph):
        yield (
            "never_ended",
            f"{_scopes(never_ended)} never ended, so the times are unknown. Use `with`, or call "
            "end() for each begin().",
        )
    if unplaced := _count(_have(columns, "ok") & ~columns.is_placed):
        yield (
            "unplaced",
            f"fasttime could not compare the clocks of host and device, so {_scopes(unplaced)} "
            "got no place on the device. Record outside CUDA graph captures, and look for CUDA "
            "errors in the report.",
        )
    yield from _without_device_time(columns)


def _without_device_time(columns: Columns) -> Iterator[tuple[str, str]]:
    if captured := _count(_have(columns, "captured")):
        yield (
            "captured",
            f"{_scopes(captured)} ran while the stream was capturing a CUDA graph, and got no "
            "device time. Put a scope around the replay of the graph.",
        )
    if failed := _count(_have(columns, "failed")):
        yield (
            "failed",
            f"A CUDA call failed, so {_scopes(failed)} got no device time. The report says which "
            "call.",
        )
    if no_room := _count(_have(columns, "dropped") & columns.is_ended):
        yield (
            "no_room",
            f"Too many scopes were pending on the device, so {_scopes(no_room)} got no device "
            "time. Time fewer scopes.",
        )
    host_only = _count(_have(columns, "host_only"))
    if 0 < host_only < len(columns):
        yield (
            "host_only",
            f"{_scopes(host_only)} began before CUDA was up, and got no device time. Start the "
            "recording after the first CUDA call.",
        )


def _count(mask: npt.NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))


def _have(columns: Columns, status: Status) -> npt.NDArray[np.bool_]:
    return np.equal(columns.status, STATUSES.index(status))


def _scopes(count: int) -> str:
    return format_count(count, "scope")

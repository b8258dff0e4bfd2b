# SPDX-License-Identifier: BSD-3-Clause
"""What Ctrl-C leaves of a measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..text import format_count
from ..timing_warning import TimingWarning

if TYPE_CHECKING:
    from .measurement import Measurement


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended `fasttime.measure`. The complete runs are in `measurement`.

        try:
            result = fasttime.measure(model, x, budget=60)
        except fasttime.Interrupted as interrupted:
            result = interrupted.measurement

    `measure` only raises this if at least one kept run was complete. Otherwise it raises the
    KeyboardInterrupt unchanged.

    Attributes:
        measurement: a measurement with a warning of the kind ``interrupted``.
    """

    def __init__(self, measurement: Measurement) -> None:
        super().__init__(measurement)
        self.measurement = measurement

    def __str__(self) -> str:
        return (
            f"interrupted after {format_count(len(self.measurement), 'kept run')}, which are in "
            "the attribute `measurement` of this exception"
        )


def interrupted_after(runs: int) -> TimingWarning:
    """Return the warning about runs that Ctrl-C ended."""
    return TimingWarning(
        "interrupted",
        f"Ctrl-C ended the measurement after {format_count(runs, 'kept run')}, so the median may "
        "be less precise than you asked for. Measure again to get all runs.",
    )

# SPDX-License-Identifier: BSD-3-Clause
"""What Ctrl-C leaves of a measurement, a comparison or a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..text import format_count
from ..timing_warning import TimingWarning

if TYPE_CHECKING:
    from ..comparing.comparison import Comparison
    from ..sweeping.result import Sweep
    from .measurement import Measurement


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended `measure`, `compare` or `sweep`. The complete part is in `result`.

        try:
            found = fasttime.measure(model, x, budget=60)
        except fasttime.Interrupted as interrupted:
            found = interrupted.result

    You only get this exception if at least one kept run, one round or one point was complete.
    Otherwise the KeyboardInterrupt passes unchanged.

    Attributes:
        result: a measurement or a comparison with a warning of the kind ``interrupted``, or a sweep
            with a warning of the kind ``incomplete``.
        parts: how many runs, rounds or points are in it, such as ``5 kept runs``.
        saved_to: the file from which the same call of `sweep` goes on, or an empty string.
    """

    result: Any  # of the type that the interrupted function returns

    def __init__(
        self, result: Measurement | Comparison | Sweep, parts: str, saved_to: str = ""
    ) -> None:
        super().__init__(result, parts, saved_to)
        self.result, self.parts, self.saved_to = result, parts, saved_to

    def __str__(self) -> str:
        if self.saved_to:
            return (
                f"interrupted after {self.parts}, which are saved in {self.saved_to}; make the "
                "same call again to go on from there"
            )
        return (
            f"interrupted after {self.parts}, which are in the attribute `result` of this exception"
        )


def interrupted_after(runs: int) -> TimingWarning:
    """Return the warning about runs that Ctrl-C ended."""
    return TimingWarning(
        "interrupted",
        f"Ctrl-C ended the measurement after {format_count(runs, 'kept run')}, so the median may "
        "be less precise than you asked for. Measure again to get all runs.",
    )


def interrupted_after_rounds(rounds: int) -> TimingWarning:
    """Return the warning about rounds of `compare` that Ctrl-C ended."""
    return TimingWarning(
        "interrupted",
        f"Ctrl-C ended the comparison after {format_count(rounds, 'round')}, so it may lack a "
        "verdict that more rounds would give. Compare again to get all rounds.",
    )

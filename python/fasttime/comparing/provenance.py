# SPDX-License-Identifier: BSD-3-Clause
"""What the origins of two saved measurements say: in turns or in blocks, and on which machine."""

from __future__ import annotations

import itertools

from ..environment.differences import (
    OF_THE_MACHINE,
    EnvironmentDifference,
    environment_differences,
)
from ..measuring.measurement import Measurement
from ..stats.processes import FEWEST_PROCESSES
from ..timing_warning import TimingWarning
from .saved_verdict import FEWEST_PAIRS

_TAKE_TURNS = "Measure both sides in turns: fasttime bench TARGET --against REV --processes 10"


def took_turns(old: Measurement, new: Measurement) -> bool:
    """Whether the processes form enough pairs: each pair one old and one new, after each other."""
    order = _in_order_of_time(old, new)
    pairs = list(zip(order[::2], order[1::2], strict=False))
    return (
        len(old.processes) == len(new.processes) >= FEWEST_PAIRS
        and len(pairs) == len(old.processes)
        and all(
            # One of each side, and both with the number of the pair.
            first[0] != second[0] and first[1] == second[1] == number
            for number, (first, second) in enumerate(pairs)
        )
    )


def blocks_warning(old: Measurement, new: Measurement) -> TimingWarning | None:
    """Warn if the sides were measured in blocks, which takes a change of the machine for theirs."""
    order = _in_order_of_time(old, new)
    fewer = min(len(old.processes), len(new.processes))
    if not order or fewer < FEWEST_PROCESSES:
        return None
    changes = sum(one[0] != other[0] for one, other in itertools.pairwise(order))
    if changes >= fewer:
        return None
    blocks = f"The two sides were measured in {changes + 1} blocks"
    boots = {origin.boot for side in (old, new) for origin in side.origins}
    if len(boots) > 1:
        blocks += ", with a restart of the machine in between"
    return TimingWarning(
        "measured_in_blocks",
        f"{blocks}, so a change of the machine from block to block looks like a difference. "
        f"{_TAKE_TURNS}",
    )


def other_machine(old: Measurement, new: Measurement) -> tuple[EnvironmentDifference, ...]:
    """Return what shows that the sides are from different machines or from different torches.

    Empty if the sides are from the same ones. Unknown differences are missing.
    """
    found = [
        difference
        for difference in environment_differences(old.environment, new.environment)
        if difference.field in OF_THE_MACHINE
    ]
    machines = [{origin.machine for origin in side.origins} for side in (old, new)]
    boots = [{origin.boot for origin in side.origins} - {None} for side in (old, new)]
    # Containers on one machine may have different ids, but they share the boot.
    if all(machines) and None not in machines[0] | machines[1] and not boots[0] & boots[1]:
        before, after = (", ".join(sorted(map(str, names))) for names in machines)
        if not machines[0] & machines[1]:
            found.append(EnvironmentDifference("machine", before, after))
    return tuple(found)


def _in_order_of_time(old: Measurement, new: Measurement) -> list[tuple[int, int]]:
    """Return side and number of each process in order of time; empty if a time is unknown."""
    sides = (old, new)
    if any(len(side.origins) != len(side.processes) for side in sides):
        return []
    timed = [
        (origin.time, which, number)
        for which, side in enumerate(sides)
        for number, origin in enumerate(side.origins)
    ]
    return [(which, number) for _, which, number in sorted(timed)]

# SPDX-License-Identifier: BSD-3-Clause
"""Whether work was waiting on the stream when the runs of a row began: yes, no, or not to be told.

What is left on the device at the end of a row does not tell by itself. A callable that issues all
its work as its last act leaves up to a run of it though the device stood idle in each run, and one
that issues it first leaves nothing though the device is the slower one by a little. So where each
run lay on the device is compared with where it lay on the host, and where the two are too alike for
the length of the row, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]

# What passes at most between the end of the work and the host's knowing of it, and between its
# being issued and its being there.
_WAY_BACK = 50e-6
_WAY_THERE = 20e-6

# By so much the device may be behind at the end of a row, as a part of the row, for the host to be
# the slower one.
_BEHIND = 0.01

# More than this part of a run, left when the host is through, may be a launch queue that is full,
# or a callable that waits for an earlier run: a device that is never idle, and never far behind.
_LEFT = 0.05


def work_was_waiting(
    times: Times, host_begins: Times, host_times: Times, backlog: float, ignored: int = 0
) -> bool | None:
    """Say whether the device was behind the host in a row of runs, so that no run had to wait.

    True: all of a run was issued before the device began it, in more than half of the runs that
    count and in the last one: what a run then takes is what the device takes. False: the device
    took no longer than the host for all runs together, but for 1 %, and was next to idle when the
    host was through. None: that cannot be told. So it is where the device falls behind by less than
    a whole run up to the middle of the row (a hundred runs of a device slower by 2 %, ten by 20 %),
    where a launch queue has no room for a whole run, where a quicker device has its work late in
    the run, and where runs are few and short.

    Args:
        times: between the events of each run, in seconds.
        host_begins: when the host began each run, in seconds on any clock.
        host_times: how long the host was in each run.
        backlog: how long the device went on after the host had issued the last run.
        ignored: how many runs at the beginning do not count.
    """
    if len(times) <= ignored:
        return None
    left = host_begins + host_times - host_begins[0]
    # Both ends of the row are known on the host's clock, as the device is idle there. What lies
    # between two runs (events, the clearing of a cache, waits) is taken to be the same for all.
    whole = left[-1] + max(0.0, backlog - _WAY_BACK)
    gap = (whole - times.sum()) / len(times)
    begun = np.cumsum(times) - times + gap * np.arange(len(times))
    is_ahead = (begun >= left + _WAY_THERE)[ignored:]
    if is_ahead[-1] and 2 * is_ahead.sum() > len(is_ahead):
        return True
    run_time = float(np.median(times[ignored:]))
    # All that the device did, it did while the host issued it or after: so what is left at the end
    # is the most by which it can have been slower.
    is_slower = backlog > _BEHIND * run_time * len(times)
    is_left = backlog > max(_WAY_BACK, _LEFT * run_time)
    return None if is_ahead.any() or is_slower or is_left else False


def in_most(rows: Sequence[bool | None]) -> bool | None:
    """Return what holds for more than half of some rows; None where nothing does."""
    for answer in (True, False):
        if 2 * sum(row is answer for row in rows) > len(rows):
            return answer
    return None

# SPDX-License-Identifier: BSD-3-Clause
"""Whether work was waiting on the stream when the runs of a row began: yes, no, or unknown.

The backlog at the end of a row is not enough to tell. If a callable issues all its work at its end,
up to one run is left although the device was idle in each run. If a callable issues its work at its
beginning, nothing is left although the device may be a little slower than the host. So the position
of each run on the device is compared with its position on the host. If the two are too close for
the length of the row, the answer is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..stats import Times

# The most time between the end of work on the device and the moment when the host knows, and
# between issuing work and its arrival on the device. In seconds.
_WAY_BACK = 50e-6
_WAY_THERE = 20e-6

# The host is the slower side only if the backlog at the end is at most this share of the row.
_BEHIND = 0.01

# A backlog above this share of a run, when the host is done, may come from a full launch queue, or
# from a callable that waits for an earlier run: a device that is never idle and never far behind.
_LEFT = 0.05


def work_was_waiting(
    times: Times, host_begins: Times, host_times: Times, backlog: float, ignored: int = 0
) -> bool | None:
    """Return whether the device was behind the host in a row of runs, so that no run had to wait.

    True: in the last run and in more than half of the kept runs, the host had issued all of the run
    before the device began it. Then a run takes as long as the device takes.

    False: over all runs the device took at most 1 % longer than the host, and was nearly idle when
    the host was done.

    None: unknown. Examples: the device falls behind by less than a whole run up to the middle of
    the row (100 runs of a device that is slower by 2 %, or 10 runs by 20 %); a launch queue without
    room for a whole run; a faster device that gets its work late in each run; few and short runs.

    Args:
        times: between the events of each run, in seconds.
        host_begins: when the host began each run, in seconds on any clock.
        host_times: how long the host was in each run, in seconds.
        backlog: how long the device kept working after the host had issued the last run.
        ignored: how many runs at the beginning do not count.
    """
    if len(times) <= ignored:
        return None
    left = host_begins + host_times - host_begins[0]
    # The device is idle at both ends of the row, so the row's length is known on the host's clock.
    # The time between two runs (events, clearing a cache, waits) is assumed to be equal everywhere.
    whole = left[-1] + max(0.0, backlog - _WAY_BACK)
    gap = (whole - times.sum()) / len(times)
    begun = np.cumsum(times) - times + gap * np.arange(len(times))
    is_ahead = (begun >= left + _WAY_THERE)[ignored:]
    if is_ahead[-1] and 2 * is_ahead.sum() > len(is_ahead):
        return True
    run_time = float(np.median(times[ignored:]))
    # The device worked only while the host issued work, and afterwards. So the backlog at the end
    # is an upper bound for how much slower the device was.
    is_slower = backlog > _BEHIND * run_time * len(times)
    is_left = backlog > max(_WAY_BACK, _LEFT * run_time)
    return None if is_ahead.any() or is_slower or is_left else False


def in_most(rows: Sequence[bool | None]) -> bool | None:
    """Return the answer of more than half of the rows; None if there is none."""
    for answer in (True, False):
        if 2 * sum(row is answer for row in rows) > len(rows):
            return answer
    return None

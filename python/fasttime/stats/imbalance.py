# SPDX-License-Identifier: BSD-3-Clause
"""How unevenly work is spread over ranks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def excess_of_slowest(times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return by how much the slowest rank exceeds the mean of all other ranks, in each row.

    Args:
        times: one row per site and one column per rank. NaN marks a rank without the site.

    A row with fewer than two times has no excess, so its result is 0.
    """
    is_known = ~np.isnan(times)
    count = is_known.sum(axis=1)
    filled = np.where(is_known, times, 0.0)
    largest = np.where(is_known, times, -np.inf).max(axis=1, initial=-np.inf)
    largest = np.where(count > 0, largest, 0.0)
    others = (filled.sum(axis=1) - largest) / np.maximum(count - 1, 1)
    excess = np.where(count > 1, largest - others, 0.0)
    return np.asarray(np.maximum(excess, 0.0), dtype=np.float64)


def imbalance(times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the imbalance percentage of each row, as a fraction from 0.0 to 1.0.

    This is (max - mean) / max * n / (n - 1) for n ranks (DeRose, Homer and Johnson 2007, "Detecting
    application load imbalance on high end massively parallel systems"). It equals the excess of the
    slowest rank over the mean of the other ranks, divided by the slowest. 0 means that all ranks
    took equally long. 1 means that a single rank did all the work.

    Args:
        times: as for `excess_of_slowest`.
    """
    excess = excess_of_slowest(times)
    largest = np.where(np.isnan(times), 0.0, times).max(axis=1, initial=0.0)
    return np.asarray(
        np.divide(excess, largest, out=np.zeros_like(excess), where=largest > 0), dtype=np.float64
    )

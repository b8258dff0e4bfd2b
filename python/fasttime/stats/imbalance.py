# SPDX-License-Identifier: BSD-3-Clause
"""How unevenly work is spread over ranks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_STANDARD_ERRORS = 4  # so that 256 equal ranks have a slowest one in fewer than 1 % of the rows
_ROUNDING = 1e-9  # the part of a mean that its rounding can amount to


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


def stands_out(
    times: npt.NDArray[np.float64], errors: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Return whether the slowest rank is slower by more than noise explains, in each row.

    Noise explains an excess of the slowest rank over the mean of the other ranks of up to 4
    standard errors. The squares of the standard errors of two independent means add up.

    Args:
        times: as for `excess_of_slowest`, each the mean of several calls.
        errors: the standard error of each mean. NaN marks an unknown error, and nothing stands out
            in its row.
    """
    is_known = ~np.isnan(times)
    count = is_known.sum(axis=1)
    filled = np.where(is_known, times, -np.inf)
    slowest = filled.argmax(axis=1)[:, None]
    squares = np.where(is_known, errors, 0.0) ** 2
    own = np.take_along_axis(squares, slowest, axis=1)[:, 0]
    np.put_along_axis(squares, slowest, 0.0, axis=1)
    noise = np.sqrt(own + squares.sum(axis=1) / np.maximum(count - 1, 1) ** 2)
    excess = excess_of_slowest(times)
    rounding = _ROUNDING * np.where(count > 0, filled.max(axis=1, initial=-np.inf), 0.0)
    return np.asarray((excess > _STANDARD_ERRORS * noise) & (excess > rounding), dtype=np.bool_)

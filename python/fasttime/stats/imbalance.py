# SPDX-License-Identifier: BSD-3-Clause
"""How unevenly work is spread over ranks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .student import student_quantile

# The probability of a normal value below 4 standard errors, so that 256 equal ranks have a slowest
# one in about 1 % of the rows.
_PROBABILITY = 0.99996833
_MOST_FREEDOM = 400  # the quantile is then within 2 % of 4
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
    times: npt.NDArray[np.float64],
    errors: npt.NDArray[np.float64],
    calls: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Return whether the slowest rank is slower by more than noise explains, in each row.

    Noise explains an excess of the slowest rank over the mean of the other ranks of up to 4
    standard errors. With few calls, the standard errors themselves are uncertain, so noise explains
    more: the quantile of Student's t distribution that is as rare as 4 standard errors, with the
    degrees of freedom of Welch (1947) and Satterthwaite (1946).

    Args:
        times: as for `excess_of_slowest`, each the mean of several calls.
        errors: the standard error of each mean. NaN marks an unknown error, and nothing stands out
            in its row.
        calls: the number of calls of each mean.
    """
    is_known = ~np.isnan(times)
    count = is_known.sum(axis=1)
    filled = np.where(is_known, times, -np.inf)
    # The squares of the standard errors of independent means add up.
    squares = np.where(is_known, errors, 0.0) ** 2 / np.maximum(count - 1, 1)[:, None] ** 2
    slowest = filled.argmax(axis=1)
    rows = np.arange(len(times))
    squares[rows, slowest] = errors[rows, slowest] ** 2
    square = squares.sum(axis=1)
    parts = (squares**2 / np.maximum(calls - 1, 1)).sum(axis=1)
    freedom = np.ones_like(square)
    np.divide(square**2, parts, out=freedom, where=np.isfinite(parts) & (parts > 0))
    excess = excess_of_slowest(times)
    rounding = _ROUNDING * np.where(count > 0, filled.max(axis=1, initial=-np.inf), 0.0)
    return np.asarray(
        (excess > _standard_errors(freedom) * np.sqrt(square)) & (excess > rounding), dtype=np.bool_
    )


def _standard_errors(freedom: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how many standard errors noise explains, for degrees of freedom from 1 on."""
    # Rounded down, because each quantile takes a millisecond.
    whole = np.clip(freedom, 1, _MOST_FREEDOM).astype(np.int64)
    return np.array([student_quantile(_PROBABILITY, float(one)) for one in whole.tolist()])

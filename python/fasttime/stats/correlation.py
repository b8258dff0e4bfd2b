# SPDX-License-Identifier: BSD-3-Clause
"""Values that resemble their neighbours: how much they do, and how much information is left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import Times

# The correlation of few values is itself uncertain. With fewer independent values than this, an
# interval would be so wide that it says nothing.
_FEWEST_INDEPENDENT = 3.0


def lag_one(values: Sequence[float] | Times) -> float:
    """Return the correlation of neighbours, between -1 and 1; 0 for equal values.

    It is too small by (1 + 4 r) / n on average, because the mean is estimated from the same n
    values (Kendall 1954); see `corrected`.
    """
    deviations = np.asarray(values, dtype=float) - np.mean(values)
    squares = float(deviations @ deviations)
    return float(deviations[1:] @ deviations[:-1]) / squares if squares > 0 else 0.0


def corrected(correlation: float, count: int) -> float:
    """Return a correlation of neighbours without the bias of `lag_one`, between 0 and 1."""
    return min(1.0, max(0.0, correlation + (1 + 4 * correlation) / count))


def independent_values(values: Sequence[float] | Times) -> float:
    """Return how many independent values tell as much about the mean; at least 3.

    For a first-order autoregressive process with the correlation of these values (Bayley and
    Hammersley 1946). Negative correlation counts as none.
    """
    count = len(values)
    correlation = corrected(lag_one(values), count)
    return max(_FEWEST_INDEPENDENT, count * (1 - correlation) / (1 + correlation))

# SPDX-License-Identifier: BSD-3-Clause
"""The bounds of exported histograms, in seconds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

# 1, 2 and 5 times every power of ten from 1 µs to 100 s. As text, so that 2e-05 is exactly that.
BOUNDS = (
    *(float(f"{digit}e{power}") for power in range(-6, 2) for digit in (1, 2, 5)),
    100.0,
)


def check_bounds(bounds: Iterable[float]) -> tuple[float, ...]:
    """Return finite bounds in seconds as a tuple.

    Raises ValueError unless there is a bound, and all bounds are above zero, finite and ascending.
    """
    checked = tuple(float(bound) for bound in bounds)
    is_ascending = all(low < high for low, high in itertools.pairwise(checked))
    if not checked or not is_ascending or not 0 < checked[0] <= checked[-1] < math.inf:
        raise ValueError(
            f"bounds must be ascending numbers of seconds above 0, such as [0.001, 0.01, 0.1], got "
            f"{list(checked)}; the exporter adds infinity itself"
        )
    return checked

# SPDX-License-Identifier: BSD-3-Clause
"""Series of durations as the core makes them, of times that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from simulated_cuda import Simulated

from fasttime import Recorder


def spread(count: int, longest: float = 1e12, seed: int = 0) -> list[int]:
    """As many durations in ns, in all octaves alike."""
    generator = np.random.default_rng(seed)
    return np.exp(generator.uniform(0, np.log(longest), count)).astype(int).tolist()


def series_of(cuda: Simulated, values: list[int]) -> Any:
    """The core's series of the host times of scopes that took so many ns."""
    recorder = Recorder()
    for value in values:
        token = recorder.begin("a")
        cuda.advance(value)
        recorder.end(token)
    cuda.advance(1)
    # One that is open, and another that ended inside, so that there is a site.
    token = recorder.begin("a")
    with recorder.scope("inside"):
        pass
    series = recorder.report()["a"].host._series
    recorder.end(token)
    return series


def told(series: Any) -> list[float]:
    names = ("count", "total_ns", "mean_ns", "std_ns", "min_ns", "max_ns")
    quantiles = [series.quantile_ns(q) for q in np.linspace(0, 1, 57)]
    return [*(getattr(series, name) for name in names), *quantiles]


CASES = {
    "nothing": [],
    "one": [5_000],
    "nought": [0, 0, 1],
    "alike": [123_456_789] * 40,
    "close": [10**15 + step for step in range(50)],
    "spread": spread(300),
    "hours": [3 * 3_600 * 10**9] * 4 + [360 * 10**9],
    "longer than any bucket": [2**53, 2**52, 2**52 - 1],
}
cases = pytest.mark.parametrize("values", CASES.values(), ids=CASES.keys())

# SPDX-License-Identifier: BSD-3-Clause
"""Series of known durations, as the core counts them."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_cuda import Simulated

from fasttime import Recorder
from fasttime._native import Series


def spread(count: int, longest: float = 1e12, seed: int = 0) -> list[int]:
    """Return so many durations in ns, spread evenly over all octaves up to `longest`."""
    generator = np.random.default_rng(seed)
    return np.exp(generator.uniform(0, np.log(longest), count)).astype(int).tolist()


def series_of(cuda: Simulated, values: list[int]) -> Series:
    """Return the series of host times of scopes that took this many ns each."""
    recorder = Recorder()
    for value in values:
        token = recorder.begin("a")
        cuda.advance(value)
        recorder.end(token)
    cuda.advance(1)
    # An open scope with an ended scope inside puts the site into the report, even without values.
    token = recorder.begin("a")
    with recorder.scope("inside"):
        pass
    series = recorder.report()["a"].host._series
    recorder.end(token)
    return series


def told(series: Series) -> list[float]:
    """Return every figure of a series, with many quantiles."""
    names = ("count", "total_ns", "mean_ns", "std_ns", "min_ns", "max_ns")
    quantiles = [series.quantile_ns(q) for q in np.linspace(0, 1, 57)]
    return [*(getattr(series, name) for name in names), *quantiles]


CASES = {
    "no durations": [],
    "one": [5_000],
    "zeros": [0, 0, 1],
    "equal": [123_456_789] * 40,
    "close": [10**15 + step for step in range(50)],
    "spread": spread(300),
    "hours": [3 * 3_600 * 10**9] * 4 + [360 * 10**9],
    "longer than any bucket": [2**53, 2**52, 2**52 - 1],
}
cases = pytest.mark.parametrize("values", CASES.values(), ids=CASES.keys())

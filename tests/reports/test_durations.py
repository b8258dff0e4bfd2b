# SPDX-License-Identifier: BSD-3-Clause
"""Durations counted below bounds."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from made_up_report import report, site
from simulated_cuda import Simulated

from fasttime import Recorder

MS = 1_000_000


def run(cuda: Simulated, recorder: Recorder, name: str, device_ns: int, host_ns: int = 0) -> None:
    with recorder.scope(name):
        cuda.enqueue(0, device_ns)
        cuda.advance(host_ns)


def test_buckets_count_what_lies_at_or_below_their_bounds(
    cuda: Simulated, recorder: Recorder
) -> None:
    generator = np.random.default_rng(0)
    durations = np.exp(generator.uniform(np.log(1e3), np.log(1e10), 500)).astype(int)
    for duration in durations:
        run(cuda, recorder, "a", 1, host_ns=int(duration))
    host = recorder.report(wait=True)["a"].host
    bounds = [0.0, *np.geomspace(1e-6, 10.0, 40).tolist(), np.inf]
    counts = host.counts_below(bounds)
    for bound, count in zip(bounds, counts, strict=True):
        fewest = (durations <= 0.99e9 * bound).sum()
        most = (durations <= 1.01e9 * bound).sum()
        assert fewest <= count <= most
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 500)
    assert host.counts_below([np.inf, -1.0, 1e-3]) == [500, 0, host.counts_below([1e-3])[0]]
    assert host.counts_below([]) == []


def test_a_bound_that_no_duration_is_near_counts_exactly(
    cuda: Simulated, recorder: Recorder
) -> None:
    for duration in (1, 2, 2, 3):
        run(cuda, recorder, "a", duration * MS, host_ns=duration * MS)
    site = recorder.report(wait=True)["a"]
    for times in (site.host, site.device, pickle.loads(pickle.dumps(site.host))):
        assert times.counts_below((0.0005, 0.0015, 0.0025, 0.0035)) == [0, 1, 3, 4]


@pytest.mark.parametrize("ms", [1, 7, 1_001, 1_003, 1_005, 5_003])
def test_the_least_and_the_greatest_are_counted_exactly(
    cuda: Simulated, recorder: Recorder, ms: int
) -> None:
    for _ in range(3):
        run(cuda, recorder, "a", 1, host_ns=ms * MS)
    bound = ms / 1000
    below, at = recorder.report(wait=True)["a"].host.counts_below([bound - 1e-9, bound])
    assert (below, at) == (0, 3)


def test_a_bound_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bounds must be numbers of seconds, got \[1.0, nan\]"):
        report(site("a"))["a"].host.counts_below([1.0, float("nan")])


def test_of_no_durations_none_are_below_a_bound(recorder: Recorder) -> None:
    token = recorder.begin("a")
    with recorder.scope("inside"):
        pass
    nothing = recorder.report()["a"].host
    recorder.end(token)
    assert nothing.counts_below([0.0, 1.0]) == [0, 0]

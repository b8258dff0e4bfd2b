# SPDX-License-Identifier: BSD-3-Clause
"""Distributions of durations: figures, quantiles and buckets."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from made_up_report import durations
from simulated_cuda import Simulated
from simulated_work import MS, run

from fasttime import Durations, Recorder
from fasttime._native import Series
from fasttime.reports.durations import difference, merged


def test_statistics_of_known_durations(cuda: Simulated, recorder: Recorder) -> None:
    known = [1, 2, 3, 4, 10]
    for duration in known:
        run(cuda, recorder, "a", duration * MS)
    device = recorder.report(wait=True)["a"].device
    assert device is not None
    assert device.count == 5
    assert device.total == pytest.approx(20e-3)
    assert device.mean == pytest.approx(np.mean(known) * 1e-3)
    assert device.std == pytest.approx(np.std(known, ddof=1) * 1e-3)
    assert (device.min, device.max) == pytest.approx((1e-3, 10e-3))
    assert device.median == pytest.approx(3e-3, rel=0.01)
    assert device.p95 == device.p99 == pytest.approx(10e-3, rel=0.01)
    assert "count=5" in repr(device)


def test_a_quantile_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="q must lie between 0 and 1, got 95"):
        durations(3, 1e-3).quantile(95)


def test_quantiles_are_within_one_percent(cuda: Simulated, recorder: Recorder) -> None:
    generator = np.random.default_rng(0)
    known = np.exp(generator.uniform(np.log(50), np.log(1e9), 3000)).astype(int)
    for duration in known:
        run(cuda, recorder, "a", int(duration))
        cuda.advance(int(duration))
    device = recorder.report(wait=True)["a"].device
    # The simulated runtime answers in float32 milliseconds, as the real runtime does.
    exact = np.sort(known.astype(np.float32) * 1e-9)
    for q in (0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0):
        rank = max(0, int(np.ceil(q * len(exact))) - 1)
        assert device.quantile(q) == pytest.approx(exact[rank], rel=0.01)


def test_buckets_count_durations_up_to_their_bound(cuda: Simulated, recorder: Recorder) -> None:
    generator = np.random.default_rng(0)
    known = np.exp(generator.uniform(np.log(1e3), np.log(1e10), 500)).astype(int)
    for duration in known:
        run(cuda, recorder, "a", 1, host_ns=int(duration))
    host = recorder.report(wait=True)["a"].host
    bounds = [0.0, *np.geomspace(1e-6, 10.0, 40).tolist(), np.inf]
    counts = host.counts_below(bounds)
    for bound, count in zip(bounds, counts, strict=True):
        fewest = (known <= 0.99e9 * bound).sum()
        most = (known <= 1.01e9 * bound).sum()
        assert fewest <= count <= most
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 500)
    assert host.counts_below([np.inf, -1.0, 1e-3]) == [500, 0, host.counts_below([1e-3])[0]]
    assert host.counts_below([]) == []


def test_a_bound_far_from_durations_counts_exactly(cuda: Simulated, recorder: Recorder) -> None:
    for duration in (1, 2, 2, 3):
        run(cuda, recorder, "a", duration * MS, host_ns=duration * MS)
    site = recorder.report(wait=True)["a"]
    for times in (site.host, site.device, pickle.loads(pickle.dumps(site.host))):
        assert times.counts_below((0.0005, 0.0015, 0.0025, 0.0035)) == [0, 1, 3, 4]


@pytest.mark.parametrize("ms", [1, 7, 1_001, 1_003, 1_005, 5_003])
def test_min_and_max_are_counted_exactly(cuda: Simulated, recorder: Recorder, ms: int) -> None:
    for _ in range(3):
        run(cuda, recorder, "a", 1, host_ns=ms * MS)
    bound = ms / 1000
    below, at = recorder.report(wait=True)["a"].host.counts_below([bound - 1e-9, bound])
    assert (below, at) == (0, 3)


def test_nan_is_not_a_bound() -> None:
    with pytest.raises(ValueError, match=r"bounds must be numbers of seconds, got \[1.0, nan\]"):
        durations(1, 1e-3).counts_below([1.0, float("nan")])


def test_with_no_durations_every_figure_is_zero() -> None:
    nothing = Durations(Series())
    figures = ("count", "total", "mean", "std", "min", "max", "median", "p95", "p99")
    assert {getattr(nothing, figure) for figure in figures} == {0}
    assert nothing.counts_below([0.0, 1.0]) == [0, 0]


def test_merging_adds_durations_up() -> None:
    both = merged([durations(2, 1e-3), None, durations(3, 4e-3)])
    assert (both.count, both.min, both.max) == (5, 1e-3, 4e-3)
    assert both.total == pytest.approx(14e-3)
    assert merged([]) == merged([None]) == Durations(Series())


def test_a_difference_undoes_a_merge() -> None:
    first, second = durations(2, 1e-3), durations(3, 4e-3)
    new = difference(merged([first, second]), first)
    assert (new.count, new.total, new.max) == (3, second.total, second.max)
    assert new.min == pytest.approx(second.min, rel=0.01)
    assert difference(first, None) == first
    assert difference(None, None).count == 0


def test_a_difference_in_the_wrong_order_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot have come after"):
        difference(None, durations(2, 1e-3))


def test_equal_durations_are_equal_and_hash_alike() -> None:
    assert durations(2, 1e-3) == durations(2, 1e-3)
    assert hash(durations(2, 1e-3)) == hash(durations(2, 1e-3))
    assert durations(2, 1e-3) != durations(2, 2e-3)
    assert durations(2, 1e-3) != 2

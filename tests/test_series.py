# SPDX-License-Identifier: BSD-3-Clause
"""The native `Series`: built, merged, subtracted, compared and pickled."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from core_series import CASES, cases, series_of, told
from simulated_cuda import Simulated

from fasttime._native import Series, bucket_middles_ns

EMPTY: tuple[Any, ...] = (0, 0, 0, 0, 0, np.array([], np.uint16), np.array([], np.int64))


def built(*values: int) -> Series:
    """Return a series of durations in ns, built from its parts."""
    if not values:
        return Series()
    middles = np.array(bucket_middles_ns())
    nearest = [int(np.abs(middles - max(value, 0)).argmin()) for value in values]
    buckets, counts = np.unique(nearest, return_counts=True)
    squares = sum(value * value for value in values)
    moments = len(values), sum(values), squares, min(values), max(values)
    return Series(*moments, buckets.astype("u2"), counts, first_ns=values[0])


@cases
def test_parts_make_the_same_series(cuda: Simulated, values: list[int]) -> None:
    series = series_of(cuda, values)
    again = Series(*series.moments(), *series.histogram())
    assert told(again) == told(series)
    assert again == series


@cases
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_keeps_everything(cuda: Simulated, values: list[int], protocol: int) -> None:
    series = series_of(cuda, values)
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(series, protocol)), protocol))
    assert told(again) == told(series)
    assert again == series


def test_a_pickle_is_small(cuda: Simulated) -> None:
    series = series_of(cuda, CASES["spread"])
    buckets = len(series.histogram()[0])
    assert len(pickle.dumps(series)) < 150 + 3 * buckets


@pytest.mark.parametrize(
    "state", [(), (1, 2), (1, 5, 25, 5, 5, b"\x05", "|u1", b"\1"), (1, 5, 1, 5, 5, b"", "|u1", b"")]
)
def test_a_damaged_pickle_is_refused(state: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"state|size|squares_ns2"):
        Series.__new__(Series).__setstate__(state)  # type: ignore[attr-defined]


@cases
def test_copies_are_equal(cuda: Simulated, values: list[int]) -> None:
    series = series_of(cuda, values)
    for again in (copy.copy(series), copy.deepcopy(series)):
        assert again == series
        assert hash(again) == hash(series)


@pytest.mark.parametrize("seconds", [4_000, 3 * 3_600, 7 * 24 * 3_600])
def test_quantiles_are_right_up_to_a_week(cuda: Simulated, seconds: int) -> None:
    ns = seconds * 10**9
    series = series_of(cuda, [ns // 30, ns, ns + 1, ns + 2, 2 * ns])
    assert series.quantile_ns(0.5) == pytest.approx(ns, rel=0.01)


def test_an_empty_series_holds_nothing() -> None:
    empty = Series()
    assert told(empty) == [0] * len(told(empty))
    assert empty.moments() == (0, 0, 0, 0, 0)
    assert [len(part) for part in empty.histogram()] == [0, 0]
    assert empty == Series(*EMPTY)


@cases
@pytest.mark.parametrize("parts", [2, 3])
def test_merging_equals_one_series(cuda: Simulated, values: list[int], parts: int) -> None:
    merged = Series()
    for start in range(parts):
        merged = merged.merged(series_of(cuda, values[start::parts]))
    assert merged == series_of(cuda, values)
    assert told(merged) == told(series_of(cuda, values))


def test_merging_leaves_the_parts_alone() -> None:
    one, other = built(5, 7), built(6_000)
    assert one.merged(other) == built(5, 7, 6_000)
    assert (one, other) == (built(5, 7), built(6_000))


def test_merged_sums_are_exact() -> None:
    whole = 2**61 + 1
    one = Series(1, whole, whole**2, whole, whole, [0], [1])
    assert one.merged(one).merged(one).moments() == (3, 3 * whole, 3 * whole**2, whole, whole)


def test_a_sum_beyond_292_years_is_refused() -> None:
    one = Series(1, 2**62, 2**124, 2**62, 2**62, [0], [1])
    with pytest.raises(OverflowError, match="292 years"):
        one.merged(one)


@cases
@pytest.mark.parametrize("first", [0, 1, 20, 1000])
def test_since_leaves_the_later_durations(cuda: Simulated, values: list[int], first: int) -> None:
    found = series_of(cuda, values).since(series_of(cuda, values[:first]))
    alone = series_of(cuda, values[first:])
    assert told(found)[:4] == told(alone)[:4]
    assert told(found)[4:] == pytest.approx(told(alone)[4:], rel=0.01)
    assert found.min_ns <= found.mean_ns <= found.max_ns


def test_since_knows_a_new_min_and_max_exactly() -> None:
    before, after = [1_000_003, 1_000_007], [10_007, 1_000_003, 100_000_007]
    found = built(*before, *after).since(built(*before))
    assert found.moments()[3:] == (10_007, 100_000_007)


def test_since_knows_a_single_duration_exactly() -> None:
    before = [1_000_003, 10_000_007]
    found = built(*before, 5_000_011).since(built(*before))
    assert found.moments() == (1, 5_000_011, 5_000_011**2, 5_000_011, 5_000_011)
    assert found.std_ns == 0.0


def test_since_keeps_the_mean_within_the_range() -> None:
    found = built(1_000, 5_000, 1_003, 1_003).since(built(1_000, 5_000))
    assert found.moments() == (2, 2_006, 2 * 1_003**2, 1_003, 1_003)


@pytest.mark.parametrize(
    "later", [(), (1_000,), (2_000,) * 3, (10, 20, 1_000_000), (1_000, 1_000, 1_000_000)]
)
def test_since_refuses_an_unrelated_series(later: tuple[int, ...]) -> None:
    earlier = built(1_000, 1_000) if later[-1:] != (1_000_000,) else built(2_000_000, 1_000_000)
    with pytest.raises(ValueError, match=f"{len(later)} durations cannot have come after 2 others"):
        built(*later).since(earlier)


def test_counts_below_count_buckets_by_their_middle() -> None:
    series = built(10, 1_000, 1_000, 1_000_000)
    bounds = [-1.0, 9.0, 10.0, 999.0, 1_003.5, 999_999.0, 999_999.9999, 1e6, float("inf")]
    assert series.counts_below_ns(bounds) == [0, 0, 1, 1, 3, 3, 4, 4, 4]
    assert Series().counts_below_ns([0.0, 1.0]) == [0, 0]


@pytest.mark.parametrize("other", [(), (5,), (5, 8), (5, 7, 7), (4, 8)])
def test_different_durations_are_unequal(other: tuple[int, ...]) -> None:
    assert built(5, 7) != built(*other)


def test_a_series_never_equals_another_type() -> None:
    assert built(5) != 5
    assert built(5) != built(5).moments()


def test_equal_moments_need_equal_histograms() -> None:
    moments = (2, 12, 74, 5, 7)
    assert Series(*moments, [5, 7], [1, 1]) != Series(*moments, [5], [2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": -1}, "count is out of range"),
        ({"count": 2**64}, "count is out of range"),
        ({"count": 0}, "with a count of 0"),
        ({"total_ns": 9}, "total_ns must lie between"),
        ({"total_ns": 15}, "total_ns must lie between"),
        ({"total_ns": 2**63}, "total_ns is out of range"),
        ({"squares_ns2": 71}, "squares_ns2 must be at least"),
        ({"squares_ns2": -1}, "squares_ns2 is out of range"),
        ({"squares_ns2": 2**128}, "squares_ns2 is out of range"),
        ({"min_ns": 8, "max_ns": 5}, "total_ns must lie between"),
        ({"min_ns": -(2**64)}, "min_ns is out of range"),
        ({"buckets": [7, 5]}, "buckets must rise"),
        ({"buckets": [5, 5]}, "buckets must rise"),
        ({"buckets": [-1, 5]}, "buckets must rise"),
        ({"buckets": [5, 60_000]}, "buckets must rise and be below"),
        ({"buckets": [5]}, "flat arrays of the same length"),
        ({"buckets": [[5, 7]], "counts": [[1, 1]]}, "flat arrays of the same length"),
        ({"counts": [1, 0]}, "counts must be above 0"),
        ({"counts": [1, -1]}, "counts must be above 0"),
        ({"counts": [2**62, 2**62]}, "counts must be above 0 and add up to at most count"),
        ({"counts": [2, 1]}, "add up to at most count"),
    ],
)
def test_inconsistent_parts_are_refused(change: dict[str, Any], message: str) -> None:
    parts: dict[str, Any] = {
        "count": 2,
        "total_ns": 12,
        "squares_ns2": 74,
        "min_ns": 5,
        "max_ns": 7,
        "buckets": [5, 7],
        "counts": [1, 1],
    }
    assert Series(**parts) == built(5, 7)
    with pytest.raises(ValueError, match=message):
        Series(**{**parts, **change})


def test_parts_must_be_integers() -> None:
    with pytest.raises(TypeError):
        Series(1.0, 5, 25, 5, 5, [5], [1])  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        Series(1, 5, 25, 5, 5, np.array([5.5]), [1])


def test_a_histogram_may_hold_fewer_durations() -> None:
    series = Series(2, 12, 74, 5, 7, [5], [1])
    assert (series.count, series.quantile_ns(1.0)) == (2, 5.0)


def test_negative_durations_keep_their_sign() -> None:
    series = built(-7, -2, 4)
    assert series.moments() == (3, -5, 69, -7, 4)
    assert series.since(built(-2)).moments()[:4] == (2, -3, 65, -7)


# --- the first duration ---


def test_the_first_duration_is_kept(cuda: Simulated) -> None:
    series = series_of(cuda, [900, 5, 7])
    assert series.first_ns == 900
    assert pickle.loads(pickle.dumps(series)).first_ns == 900
    assert Series().first_ns is None


def test_merged_series_have_the_first_of_the_first() -> None:
    assert built(5, 9).merged(built(3)).first_ns == 5
    assert Series().merged(built(3)).first_ns == 3
    assert built(3).merged(Series()).first_ns == 3


def test_later_durations_have_no_known_first() -> None:
    earlier, later = built(900), built(900, 5, 7)
    assert later.since(earlier).first_ns is None
    assert later.since(Series()).first_ns == 900
    assert later.since(earlier).merged(built(1)).first_ns is None


@pytest.mark.parametrize(("first", "found"), [(9, 9), (10, None), (4, None), (None, None)])
def test_a_first_outside_the_range_is_unknown(first: int | None, found: int | None) -> None:
    series = built(5, 9)
    again = Series(*series.moments(), *series.histogram(), first_ns=first)
    assert again.first_ns == found

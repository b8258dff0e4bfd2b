# SPDX-License-Identifier: BSD-3-Clause
"""Series of durations put together, and what came between two states of one."""

from __future__ import annotations

import numpy as np
import pytest
from core_series import cases, series_of, told
from simulated_cuda import Simulated

from fasttime.reports.plain_series import PlainSeries, plain
from fasttime.reports.series_sums import between, put_together


@cases
@pytest.mark.parametrize("parts", [2, 3])
def test_put_together_it_is_as_if_it_had_been_one(
    cuda: Simulated, values: list[int], parts: int
) -> None:
    several = [plain(series_of(cuda, values[start::parts])) for start in range(parts)]
    assert told(put_together(several)) == told(series_of(cuda, values))


@cases
@pytest.mark.parametrize("first", [0, 1, 20, 1000])
def test_what_came_after_is_as_if_it_had_been_alone(
    cuda: Simulated, values: list[int], first: int
) -> None:
    found = between(plain(series_of(cuda, values[:first])), plain(series_of(cuda, values)))
    alone = series_of(cuda, values[first:])
    assert told(found)[:4] == told(alone)[:4]
    assert told(found)[4:] == pytest.approx(told(alone)[4:], rel=0.01)
    assert found.min_ns <= found.mean_ns <= found.max_ns


def test_a_new_least_and_a_new_greatest_are_exact(cuda: Simulated) -> None:
    before, after = [1_000_003, 1_000_007], [10_007, 1_000_003, 100_000_007]
    found = between(plain(series_of(cuda, before)), plain(series_of(cuda, before + after)))
    assert (found.least, found.greatest) == (10_007, 100_000_007)


def test_a_single_duration_that_came_after_is_exact(cuda: Simulated) -> None:
    before = [1_000_003, 10_000_007]
    found = between(plain(series_of(cuda, before)), plain(series_of(cuda, [*before, 5_000_011])))
    assert (found.least, found.greatest, found.std_ns) == (5_000_011, 5_000_011, 0.0)


@pytest.mark.parametrize("later", [[], [1_000], [2_000, 2_000, 2_000]])
def test_what_is_no_later_state_is_refused(cuda: Simulated, later: list[int]) -> None:
    earlier = plain(series_of(cuda, [1_000, 1_000]))
    with pytest.raises(ValueError, match=f"{len(later)} durations cannot have come after 2 others"):
        between(earlier, plain(series_of(cuda, later)))


def test_sums_are_exact_beyond_what_a_float_holds() -> None:
    one = PlainSeries(1, 2**62 + 1, (2**62 + 1) ** 2, 0, 0, np.array([0], np.uint16), np.array([1]))
    assert put_together([one, one, one]).total == 3 * (2**62 + 1)

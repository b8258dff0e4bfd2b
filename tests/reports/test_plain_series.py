# SPDX-License-Identifier: BSD-3-Clause
"""Series of durations as plain data: the core's own answers to the last digit, also when sent."""

from __future__ import annotations

import pickle

from core_series import cases, series_of, told
from simulated_cuda import Simulated

from fasttime.reports.plain_series import plain


@cases
def test_it_answers_as_the_core_to_the_last_digit(cuda: Simulated, values: list[int]) -> None:
    series = series_of(cuda, values)
    assert told(plain(series)) == told(series)


@cases
def test_it_is_the_same_after_a_journey(cuda: Simulated, values: list[int]) -> None:
    series = plain(series_of(cuda, values))
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(series))))
    assert told(again) == told(series)

# SPDX-License-Identifier: BSD-3-Clause
"""The work of a call, and its rate."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from fasttime.rates.flops import count_flops, dtype_of
from fasttime.rates.rate import Rate, format_rate, rate, work_of


def test_a_rate_has_the_interval_of_the_time() -> None:
    found = rate("bytes", 4e9, 1e-3, (0.8e-3, 1.25e-3))
    assert found.value == pytest.approx(4e12)
    assert found.interval == pytest.approx((3.2e12, 5e12))
    assert str(found) == "4.00 TB/s"


def test_without_a_time_there_is_no_rate() -> None:
    found = rate("items", 5.0, 0.0, (math.nan, math.nan))
    assert math.isnan(found.value)
    assert str(found) == "- /s"


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (3.912e12, "bytes", "3.91 TB/s"),
        (999.9e9, "bytes", "1.00 TB/s"),
        (1234.0, "flops", "1.23 kFLOP/s"),
        (12.0, "items", "12 /s"),
        (0.5, "items", "0.5 /s"),
        (100e9, "bytes", "100 GB/s"),
    ],
)
def test_rates_have_three_digits(value: float, kind: str, text: str) -> None:
    assert format_rate(value, kind) == text


def test_a_share_of_the_peak_is_printed() -> None:
    assert str(Rate("bytes", 3e12, (3e12, 3e12), 0.75)) == "3.00 TB/s (75.0% of peak)"


def work(given: Any, *args: object) -> dict[str, float]:
    return work_of(given, lambda: None, args, {}).amounts


def test_amounts_are_numbers_or_functions_of_arguments() -> None:
    x = torch.ones(8)
    assert work({"bytes": lambda t: 2 * t.nbytes, "items": 8}, x) == {"bytes": 64, "items": 8}
    assert work({"bytes": None}) == {}


@pytest.mark.parametrize("amount", [-1, 0, math.inf, math.nan])
def test_amounts_are_above_zero(amount: float) -> None:
    with pytest.raises(ValueError, match="bytes must be above 0"):
        work({"bytes": amount})


@pytest.mark.parametrize("given", [{"bytes": "auto"}, {"bytes": True}, {"flops": "many"}])
def test_amounts_of_a_wrong_type_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="must be a number"):
        work(given)


def test_torch_counts_matrix_products() -> None:
    a = torch.ones(16, 32)
    total, warnings = count_flops(lambda: a @ a.T)
    assert total == 2 * 16 * 32 * 16
    assert warnings == ()


def test_uncounted_operators_are_named() -> None:
    a = torch.ones(4, 4)
    total, (warning,) = count_flops(lambda: torch.relu(a @ a).sum())
    assert total == 2 * 4**3
    assert "aten.relu, aten.sum" in warning.message


def test_nothing_counted_means_no_rate() -> None:
    a = torch.ones(4)
    found = work_of({"flops": "auto"}, lambda: a + a, (), {})
    assert found.amounts == {}
    assert "Pass flops= as a number" in found.warnings[0].message


def test_the_type_is_that_of_the_first_tensor() -> None:
    half = torch.ones(1, dtype=torch.float16)
    assert dtype_of((3, torch.ones(1, dtype=torch.int32), half), {}) == "float16"
    assert dtype_of((torch.nn.Linear(1, 1).double(),), {}) == "float64"
    assert dtype_of((), {"x": 3}) is None

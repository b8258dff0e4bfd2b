# SPDX-License-Identifier: BSD-3-Clause
"""The estimate of what timing itself cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_report import report, site

from fasttime.reports import timing_cost


def test_each_scope_and_each_event_cost_a_constant() -> None:
    cost = report(site("a", calls=1000), site("b", calls=500, shared=500)).cost
    scopes, records = 1500, 2 * 1500 - 500
    assert cost.host == pytest.approx(scopes * 0.5e-6 + records * 1.5e-6)
    assert cost.device == pytest.approx(1500 * 3.2e-6 - 500 * 1.5e-6)


def test_scopes_without_events_cost_the_device_nothing() -> None:
    cost = report(site("a", device=None, calls=1000)).cost
    assert cost == pytest.approx((0.2e-3, 0.0))


def test_the_constants_match_the_benchmark_results() -> None:
    """Within a factor of two, by which the speed of that machine's host itself varies."""
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "scope_overhead.json"
    seen = json.loads(path.read_text(encoding="utf-8"))["results"][0]["summary"]
    pair = seen["raw pair in C"]["median_ns"] * 1e-9
    scope = seen["fasttime scope, two records"]["median_ns"] * 1e-9
    assert pair / 2 < 2 * timing_cost.HOST_PER_RECORD < pair * 2
    assert scope / 2 < timing_cost.HOST_PER_SCOPE + 2 * timing_cost.HOST_PER_RECORD < scope * 2
    off = seen["fasttime scope, disabled"]["median_ns"] * 1e-9
    nothing = seen["contextlib.nullcontext"]["median_ns"] * 1e-9
    assert off < timing_cost.HOST_PER_SCOPE_WITHOUT_EVENTS < nothing

# SPDX-License-Identifier: BSD-3-Clause
"""Charts as inline SVG."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from fasttime.html.charts import histogram, interval_bar, run_order


def elements(svg: str, kind: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(kind))


def test_bars_are_as_high_as_their_counts() -> None:
    bars = elements(histogram([0, 1, 2, 4], height=20), "rect")
    assert [float(bar.get("height", "")) for bar in bars] == [5, 10, 20]
    assert [int(bar.get("x", "")) for bar in bars] == [1, 2, 3]
    assert all(float(b.get("y", "")) + float(b.get("height", "")) == 20 for b in bars)


def test_without_values_there_is_no_histogram() -> None:
    assert histogram([]) == histogram([0, 0]) == ""


def test_labels_are_escaped() -> None:
    svg = histogram([1], label='<script>"')
    assert "<script>" not in svg
    assert ElementTree.fromstring(svg).get("aria-label") == '<script>"'


def heights(svg: str) -> list[float]:
    paths = [path.get("d", "") for path in elements(svg, "path")]
    return [float(re.split("[M ]", path)[2].split("h")[0].split("H")[0]) for path in paths]


def test_longer_runs_are_drawn_higher() -> None:
    middle, *points = heights(run_order([1.0, 3.0, 2.0], 2.0, "times"))
    assert points == [117, 3, 60]
    assert middle == 60


def test_many_runs_are_thinned_out() -> None:
    assert 300 <= len(heights(run_order([1.0] * 100_000, 1.0, "times"))) - 1 <= 600


def test_unknown_times_are_not_drawn() -> None:
    assert run_order([math.nan], 1.0, "times") == ""
    assert interval_bar(0.0, 1.0, math.inf, (0.0, 2.0), 1.0) == ""


def test_an_interval_lies_on_the_axis() -> None:
    mark, bar, dot = (
        path.get("d", "") for path in elements(interval_bar(1, 2, 3, (0, 4), 1), "path")
    )
    assert (mark, bar, dot) == ("M26.00 0V14", "M26.00 7H74.00", "M50.00 7h0")


def test_an_interval_is_cut_at_the_ends_of_the_axis() -> None:
    assert "M2.00 7H98.00" in interval_bar(-9, 1, 9, (0, 2), 1)

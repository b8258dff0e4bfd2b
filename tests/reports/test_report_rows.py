# SPDX-License-Identifier: BSD-3-Clause
"""Reports as flat rows: pandas and CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from made_up_report import DEVICE_BOUND, HOST_BOUND, report, site, training

from fasttime.reports.formats.rows import COLUMNS


def test_a_frame_has_one_row_per_site() -> None:
    pytest.importorskip("pandas")
    made = training()
    frame = made.to_pandas()
    assert tuple(frame.columns) == COLUMNS
    assert list(frame["path"]) == [one.path for one in made.walk()]
    assert list(frame["depth"]) == [0, 1, 1, 2, 2, 1, 1, 2, 0]
    assert list(frame["bottleneck"])[:2] == ["device-bound", "host-bound"]


def test_a_frame_has_the_figures_of_each_site() -> None:
    pytest.importorskip("pandas")
    made = report(site("a", calls=7, device=4e-3, host=1e-3, captured=2), site("b"))
    row, one = made.to_pandas().iloc[0], made["a"]
    assert (row["calls"], row["ok"], row["captured"], row["dropped"]) == (9, 7, 2, 0)
    for kind, times in (("device", one.device), ("host", one.host)):
        for figure in ("count", "total", "mean", "std", "min", "max", "p95", "p99"):
            assert row[f"{kind}_{figure}"] == getattr(times, figure)
        assert row[f"{kind}_p50"] == times.median
    assert (row["self_time"], row["share"]) == (0.01, 0.5)
    assert row["backlog"] == DEVICE_BOUND.backlog


def test_unknown_values_are_missing_in_a_frame() -> None:
    pandas = pytest.importorskip("pandas")
    made = report(site("a", device=None, self_time=None, share=None), backend="host")
    frame = made.to_pandas()
    assert frame["device_count"][0] == 0
    for column in ("device_mean", "self_time", "share", "bottleneck", "backlog"):
        assert pandas.isna(frame[column][0])
    for column in ("device_mean", "self_time", "share", "backlog"):
        assert frame[column].dtype == float


def test_an_empty_report_is_a_frame_with_columns() -> None:
    pytest.importorskip("pandas")
    frame = report().to_pandas()
    assert (len(frame), tuple(frame.columns)) == (0, COLUMNS)


def test_csv_holds_the_same_rows(tmp_path: Path) -> None:
    made = report(
        site("a", site("b, c"), device=4e-3),
        site("line\nbreak", device=None, bottleneck=HOST_BOUND, self_time=None),
    )
    made.save(tmp_path / "r.csv")
    with open(tmp_path / "r.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["path"] for row in rows] == ["a", "a/b, c", r"line\nbreak"]
    assert float(rows[0]["device_mean"]) == made["a"].device.mean
    assert (rows[2]["device_count"], rows[2]["device_mean"]) == ("0", "")
    assert (rows[2]["self_time"], rows[2]["bottleneck"]) == ("", "")

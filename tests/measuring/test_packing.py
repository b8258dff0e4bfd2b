# SPDX-License-Identifier: BSD-3-Clause
"""Saved measurements are small, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import measurement

import fasttime
from fasttime.comparing.comparison import Comparison
from fasttime.documents import Fields
from fasttime.measuring.packing import packed_series, read_series


def of_a_clock(runs: int) -> Any:
    """Return times of 6 us, read by a clock in steps of 1 ns, without an overhead of 23.4 ns."""
    rng = np.random.default_rng(0)
    return np.rint(6000 * np.exp(0.01 * rng.standard_normal(runs))) * 1e-9 - 23.4e-9


def test_a_short_function_takes_little_room(tmp_path: Path) -> None:
    times = of_a_clock(50_000)
    saved = measurement(times, is_calibrated=True)
    saved.save(tmp_path / "m.json")
    assert (tmp_path / "m.json").stat().st_size < 250_000  # 2.1 MB as numbers
    loaded = fasttime.load(tmp_path / "m.json")
    assert isinstance(loaded, fasttime.Measurement)
    assert loaded.times.tolist() == saved.times.tolist()
    assert loaded.to_dict() == saved.to_dict()
    assert str(loaded) == str(saved)


@pytest.mark.parametrize("runs", [499, 500, 3000, 100_000])
@pytest.mark.parametrize("steps", [True, False])
def test_every_bit_survives(runs: int, steps: bool) -> None:
    times = of_a_clock(runs) if steps else np.random.default_rng(0).exponential(size=runs)
    times[:4] = np.nan, np.inf, -np.inf, -0.0
    content = json.loads(json.dumps(packed_series({"times": times.tolist()}, ("times",))))
    assert isinstance(content["times"], list if runs < 500 else dict)
    if runs >= 500:
        found = read_series(Fields(content), "times")
        assert found.tobytes() == times.tobytes()


def test_a_saved_comparison_is_packed_too(tmp_path: Path) -> None:
    pair = {name: measurement(of_a_clock(1000), is_calibrated=True) for name in "ab"}
    saved = Comparison(pair, 10, 0.01, 0.95, 1.0, "mean")
    saved.save(tmp_path / "c.json")
    loaded = fasttime.load(tmp_path / "c.json")
    assert isinstance(loaded, Comparison)
    assert loaded.to_dict() == saved.to_dict()
    assert '"distinct"' in (tmp_path / "c.json").read_text()


@pytest.mark.parametrize(
    ("field", "value"),
    [("data", "!"), ("data", "AAAA"), ("count", 10**9), ("distinct", 3), ("distinct", 0)],
)
def test_a_damaged_series_is_refused(field: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    measurement(of_a_clock(1000), is_calibrated=True).save(path)
    content = json.loads(path.read_text())
    content["times"][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"times.*data"):
        fasttime.load(path)

# SPDX-License-Identifier: BSD-3-Clause
"""Rates and percentiles of a measurement: worked out, printed, saved and merged."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import measurement, origin
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime import Measurement
from fasttime.measuring.percentiles import PERCENTS

measuring = importlib.import_module("fasttime.measuring.measure")

TIMES = [1e-3] * 20 + [1.1e-3] * 20 + [1.2e-3] * 20


def kinds(found: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in found.warnings]


def test_rates_are_per_second_of_the_median(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def peaks_of(args: Any, keywords: Any) -> dict[str, float]:
        asked.append((args, keywords))
        return {"bytes": 5e9, "flops": 1e12}

    monkeypatch.setattr(measuring, "peaks_of", peaks_of)
    found = fasttime.measure(
        simulated.work,
        10 * US,
        device_ns=1 * MS,
        hold=True,
        repeat=12,
        warmup=2,
        bytes=4e6,
        items=lambda host_ns, device_ns: host_ns,
    )
    assert found.rates["bytes"].value == pytest.approx(4e9, rel=1e-6)
    assert found.rates["bytes"].share_of_peak == pytest.approx(0.8, rel=1e-6)
    assert found.rates["items"].value == pytest.approx(1e7, rel=1e-6)
    assert found.rates["items"].share_of_peak is None
    assert found.peaks == {"bytes": 5e9}
    assert asked == [((10 * US,), {"device_ns": 1 * MS})]
    assert "bytes 4.00 GB/s (80.0% of peak)" in " ".join(str(found).split())


def test_rates_of_cycled_inputs_are_means(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(
        lambda amount: simulated.work(10 * US, 1 * MS),
        inputs=[(1000,), (3000,)],
        items=lambda amount: amount,
        budget=0.1,
    )
    assert found.work == {"items": 2000.0}


def test_flops_are_counted_with_fresh_arguments() -> None:
    x = torch.ones(8, 8)
    found = fasttime.measure(
        torch.mm, setup=lambda: (x.clone(), x), warmup=0, repeat=12, flops="auto"
    )
    assert found.work == {"flops": 2.0 * 8**3}
    assert "flops_uncounted" not in kinds(found)
    silent = fasttime.measure(torch.relu, x, warmup=0, repeat=12, flops="auto")
    assert silent.rates == {}
    assert "flops_uncounted" in kinds(silent)


def made(**changes: Any) -> Measurement:
    return measurement(TIMES, work={"bytes": 1e6}, peaks={"bytes": 2e9}, **changes)


def test_rates_have_the_ends_of_the_interval() -> None:
    rate = made().rates["bytes"]
    low, high = made().median_interval
    assert rate.interval == pytest.approx((1e6 / high, 1e6 / low))


def test_unknown_rates_say_what_to_pass() -> None:
    with pytest.raises(KeyError, match="the flops of a call are unknown; pass flops="):
        measurement([1.0], work={"bytes": 3.0}).rates["flops"]
    with pytest.raises(KeyError, match="no rate 'gbps'; there are bytes"):
        measurement([1.0], work={"bytes": 3.0}).rates["gbps"]


def test_rates_are_saved_and_loaded(tmp_path: Path) -> None:
    saved = made(calls=3, has_setup=True)
    saved.save(tmp_path / "m.json")
    loaded = fasttime.load(tmp_path / "m.json")
    assert isinstance(loaded, Measurement)
    assert loaded.rates == saved.rates
    assert (loaded.calls, loaded.has_setup) == (3, True)


def test_measurements_of_older_files_have_no_rates(tmp_path: Path) -> None:
    content = made().to_dict()
    for name in ("work", "peaks", "calls", "has_setup", "clocks"):
        del content[name]
    from fasttime.documents import Fields
    from fasttime.measuring.measurement import from_content

    assert from_content(Fields(content)).rates == {}


@pytest.mark.parametrize("work", [{"bytes": -1.0}, {"apples": 1.0}, {"bytes": float("nan")}])
def test_impossible_work_is_not_saved(work: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="work"):
        measurement(TIMES, work=work).to_dict()


def test_merging_keeps_rates_of_the_same_work() -> None:
    parts = [made(origins=(origin(one),), loop_time=float(one)) for one in (1, 2)]
    assert Measurement.merge(*parts).rates["bytes"].value == pytest.approx(1e6 / 1.1e-3)
    other = measurement(TIMES, work={"bytes": 2e6}, loop_time=9.0)
    with pytest.raises(ValueError, match="different work cannot be merged"):
        Measurement.merge(parts[0], other)


def test_percentiles_are_a_table() -> None:
    found = made().percentiles()
    assert list(found) == list(PERCENTS)
    assert found[50] == made().quantile(0.5)
    assert str(made().percentiles([50, 99.9])).splitlines()[1].split() == ["50", "%", "1.100", "ms"]
    with pytest.raises(ValueError, match="percents must be between 0 and 100, got 101"):
        made().percentiles([101])

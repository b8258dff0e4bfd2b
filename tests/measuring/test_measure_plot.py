# SPDX-License-Identifier: BSD-3-Clause
"""The figure of a measurement, and the clock samples that it marks."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up import measurement, origin
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime import Measurement
from fasttime.measuring.clocks import ClockSample, clocks_differ
from fasttime.measuring.plot import clock_changes

machine = importlib.import_module("fasttime.measuring.machine")

TIMES = 1e-3 * (1 + 0.01 * np.sin(np.arange(100)))
CLOCKS = tuple(
    ClockSample(run, mhz) for run, mhz in [(20, 1980), (40, 1965), (60, 1950), (80, 1600)]
)


def scripted(monkeypatch: pytest.MonkeyPatch, *clocks: int | None) -> None:
    """Let each reading of the clock find the next one, the last one repeatedly."""
    left = list(clocks)
    monkeypatch.setattr(machine, "sm_clock", lambda: left.pop(0) if len(left) > 1 else left[0])


# --- samples ---


def test_the_clock_is_read_after_each_batch(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, 1000, 1000, 1500)
    found = fasttime.measure(simulated.work, 10 * US, 1 * MS, budget=0.5)
    assert len(found.clocks) >= 5
    runs = [sample.run for sample in found.clocks]
    assert runs == sorted(set(runs))
    assert runs[-1] == len(found)
    assert found.clock == 1500
    assert "SM clock 1500 MHz, from 1000 to 1500 MHz" in " ".join(str(found).split())


def test_a_given_number_of_runs_has_one_clock(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, 1200)
    found = fasttime.measure(simulated.work, 10 * US, 1 * MS, warmup=2, repeat=12)
    assert found.clocks == (ClockSample(10, 1200),)


def test_without_a_driver_there_is_no_clock(simulated: SimulatedMachine) -> None:
    found = fasttime.measure(simulated.work, 10 * US, 1 * MS, warmup=2, repeat=12)
    assert (found.clocks, found.clock) == ((), None)
    assert "clock" not in str(found)


def test_clocks_are_saved_and_merged(tmp_path: Path) -> None:
    parts = [
        measurement(TIMES, clocks=CLOCKS, origins=(origin(one),), loop_time=float(one))
        for one in (1, 2)
    ]
    parts[0].save(tmp_path / "m.json")
    loaded = fasttime.load(tmp_path / "m.json")
    assert isinstance(loaded, Measurement)
    assert loaded.clocks == CLOCKS
    merged = Measurement.merge(*parts).clocks
    assert [sample.run for sample in merged] == [20, 40, 60, 80, 120, 140, 160, 180]


def test_damaged_clocks_are_refused(tmp_path: Path) -> None:
    content = measurement(TIMES).to_dict()
    from fasttime.documents import Fields
    from fasttime.measuring.measurement import from_content

    with pytest.raises(ValueError, match="pairs of a run and a clock"):
        from_content(Fields({**content, "clocks": [[1, "fast"]]}))


# --- sides at different clocks ---


@pytest.mark.parametrize(("clock", "warns"), [(1980, False), (1950, False), (1900, True)])
def test_sides_at_different_clocks_bring_a_warning(clock: float, warns: bool) -> None:
    warning = clocks_differ({'"a"': 1980.0, '"b"': clock, '"c"': None})
    assert (warning is not None) == warns
    if warning is not None:
        assert '"b" ran at 1900 MHz and "a" at 1980 MHz (-4.0 %)' in warning.message


def test_compare_reads_the_clock_of_each_candidate(
    simulated: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    last: list[int] = []

    def slow() -> None:
        last[:] = [1500]
        simulated.work(10 * US, 2 * MS)

    def fast() -> None:
        last[:] = [1980]
        simulated.work(10 * US, 1 * MS)

    monkeypatch.setattr(machine, "sm_clock", lambda: last[0])
    found = fasttime.compare({"slow": slow, "fast": fast}, rounds=12)
    assert {name: one.clock for name, one in found.measurements.items()} == {
        "slow": 1500,
        "fast": 1980,
    }
    (warning,) = [one for one in found.warnings if one.kind == "clocks_differ"]
    assert '"slow" ran at 1500 MHz and "fast" at 1980 MHz' in warning.message


def test_saved_measurements_at_different_clocks() -> None:
    old, new = (measurement(TIMES, clocks=(ClockSample(100, mhz),)) for mhz in (1980, 1700))
    kinds = [warning.kind for warning in fasttime.compare_saved(old, new).warnings]
    assert "clocks_differ" in kinds
    same = fasttime.compare_saved(old, measurement(TIMES + 1e-6, clocks=old.clocks))
    assert "clocks_differ" not in [warning.kind for warning in same.warnings]


# --- the figure ---


def test_only_large_changes_of_the_clock_are_marked() -> None:
    assert list(clock_changes(measurement(TIMES, clocks=CLOCKS))) == [(60, 1980, 1600)]
    assert list(clock_changes(measurement(TIMES))) == []


def test_the_figure_shows_order_and_distribution(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = measurement(TIMES, clocks=CLOCKS)
    figure = found.plot()
    order, distribution = figure.axes
    (dots,) = [line for line in order.lines if len(line.get_ydata()) == 100]
    assert dots.get_ydata() == pytest.approx(TIMES * 1e3)
    assert [text.get_text().strip() for text in order.texts] == ["1980 to 1600 MHz"]
    (curve,) = [line for line in distribution.lines if len(line.get_ydata()) == 100]
    assert curve.get_ydata() == pytest.approx(np.sort(TIMES * 1e3))
    assert curve.get_xdata()[-1] == 1
    labels = [text.get_text() for text in distribution.get_legend().get_texts()]
    assert labels == ["median", "95 % interval"]
    assert order.get_ylabel() == "time (ms)"
    figure.savefig(tmp_path / "m.svg")


def test_the_figure_of_a_single_time() -> None:
    pytest.importorskip("matplotlib")
    assert len(measurement([0.0]).plot().axes) == 2


def test_without_matplotlib_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'fasttime\[plot\]'"):
        measurement(TIMES).plot()

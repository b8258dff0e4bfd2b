# SPDX-License-Identifier: BSD-3-Clause
"""`Measurement`: what it derives from its times, how it prints, and its other forms."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from fasttime import Bottleneck, Measurement, TimingWarning, compare_saved
from fasttime.stats.median import median_interval
from fasttime.text import format_change, format_ratio, format_seconds


def measurement(times: Any, **changes: Any) -> Measurement:
    made = Measurement(
        times=times,
        warmup_times=np.array([0.5, 0.25]),
        host_times=np.asarray(times) / 2,
        loop_time=1.0,
        method="event",
        label="model",
        device="cuda:0 Simulated",
        warmup=2,
        repeat=2 + len(times),
    )
    return dataclasses.replace(made, **changes)


def test_statistics_are_those_of_the_kept_runs() -> None:
    found = measurement([4.0, 1.0, 3.0, 2.0])
    assert len(found) == 4
    assert (found.mean, found.median, found.min, found.max) == (2.5, 2.5, 1.0, 4.0)
    assert found.std == math.sqrt(5 / 3)
    assert [found.quantile(q) for q in (0, 0.5, 1)] == [1.0, 2.5, 4.0]
    assert found.quantile(0.25) == 1.75


def test_statistics_are_plain_floats() -> None:
    found = measurement([4.0, 1.0])
    values = (found.mean, found.median, found.std, found.min, found.max, found.quantile(0.5))
    assert {type(value) for value in values} == {float}


def test_a_single_run_has_no_standard_deviation() -> None:
    assert math.isnan(measurement([1.0]).std)
    assert "std" not in str(measurement([1.0]))


def test_a_measurement_shows_robust_statistics() -> None:
    found = measurement([*np.linspace(1.0, 2.0, 11), 9.0])
    assert found.mad == pytest.approx(0.3)
    assert found.median_interval == median_interval(found.times)
    assert found.outliers.tolist() == [False] * 11 + [True]
    assert repr(found).splitlines()[1:5] == [
        "  median     1.550 s (95 %: 1.200 s to 1.900 s)",
        "  mean       2.125 s, std 2.188 s",
        "  range      1.000 s to 9.000 s",
        "  runs       12, 1 far from the others",
    ]


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_a_quantile_outside_0_to_1_raises(q: float) -> None:
    with pytest.raises(ValueError, match=f"^q must be between 0 and 1, got {q}$"):
        measurement([1.0]).quantile(q)


def test_a_measurement_cannot_be_changed() -> None:
    found = measurement([1.0])
    with pytest.raises(ValueError, match="read-only"):
        found.times[0] = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.method = "sync"  # type: ignore[misc]


def test_a_measurement_copies_its_arrays() -> None:
    times = np.array([1.0])
    found = measurement(times)
    times[0] = 2.0
    assert found.times.tolist() == [1.0]


def test_a_measurement_can_be_pickled() -> None:
    found = measurement([1.0, 2.0])
    again = pickle.loads(pickle.dumps(found))
    assert repr(again) == repr(found)


def test_a_measurement_prints_figures_and_warnings() -> None:
    found = measurement([0.001, 0.002, 0.003], warnings=(TimingWarning("unclear", "who knows"),))
    assert str(found) == repr(found)
    assert repr(found).splitlines() == [
        "Measurement of model on cuda:0 Simulated, method 'event'",
        "  median     2.000 ms",
        "  mean       2.000 ms, std 1.000 ms",
        "  range      1.000 ms to 3.000 ms",
        "  runs       3",
        "  warm-up    2 runs ignored, the first took 500.0 ms",
        "  host time  1.000 ms to issue a call",
        "warning (unclear): who knows",
    ]


def test_control_characters_are_escaped() -> None:
    evil = "\x1b[2Jmodel\r\n"
    found = measurement([1.0], label=evil, device=evil, warnings=(TimingWarning("unclear", evil),))
    lines = repr(found).splitlines()
    escaped = "\\x1b[2Jmodel\\r\\n"
    assert lines[0] == f"Measurement of {escaped} on {escaped}, method 'event'"
    assert lines[-1] == f"warning (unclear): {escaped}"
    assert all(map(str.isprintable, lines))
    assert all(map(str.isprintable, str(compare_saved(found, found)).splitlines()))


def test_on_the_cpu_no_host_time_is_printed() -> None:
    on_cpu = measurement([1.0], warmup=0, warnings=(TimingWarning("cpu", "agree"),))
    assert repr(on_cpu).splitlines()[3:] == [
        "  range   1.000 s to 1.000 s",
        "  runs    1",
        "warning (cpu): agree",
    ]
    assert "host time" not in repr(measurement([1.0], method="naive"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (1.0, "1.000 s"),
        (0.0477, "47.70 ms"),
        (2.13e-6, "2.130 µs"),
        (32e-9, "32.00 ns"),
        (0.5e-9, "0.5000 ns"),
        (999.94e-6, "999.9 µs"),
        (999.97e-6, "1.000 ms"),
        (0.99999, "1.000 s"),
        (-0.0015, "-1.500 ms"),
        (-0.0, "0 s"),
        (1234.5, "1234 s"),
        (9999.4, "9999 s"),
        (9999.6, "10000 s"),
        (123456.7, "123457 s"),
        (float("nan"), "nan s"),
        (float("inf"), "inf s"),
    ],
)
def test_durations_have_four_digits_and_a_unit(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("change", "text"),
    [(0.4147, "+41.5 %"), (-0.75, "-75.0 %"), (0.0, "+0.0 %"), (-0.0001, "+0.0 %")],
)
def test_changes_have_a_sign(change: float, text: str) -> None:
    assert format_change(change) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.4147, "+41.5 %"),
        (2.0, "+100.0 %"),
        (2.01, "x 2.010"),
        (0.5, "-50.0 %"),
        (0.0499, "x 0.04990"),
        (12345.6, "x 12350"),
    ],
)
def test_ratios_beyond_two_are_factors(ratio: float, text: str) -> None:
    assert format_ratio(ratio) == text


def test_runs_belong_to_one_process_by_default() -> None:
    assert measurement([1.0, 2.0]).processes == (2,)
    assert measurement([1.0, 2.0], processes=(1, 1)).processes == (1, 1)


def test_unknown_values_are_none() -> None:
    found = measurement([1.0])
    assert (found.wall_time, found.event_overhead, found.environment, found.bottleneck) == (
        None,
    ) * 4
    assert (found.held, found.cache, found.is_calibrated) == (False, "warm", False)


# --- other forms ---


def test_a_measurement_becomes_a_dict() -> None:
    found = measurement(
        [1.0, 2.0], warnings=(TimingWarning("unclear", "so it is"),), loop_time=math.nan
    )
    content = found.to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert (content["times"], content["loop_time"]) == ([1.0, 2.0], "nan")
    assert content["warnings"] == [{"kind": "unclear", "message": "so it is"}]
    assert set(content) == {field.name for field in dataclasses.fields(Measurement)}


def test_the_dict_equals_the_file(tmp_path: Path) -> None:
    found = measurement([1.0, 2.0])
    found.save(tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    assert found.to_dict().items() <= document.items()


def test_pandas_gets_one_row_per_kept_run() -> None:
    pytest.importorskip("pandas")
    frame = measurement([1.0, 2.0, 4.0]).to_pandas()
    assert list(frame.columns) == ["time", "host_time"]
    assert frame["time"].tolist() == [1.0, 2.0, 4.0]
    assert frame["host_time"].tolist() == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    "changes", [{"host_times": [1.0]}, {"held": True, "wall_time": 1.0}], ids=["fewer", "held"]
)
def test_host_times_of_other_runs_are_nan(changes: dict[str, Any]) -> None:
    pytest.importorskip("pandas")
    frame = measurement([1.0, 2.0], **changes).to_pandas()
    assert frame["time"].tolist() == [1.0, 2.0]
    assert frame["host_time"].isna().all()


def test_a_notebook_shows_a_table_with_warnings() -> None:
    found = measurement(
        [0.001, 0.002, 0.003],
        label="<b>",
        warnings=(TimingWarning("unclear", "a < b"),),
        bottleneck=Bottleneck("host-bound", "the device could go 5.0 times faster", 5.0),
    )
    html = found._repr_html_()
    assert "<table>" in html
    assert "<b>&lt;b&gt;" not in html
    assert "Measurement of &lt;b&gt; on cuda:0 Simulated" in html
    assert re.search(r'<th scope="row">median</th><td class="[^"]*left[^"]*">2.000 ms</td>', html)
    assert "host-bound: the device could go 5.0 times faster" in html
    assert "<b>unclear</b>: a &lt; b" in html


def test_a_measurement_prints_its_options() -> None:
    found = measurement([1.0], held=True, cache="cold", event_overhead=1.25e-6, is_calibrated=True)
    assert " ".join(str(found).split()).startswith(
        "Measurement of model on cuda:0 Simulated, method 'event', held stream, cold L2 cache, "
        "event overhead of 1.250 µs subtracted"
    )


def test_a_measurement_prints_wall_time_and_bottleneck() -> None:
    bottleneck = Bottleneck("host-bound", "the device could go 5.0 times faster", 5.0)
    lines = str(measurement([1.0], wall_time=2.0, bottleneck=bottleneck)).splitlines()
    assert "  wall time   2.000 s per call in a row of calls" in lines
    assert "  bottleneck  host-bound: the device could go 5.0 times faster" in lines


def test_rich_prints_warnings_in_yellow() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="standard", width=100)
    console.print(measurement([1.0], warnings=(TimingWarning("unclear", "so it is"),)))
    assert "\x1b[33mwarning (unclear): so it is\x1b[0m" in file.getvalue()

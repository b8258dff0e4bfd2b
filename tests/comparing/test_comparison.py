# SPDX-License-Identifier: BSD-3-Clause
"""`Comparison`: its verdicts, table, HTML and file."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import measurement
from rich.console import Console

import fasttime
from fasttime import Comparison, TimingWarning
from fasttime.measuring.options import EndedBy


def comparison(
    ratios: Any,
    *,
    rounds: int = 8,
    level: float = 0.95,
    ended_by: EndedBy = "count",
    **changes: Any,
) -> Comparison:
    """Return a comparison with two runs per batch, in which b has these ratios to a per round."""
    b = np.repeat(np.resize(np.asarray(ratios, dtype=float), rounds), 2)
    made: dict[str, Any] = {
        "measurements": {
            "a": measurement(np.ones(2 * rounds), label="a", ended_by=ended_by),
            "b": measurement(b, label="b", ended_by=ended_by),
        },
        "batch_runs": 2,
        "margin": 0.01,
        "level": level,
        "duration": 4.0 * rounds,
    }
    return Comparison(**{**made, **changes})


# --- verdicts ---


def test_ratios_are_taken_within_each_round() -> None:
    found = comparison([1.1])
    drifting = np.linspace(1.0, 2.0, 16)
    pair = {name: found.measurements[name].times * drifting for name in "ab"}
    drifted = comparison([1.1], measurements={n: measurement(t) for n, t in pair.items()})
    assert drifted.ratio("b") == pytest.approx(1.1)
    assert drifted.verdicts["b"].interval == pytest.approx((1.1, 1.1))
    assert drifted.verdicts["b"].verdict == "slower"


def test_the_baseline_has_a_ratio_of_one() -> None:
    found = comparison([1.1])
    assert (found.baseline, found.ratio("a"), list(found.verdicts)) == ("a", 1.0, ["b"])
    with pytest.raises(KeyError, match="no candidate 'c'; there are a, b"):
        found.ratio("c")


def test_the_baseline_has_no_verdict() -> None:
    found = comparison([1.1])
    with pytest.raises(KeyError, match='"a" is the baseline, which has no verdict; there are ver'):
        found.verdicts["a"]
    with pytest.raises(KeyError, match=r'no candidate .*c.*; there are verdicts on "b"'):
        found.verdicts["c"]
    assert found.verdicts.get("a") is None


def test_an_open_verdict_says_what_would_decide() -> None:
    verdict = comparison([0.9, 1.25], rounds=8, ended_by="budget").verdicts["b"]
    assert verdict.verdict == "can't tell"
    assert verdict.reason.startswith("8 rounds do not decide it. About ")
    assert verdict.reason.endswith(": call compare() with a larger budget.")
    few = comparison([1.1], rounds=3, ended_by="budget").verdicts["b"]
    assert (few.verdict, few.interval) == ("can't tell", (0.0, math.inf))
    assert few.reason == (
        "3 rounds do not decide it. About 6 rounds would, in 24.00 s: call compare() with a larger "
        "budget."
    )


def test_more_than_1024_rounds_are_not_advised() -> None:
    verdict = comparison([0.5, 1.0, 2.1], rounds=8).verdicts["b"]
    assert verdict.verdict == "can't tell"
    assert verdict.reason == (
        "8 rounds do not decide it, and compare() makes at most 1024, which would not decide it. "
        "Do more work in each call."
    )


# --- typical runs or all runs ---


def with_rare_runs(**changes: Any) -> Comparison:
    """Return a comparison in which every 20th run of b is 21 times as long."""
    b = np.ones(640)
    b[::20] += 20
    pair = {"a": measurement(np.ones(640)), "b": measurement(b)}
    return comparison([], measurements=pair, batch_runs=40, **changes)


def test_a_mean_counts_rare_runs() -> None:
    typical, mean = with_rare_runs(), with_rare_runs(statistic="mean")
    assert (typical.verdicts["b"].verdict, mean.verdicts["b"].verdict) == ("same", "slower")
    assert (typical.ratio("b"), mean.ratio("b")) == pytest.approx((1.0, 2.0), abs=1e-3)


def test_ratios_that_part_raise_a_warning() -> None:
    (warning,) = (one for one in with_rare_runs().warnings if one.kind == "means_differ")
    assert warning.message == (
        '"b" against the baseline is +100.0 % by mean times and +0.0 % by typical runs, because '
        "long runs are more frequent on one side. If you pay for the total time, call "
        'compare(..., statistic="mean").'
    )
    assert "means_differ" in str(with_rare_runs(statistic="mean"))


def test_noise_in_means_raises_no_warning() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pair = {name: measurement(rng.exponential(size=640)) for name in "ab"}
        found = comparison([], measurements=pair, batch_runs=40)
        assert all(warning.kind != "means_differ" for warning in found.warnings)


def test_the_table_names_the_statistic() -> None:
    assert "Ratios are of mean times." in str(with_rare_runs(statistic="mean"))


def test_clock_steps_widen_the_interval() -> None:
    ticks = np.tile([64, 64, 65, 64], 8) * 32e-9
    pair = {"a": measurement(ticks), "b": measurement(np.roll(ticks, 1))}
    low, high = comparison([1.0], rounds=16, measurements=pair).verdicts["b"].interval
    assert high - 1 >= 16e-9 / 2048e-9
    assert low == pytest.approx(1 / high)


@pytest.mark.parametrize("time", [0.0, -1e-9, math.nan])
def test_times_without_a_ratio_have_no_verdict(time: float) -> None:
    verdict = comparison([time]).verdicts["b"]
    assert verdict.verdict == "can't tell"
    assert verdict.reason.startswith("A batch read no time at all, so there is no ratio.")
    assert math.isnan(verdict.ratio)


# --- saved and printed ---


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"batch_runs": 2', '"batch_runs": 3', "whole number of batches of 3"),
        ('"batch_runs": 2', '"batch_runs": 0', "batch_runs should be a whole number of at least 1"),
        ('"level": 0.95', '"level": 1.0', "level is 1.0, but must be between 0 and 1"),
        ('"duration": 32.0', '"duration": -1', "duration is -1.0, but must not be negative"),
        ('"name": "b"', '"name": "a"', "two candidates have the same name"),
        ('"held": false', '"held": 0', "candidates[0].measurement.held should be true or false"),
    ],
)
def test_inconsistent_files_are_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = tmp_path / "c.json"
    comparison([1.1]).save(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"c\.json is damaged or was edited: ") as caught:
        fasttime.load(path)
    assert complaint in str(caught.value)


def test_a_comparison_of_one_is_not_saved(tmp_path: Path) -> None:
    alone = comparison([1.0], measurements={"a": measurement(np.ones(4))})
    with pytest.raises(ValueError, match="has two candidates, not 1"):
        alone.save(tmp_path / "c.json")


def test_a_comparison_prints_as_a_plain_table() -> None:
    found = comparison([1.1])
    found = comparison(
        [1.1], measurements={**found.measurements, "[c]": measurement(np.tile([0.7, 1.4], 8))}
    )
    assert str(found).splitlines() == [
        "method 'event' on cuda:0 Simulated: 8 rounds in random order, 2 runs per batch, 32.00 s",
        "            median        vs              95 %",
        "candidate  per run  baseline          interval  verdict",
        "a          1.000 s         -                 -  baseline",
        "b          1.100 s   +10.0 %  +10.0 to +10.0 %  slower",
        "[c]        1.050 s    +5.0 %    +5.0 to +5.0 %  slower",
        "Ratios are of typical runs: of the mean of the middle half of each batch.",
        "All 2 intervals together hold with 95 % confidence (Bonferroni). same: within 1 %.",
    ]
    assert repr(found) == str(found)


def test_an_open_verdict_prints_its_reason() -> None:
    lines = str(comparison([1.1], rounds=3)).splitlines()
    assert lines[4].split() == ["b", "1.100", "s", "+10.0", "%", "unknown", "can't", "tell"]
    assert lines[6] == "The interval holds with 95 % confidence. same: within 1 %."
    assert lines[7].startswith('"b": 3 rounds do not decide it. About 6 rounds would')


def named(*names: str, ratio: float = 1.1) -> Comparison:
    """Return a comparison of two with such names."""
    measurements = comparison([ratio]).measurements.values()
    return comparison([], measurements=dict(zip(names, measurements, strict=True)))


def test_names_are_not_taken_for_markup() -> None:
    printed = str(named("mm[/x]", "b [red]"))
    assert "\nmm[/x] " in printed
    assert "\nb [red] " in printed


def test_control_characters_are_escaped() -> None:
    printed = str(named("a\x1b[2J", "b\nc"))
    assert "\na\\x1b[2J " in printed
    assert "\nb\\nc " in printed


def test_a_long_baseline_name_leaves_room_for_figures() -> None:
    first, second = "eager, without a graph, batch 32", "b"
    header = str(named(first, second)).splitlines()[2]
    assert header.split() == ["candidate", "per", "run", "baseline", "interval", "verdict"]


@pytest.mark.parametrize(
    ("ratio", "cells"),
    [
        (1.9, ["+90.0", "%", "+90.0", "to", "+90.0", "%", "slower"]),
        (2.5, ["x", "2.500", "x", "2.500", "to", "2.500", "slower"]),
        (1234.4, ["x", "1234", "x", "1234", "to", "1234", "slower"]),
        (0.25, ["x", "0.2500", "x", "0.2500", "to", "0.2500", "faster"]),
    ],
)
def test_ratios_beyond_two_print_as_factors(ratio: float, cells: list[str]) -> None:
    assert str(named("a", "b", ratio=ratio)).splitlines()[4].split()[3:] == cells


def test_a_comparison_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, str(comparison([1.1], rounds=3)).splitlines())) <= 60


def test_singular_and_plural_are_right() -> None:
    title = str(comparison([1.1], rounds=1, batch_runs=1)).splitlines()[0]
    assert title.endswith(": 2 rounds in random order, 1 run per batch, 4.000 s")
    title = str(comparison([1.1], rounds=1)).splitlines()[0]
    assert title.endswith(": 1 round in random order, 2 runs per batch, 4.000 s")


def test_verdicts_are_coloured_on_terminals_only() -> None:
    outputs = []
    for color_system in ("standard", "auto"):
        file = io.StringIO()
        Console(file=file, color_system=color_system, width=80).print(comparison([1.1]))
        outputs.append(file.getvalue())
    assert "\x1b[31mslower" in outputs[0]
    assert ("slower" in outputs[1], "\x1b" in outputs[1]) == (True, False)


# --- the other forms ---


def a_warned_comparison() -> Comparison:
    pair = comparison([1.1]).measurements.values()
    hot = TimingWarning("throttled", "The GPU was <hot>.")
    a, b = (dataclasses.replace(one, warnings=(hot,)) for one in pair)
    return comparison([], measurements={"a<b": a, "b": b})


def test_a_comparison_is_json() -> None:
    found = a_warned_comparison()
    written = json.loads(json.dumps(found.to_dict()))
    assert [candidate["name"] for candidate in written["candidates"]] == ["a<b", "b"]
    assert written["verdicts"]["b"]["verdict"] == "slower"
    assert written["warnings"] == [{"kind": "throttled", "message": "The GPU was <hot>."}]


def test_a_notebook_shows_table_and_warnings() -> None:
    shown = a_warned_comparison()._repr_html_()
    assert '<th scope="row">a&lt;b</th>' in shown
    assert "+10.0 %" in shown
    assert "<b>throttled</b>: The GPU was &lt;hot&gt;." in shown


def test_pandas_gets_a_row_per_candidate() -> None:
    pytest.importorskip("pandas")
    frame = comparison([1.1]).to_pandas()
    assert list(frame["candidate"]) == ["a", "b"]
    assert list(frame["verdict"]) == ["baseline", "slower"]
    assert list(frame["ratio"]) == [1.0, pytest.approx(1.1)]


def test_warnings_of_some_candidates_name_them() -> None:
    pair = list(comparison([1.1]).measurements.values())
    drift = TimingWarning("drift", "It drifts.")
    found = comparison(
        [],
        measurements={
            "a": pair[0],
            "b": dataclasses.replace(pair[1], warnings=(drift,)),
            "c": dataclasses.replace(pair[1], warnings=(drift,)),
        },
    )
    assert found.warnings == (TimingWarning("drift", '"b", "c": It drifts.'),)

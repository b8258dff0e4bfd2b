# SPDX-License-Identifier: BSD-3-Clause
"""`compare_saved`: a new measurement against an old one, and the exit code."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import made_up_report
import numpy as np
import pytest
from made_up import environment, measurement

import fasttime
from fasttime import (
    Comparison,
    Measurement,
    SavedComparison,
    compare_saved,
)
from fasttime.measuring.warnings import TimingWarning
from fasttime.stats.student import difference_interval, student_quantile


def runs(*medians: float, **changes: Any) -> Measurement:
    """Return ten runs per process, within 0.1 % of its median."""
    spread = np.linspace(0.999, 1.001, 10)
    times = np.concatenate([median * spread for median in medians])
    return measurement(times, processes=(10,) * len(medians), **changes)


STEADY = (1.0, 1.01, 0.99, 1.0, 1.005)


def scaled(ratio: float, medians: tuple[float, ...] = STEADY) -> tuple[float, ...]:
    return tuple(ratio * median for median in medians)


# --- Welch and Student ---


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [(0.975, 1, 12.7062), (0.975, 4, 2.7764), (0.975, 30, 2.0423), (0.995, 2, 9.9248)],
)
def test_t_quantiles_match_the_tables(probability: float, freedom: float, quantile: float) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(quantile, abs=1e-4)


FEW, MORE = (1.0, 2.0, 3.0), (2.0, 4.0, 6.0, 8.0)  # of variance 1 and 20/3


def test_welch_is_used_if_the_small_one_spreads_more() -> None:
    difference, low, high = difference_interval([2.0, 5.0, 8.0], MORE, 0.05)
    variance = 9 / 3 + (20 / 3) / 4
    freedom = variance**2 / ((9 / 3) ** 2 / 2 + (5 / 3) ** 2 / 3)
    half = student_quantile(0.975, freedom) * math.sqrt(variance)
    assert (difference, low, high) == pytest.approx((0.0, -half, half))


@pytest.mark.parametrize(("old", "new", "sign"), [(FEW, MORE, 1), (MORE, FEW, -1)])
def test_student_is_used_if_it_spreads_less(
    old: tuple[float, ...], new: tuple[float, ...], sign: int
) -> None:
    difference, low, high = difference_interval(old, new, 0.05)
    variance = (2 * 1 + 3 * 20 / 3) / 5
    half = student_quantile(0.975, 5) * math.sqrt(variance * (1 / 3 + 1 / 4))
    assert (difference, low, high) == pytest.approx(
        (sign * 3.0, sign * 3.0 - half, sign * 3 + half)
    )


def test_welch_is_used_for_equal_sample_sizes() -> None:
    difference, low, high = difference_interval([0.0, 0.1, 0.2], [2.0, 5.0, 8.0], 0.05)
    variance = 0.01 / 3 + 9 / 3
    freedom = variance**2 / ((0.01 / 3) ** 2 / 2 + (9 / 3) ** 2 / 2)
    half = student_quantile(0.975, freedom) * math.sqrt(variance)
    assert (difference, low, high) == pytest.approx((4.9, 4.9 - half, 4.9 + half))


def test_samples_without_spread_have_no_width() -> None:
    assert difference_interval([1.0, 1.0], [3.0, 3.0], 0.05) == (2.0, 2.0, 2.0)


# --- by processes ---


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(1.1, "slower"), (0.9, "faster"), (1.0, "can't tell")]
)
def test_the_spread_of_the_processes_decides(ratio: float, verdict: str) -> None:
    found = compare_saved(runs(*STEADY), runs(*scaled(ratio)))
    assert found.verdict == verdict
    assert found.ratio == pytest.approx(ratio)
    assert found.interval[0] < ratio < found.interval[1]
    assert found.goes_by_processes


def test_processes_that_agree_are_the_same() -> None:
    old = runs(1.0, 1.001, 0.999)
    assert compare_saved(old, runs(1.0, 1.001, 0.998)).verdict == "same"


def test_changes_between_processes_prove_nothing() -> None:
    found = compare_saved(runs(1.0, 1.1, 0.9), runs(1.05, 1.15, 0.95))
    assert found.verdict == "can't tell"


def test_a_few_more_processes_are_advised() -> None:
    found = compare_saved(runs(1.0, 1.1, 0.9), runs(1.15, 1.25, 1.05))
    assert found.verdict == "can't tell"
    assert re.fullmatch(
        r"3 old and 3 new processes vary too much to decide\. About (\d+) processes per side would "
        r"decide: fasttime bench TARGET --processes \1",
        found.reason,
    )


def test_many_more_processes_are_not_advised() -> None:
    found = compare_saved(runs(1.0, 1.1, 0.9), runs(1.01, 1.11, 0.91))
    assert found.verdict == "can't tell"
    assert found.reason == (
        "3 old and 3 new processes vary too much to decide. To decide, stop other programs on the "
        "machine, or do more work in each call."
    )


def test_coarse_clocks_get_no_advice_on_processes() -> None:
    coarse = [1.0, 1.0, 1.05, 1.05, 1.0, 1.0]  # by a clock that moves in steps of 5 % of a run
    old, new = (measurement(coarse * 3, processes=(6, 6, 6)) for _ in range(2))
    found = compare_saved(old, new)
    assert found.verdict == "can't tell"
    assert "The clock's steps are 5 % of a run, so more runs do not help." in found.reason


def test_same_is_within_the_margin() -> None:
    found = compare_saved(runs(1.0), runs(1.0), allowance=0.0)
    assert found.verdict == "same"
    assert found.reason.endswith(", but this change is within the margin.")


def test_many_runs_do_not_replace_processes() -> None:
    few, many = (
        compare_saved(
            measurement(np.repeat([1.0, 1.1, 0.9], n), processes=(n,) * 3),
            measurement(np.repeat([1.05, 1.15, 0.95], n), processes=(n,) * 3),
        )
        for n in (1, 1000)
    )
    assert few.interval == many.interval


def test_a_single_clock_step_proves_nothing() -> None:
    old = measurement(np.full(300, 1.024e-6), processes=(100,) * 3)
    times = np.tile([1.024e-6, 1.056e-6, 1.056e-6], 100)
    found = compare_saved(old, measurement(times, processes=(100,) * 3))
    assert found.ratio == pytest.approx(1.056 / 1.024)
    assert found.interval[1] / found.interval[0] > 1.03


# --- by runs ---


@pytest.mark.parametrize("processes", [1, 2])
def test_few_processes_need_more_than_the_allowance(processes: int) -> None:
    def verdict(ratio: float, **options: Any) -> str:
        old, new = runs(*[1.0] * processes), runs(*[ratio] * 5)
        return compare_saved(old, new, **options).verdict

    assert [verdict(ratio) for ratio in (1.09, 1.11)] == ["can't tell", "slower"]
    assert [verdict(ratio) for ratio in (0.92, 0.90)] == ["can't tell", "faster"]
    assert verdict(1.0) == "can't tell"
    assert verdict(1.09, allowance=0.05) == "slower"


def test_run_noise_adds_to_the_allowance() -> None:
    old = measurement(np.linspace(0.9, 1.1, 10))
    assert compare_saved(old, measurement(np.linspace(1.05, 1.25, 10))).verdict == "can't tell"
    low, high = compare_saved(old, old).interval
    old_low, old_high = old.median_interval
    assert (low, high) == pytest.approx((old_low / old_high / 1.1, old_high / old_low * 1.1))


def test_the_interval_holds_both_of_two_processes() -> None:
    both = measurement([6.58] * 4 + [7.90] * 16, processes=(4, 16))
    assert both.median == pytest.approx(7.24)
    found = compare_saved(both, both)
    assert found.interval == pytest.approx((6.58 / 7.90 / 1.1, 7.90 / 6.58 * 1.1))


def test_each_process_has_its_own_clock_step() -> None:
    # Another floor is taken off in either, so that together they would show steps of 1 ns.
    one = np.repeat([1024e-9, 1056e-9], 50)
    both = measurement(np.concatenate([one, one - 1e-9]), processes=(100, 100))
    low, high = compare_saved(both, both).interval
    widest = (1056e-9 + 16e-9) / (1023e-9 - 16e-9)
    assert (low, high) == pytest.approx((1 / widest / 1.1, widest * 1.1))


def test_two_processes_against_one_go_by_their_runs() -> None:
    assert compare_saved(runs(1.0), runs(1.5, 1.51)).verdict == "slower"


def test_three_processes_have_their_own_interval() -> None:
    new = runs(1.4, 1.5, 1.6)
    low, high = compare_saved(runs(1.0), new).interval
    new_low, new_high = new.median_interval
    assert low == pytest.approx(new_low / 1.1, rel=1e-2)
    assert high == pytest.approx(new_high * 1.1, rel=1e-2)


def test_few_processes_say_what_would_decide() -> None:
    assert compare_saved(runs(1.0), runs(1.05)).reason == (
        "With fewer than 3 processes per side, a change of 10 % may be chance. To decide, measure "
        "both in several processes: fasttime bench TARGET --processes 5"
    )
    assert compare_saved(runs(1.0), runs(2.0)).reason.endswith(", but this change is larger.")


def test_too_few_runs_decide_nothing() -> None:
    found = compare_saved(measurement([1.0] * 5), measurement([9.0] * 5))
    assert (found.verdict, found.ratio) == ("can't tell", 9.0)
    assert found.reason.startswith("There are too few runs. To decide, measure both in several")


@pytest.mark.parametrize("median", [0.0, math.nan])
def test_medians_without_a_ratio_have_no_verdict(median: float) -> None:
    for medians in ((median,), (median, 1.0, 1.0)):
        found = compare_saved(runs(*medians), runs(*[1.0] * len(medians)))
        assert found.verdict == "can't tell"
        assert math.isnan(found.ratio)


# --- the exit code ---


def test_only_a_proven_regression_fails() -> None:
    found = compare_saved(runs(*STEADY), runs(*scaled(1.10)))
    low = found.interval[0] - 1
    assert 0.05 < low < 0.10
    assert [found.exit_code(share) for share in (0, 0.05, low - 1e-9, low + 1e-9, 0.2)] == [
        1,
        1,
        1,
        0,
        0,
    ]


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.02])
def test_unproven_regressions_pass(ratio: float) -> None:
    assert compare_saved(runs(1.0), runs(ratio)).exit_code(0.0) == 0


def test_a_regression_within_the_margin_passes() -> None:
    found = compare_saved(runs(1.0, 1.0001, 1.0), runs(1.005, 1.0051, 1.005))
    assert (found.verdict, found.interval[0] > 1, found.exit_code(0.0)) == ("same", True, 0)


@pytest.mark.parametrize("share", [-0.1, math.nan, math.inf])
def test_a_threshold_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(
        ValueError, match=f"^fail_above must be at least 0, 0.05 for 5 %, got {share}"
    ):
        compare_saved(runs(1.0), runs(1.0)).exit_code(share)


def test_a_threshold_of_500_percent_needs_a_float() -> None:
    found = compare_saved(runs(*STEADY), runs(*scaled(1.10)))
    message = "fail_above=5 would be 500 %: write 0.05 for 5 %, or 5.0 if you mean it"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        found.exit_code(5)
    assert (found.exit_code(5.0), found.exit_code(0)) == (0, 1)


@pytest.mark.parametrize("share", ["5%", None, True])
def test_a_threshold_must_be_a_number(share: Any) -> None:
    with pytest.raises(TypeError, match=r"^fail_above must be a number, 0\.05 for 5 %, got "):
        compare_saved(runs(1.0), runs(1.0)).exit_code(share)


# --- environments ---


def test_date_and_process_are_not_differences() -> None:
    old = runs(1.0, environment=environment(driver="580", date="then"))
    there = environment(driver="590", date="now", host_name="made up", process_id=7)
    new = runs(1.0, environment=there, device="cuda:1 Other")
    found = compare_saved(old, new)
    assert [tuple(difference) for difference in found.environment_differences] == [
        ("device", "cuda:0 Simulated", "cuda:1 Other"),
        ("driver", "580", "590"),
    ]
    assert compare_saved(old, old).environment_differences == ()


# --- in print ---


def test_a_saved_comparison_prints_as_a_table() -> None:
    old = runs(*STEADY, environment=environment(driver="580"))
    new = runs(
        *scaled(1.1),
        environment=environment(driver="590"),
        label="rival",
        warnings=(TimingWarning("throttled", "it was hot"), TimingWarning("cpu", "so")),
    )
    found = compare_saved(old, new)
    assert str(found).splitlines() == [
        "rival against model, method 'event' on cuda:0 Simulated",
        "      median       vs             95 %",
        "     per run      old         interval  verdict",
        "old  1.000 s        -                -  50 runs in 5 processes",
        "new  1.100 s  +10.0 %  +8.7 to +11.3 %  slower (50 runs in 5 processes)",
        "slower: Based on the spread of 5 old and 5 new processes.",
        "warning (environments_differ): The environments differ, which alone may change times: "
        "driver was",
        "'580', is '590'.",
        "warning (throttled): new: it was hot",
    ]
    kinds = [warning.kind for warning in found.warnings]
    assert kinds == ["environments_differ", "throttled", "cpu"]
    assert repr(found) == str(found)


def test_too_few_processes_are_mentioned_once() -> None:
    two = fasttime.Measurement.merge(runs(1.0), runs(1.1))
    assert [warning.kind for warning in two.warnings] == ["few_processes"]
    text = str(compare_saved(two, two))
    assert "With fewer than 3 processes per side" in text
    assert "few_processes" not in text


def test_an_unknown_environment_brings_a_warning() -> None:
    found = compare_saved(runs(1.0), runs(1.0))
    assert [warning.kind for warning in found.warnings] == ["environment_unknown"]
    assert "warning (environment_unknown): The environment of a side is unknown" in str(found)


# --- the other forms ---


def test_a_saved_comparison_can_be_loaded(tmp_path: Path) -> None:
    found = compare_saved(runs(*STEADY), runs(*scaled(1.1)), margin=0.02, allowance=0.05)
    found.save(tmp_path / "s.json")
    again = fasttime.load(tmp_path / "s.json")
    assert isinstance(again, SavedComparison)
    assert (again.margin, again.allowance, again.verdict) == (0.02, 0.05, "slower")
    assert str(again) == str(found)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"margin": 0.01', '"margin": 1', "margin must lie between 0 and 1"),
        ('"allowance": 0.1', '"allowance": -1', "allowance must be at least 0"),
        ('"cache": "warm"', '"cache": "cold"', "cannot be compared"),
        ('"held": false', '"held": 0', "old.held should be true or false"),
    ],
)
def test_inconsistent_files_are_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = tmp_path / "s.json"
    compare_saved(runs(1.0), runs(1.0)).save(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"s\.json is damaged or was edited: ") as caught:
        fasttime.load(path)
    assert complaint in str(caught.value)


def test_a_damaged_measurement_is_named(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    runs(1.0).save(path)
    path.write_text(path.read_text().replace('"held": false', '"held": 0'))
    with pytest.raises(ValueError, match=r"old\.json is damaged or was edited: held should be"):
        compare_saved(path, runs(1.0))


def test_a_saved_comparison_is_json() -> None:
    old = runs(*STEADY, environment=environment(driver="580"))
    new = runs(*scaled(1.1), environment=environment(driver="590"))
    written = json.loads(json.dumps(compare_saved(old, new).to_dict()))
    assert written["verdict"] == "slower"
    assert written["environment_differences"] == [{"field": "driver", "old": "580", "new": "590"}]
    assert [warning["kind"] for warning in written["warnings"]] == ["environments_differ"]


def test_a_notebook_shows_both_sides() -> None:
    shown = compare_saved(runs(*STEADY), runs(*scaled(1.1)))._repr_html_()
    assert '<th scope="row">new</th><td>1.100 s</td>' in shown
    assert "slower (50 runs in 5 processes)" in shown
    assert "<b>environment_unknown</b>: " in shown


def test_pandas_gets_a_row_per_side() -> None:
    pytest.importorskip("pandas")
    frame = compare_saved(runs(*STEADY), runs(*scaled(1.1))).to_pandas()
    assert list(frame["side"]) == ["old", "new"]
    assert list(frame["ratio"]) == [1.0, pytest.approx(1.1)]
    assert frame["verdict"][1] == "slower"


# --- what can be compared ---


def test_files_can_be_compared(tmp_path: Path) -> None:
    runs(1.0).save(tmp_path / "old.json")
    runs(2.0).save(tmp_path / "new.json")
    found = compare_saved(tmp_path / "old.json", str(tmp_path / "new.json"))
    assert isinstance(found, SavedComparison)
    assert found.verdict == "slower"
    with pytest.raises(FileNotFoundError):
        compare_saved(tmp_path / "old.json", tmp_path / "none.json")


def test_only_measurements_are_compared(tmp_path: Path) -> None:
    pair = {name: runs(1.0) for name in "ab"}
    Comparison(pair, 1, 0.01, 0.95, 1.0).save(tmp_path / "c.json")
    with pytest.raises(
        TypeError,
        match=r"two measurements, but new \(.*c\.json\) is a comparison\. Pass one of its",
    ):
        compare_saved(runs(1.0), tmp_path / "c.json")
    made_up_report.training().save(tmp_path / "r.json")
    with pytest.raises(
        TypeError, match=r"but old \(.*r\.json\) is a report: a report has no single runs"
    ):
        compare_saved(tmp_path / "r.json", 1.0)
    with pytest.raises(TypeError, match=r"but old is of type float$"):
        compare_saved(1.0, runs(1.0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [("method", "sync"), ("cache", "cold"), ("held", True)],
)
def test_different_ways_to_measure_are_refused(name: str, value: Any) -> None:
    with pytest.raises(
        ValueError, match=f"^the old measurement has {name}=.*; measure both in the same way$"
    ):
        compare_saved(runs(1.0), runs(1.0, **{name: value}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": 0}, "margin must lie between 0 and 1, 0.01 for 1 %, got 0"),
        ({"margin": math.nan}, "margin must lie between 0 and 1, 0.01 for 1 %, got nan"),
        ({"allowance": 1}, "allowance must be at least 0 and below 1, 0.1 for 10 %, got 1"),
        ({"allowance": -0.1}, "allowance must be at least 0 and below 1, 0.1 for 10 %, got -0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^(margin|allowance) must") as caught:
        fasttime.compare_saved(runs(1.0), runs(1.0), **options)
    assert str(caught.value) == message

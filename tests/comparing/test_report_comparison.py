# SPDX-License-Identifier: BSD-3-Clause
"""`compare_reports`: site by site, proven by the spread between reports."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_report import ENVIRONMENT, report, site

import fasttime
from fasttime import Report, ReportComparison, compare_reports


def served(decode: float, *, process: int = 1, **environment: Any) -> Report:
    """Return a report in which decoding takes so many milliseconds."""
    return report(
        site("request", site("decode", device=decode * 1e-3), device=20e-3),
        known_environment=replace(ENVIRONMENT, process_id=process, host_name="host", **environment),
    )


def side(*decode: float) -> list[Report]:
    return [served(one, process=number) for number, one in enumerate(decode)]


def test_a_change_beyond_the_spread_is_proven() -> None:
    compared = compare_reports(side(2.0, 2.02, 1.98), side(2.4, 2.42, 2.38))
    change = compared["request/decode"]
    assert change.verdict.verdict == "slower"
    assert change.change == pytest.approx(0.2, abs=0.01)
    low, high = change.verdict.interval
    assert low < change.verdict.ratio < high
    assert (change.old_calls, change.new_calls) == (30, 30)
    assert compared["request"].verdict.verdict == "same"
    assert compared.warnings == ()


def test_a_change_within_the_spread_is_not_proven() -> None:
    compared = compare_reports(side(2.0, 2.6, 1.7), side(2.4, 2.0, 2.9))
    verdict = compared["request/decode"].verdict
    assert verdict.verdict == "can't tell"
    assert "vary too much" in verdict.reason


def test_a_single_report_has_no_known_spread() -> None:
    compared = compare_reports(served(2.0), served(9.0))
    change = compared["request/decode"]
    assert change.verdict.verdict == "can't tell"
    assert change.change == pytest.approx(3.5)
    assert "fewer than 3 reports per side" in str(compared)


def test_sites_of_one_side_are_listed() -> None:
    new = report(site("request", site("encode"), device=20e-3))
    compared = compare_reports(served(2.0), new)
    assert [one.path for one in compared] == ["request", "request/encode", "request/decode"]
    assert compared["request/encode"].old_calls == 0
    assert compared["request/decode"].new_calls == 0
    assert math.isnan(compared["request/decode"].change)


def test_sites_stand_below_their_parents() -> None:
    old = report(site("a", site("gone")), site("b", site("v1/chat")), site("left"))
    new = report(site("a"), site("b", site("new")))
    compared = compare_reports(old, new)
    assert [(one.path, one.depth) for one in compared] == [
        *(("a", 0), ("a/gone", 1), ("b", 0), ("b/new", 1), ("b/v1/chat", 1), ("left", 0)),
    ]
    names = [row.name for row in compared._tree()]
    assert names == ["a", "gone", "b", "new", "v1/chat", "left"]


def test_an_impossible_tree_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    compare_reports(served(2.0), served(2.0)).save(path)
    path.write_text(path.read_text().replace('"depth": 0', '"depth": 1'))
    with pytest.raises(ValueError, match="depth"):
        fasttime.load(path)


def test_host_times_are_compared_if_a_side_has_no_others() -> None:
    compared = compare_reports(report(site("a", host=1e-3)), report(site("a", device=None)))
    assert (compared["a"].kind, compared["a"].new_p50) == ("host", 1e-3)


def test_one_process_is_a_warning() -> None:
    compared = compare_reports([served(2.0)] * 3, side(2.0, 2.0, 2.0))
    assert [warning.kind for warning in compared.warnings] == ["one_process"]
    assert "old reports" in compared.warnings[0].message


def in_environment(**changes: Any) -> Report:
    return report(site("a"), known_environment=replace(ENVIRONMENT, **changes))


def test_another_machine_is_a_warning() -> None:
    compared = compare_reports(in_environment(), in_environment(gpu="Other GPU"))
    (warning,) = compared.warnings
    assert warning.kind == "other_machine"
    assert "gpu was 'Made-up GPU', is 'Other GPU'" in warning.message
    assert [one.field for one in compared.other_machine] == ["gpu"]


def test_another_driver_is_no_other_machine() -> None:
    compared = compare_reports(in_environment(), in_environment(driver="590.1"))
    assert [warning.kind for warning in compared.warnings] == ["environments_differ"]
    assert compared.other_machine == ()


def test_a_fleet_is_compared_as_a_whole() -> None:
    fleet = [in_environment(gpu=gpu) for gpu in ("A", "B", "B")]
    assert compare_reports(fleet, fleet[::-1]).warnings == ()
    (difference,) = compare_reports(fleet[:1], fleet).other_machine
    assert str(difference) == "gpu was 'A', is 'A, B'"


def test_merged_reports_of_unlike_machines_differ() -> None:
    merged = Report.merge(in_environment(gpu="A"), in_environment(gpu="B"))
    (difference,) = compare_reports(in_environment(gpu="A"), merged).other_machine
    assert (difference.old, difference.new) == ("A", "several")
    assert compare_reports(merged, merged).other_machine == ()


# --- exit codes ---


@pytest.mark.parametrize(("limit", "code"), [(0, 1), (0.1, 1), (0.15, 1), (0.5, 0)])
def test_a_proven_slowdown_has_exit_code_1(limit: float, code: int) -> None:
    compared = compare_reports(side(2.0, 2.02, 1.98), side(2.4, 2.42, 2.38))
    assert compared.exit_code(limit) == code
    assert [one.path for one in compared.slower(limit)] == ["request/decode"][:code]


def test_unproven_or_faster_has_exit_code_0() -> None:
    assert compare_reports(served(2.0), served(9.0)).exit_code(0.0) == 0
    assert compare_reports(side(2.4, 2.42, 2.38), side(2.0, 2.02, 1.98)).exit_code(0.0) == 0


def test_another_machine_has_exit_code_4() -> None:
    compared = compare_reports(in_environment(), in_environment(torch="2.0"))
    assert compared.exit_code(0.05) == 4
    assert compared.exit_code(0.05, allow_other_machine=True) == 0


@pytest.mark.parametrize(
    ("limit", "error"), [(5, ValueError), (-0.1, ValueError), ("5%", TypeError)]
)
def test_a_bad_limit_is_explained(limit: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"5 %"):
        compare_reports(in_environment(), in_environment(torch="2.0")).exit_code(limit)


def test_false_verdicts_are_rare_with_many_sites() -> None:
    """Comparisons of 30 sites without any change: at most 5 % may be wrong."""
    rng = np.random.default_rng(3)

    def day() -> list[Report]:
        return [
            report(*(site(f"s{i}", device=float(t)) for i, t in enumerate(times)))
            for times in 1e-3 * np.exp(rng.normal(0, 0.1, (5, 30)))
        ]

    wrong = 0
    for _ in range(60):
        verdicts = {one.verdict.verdict for one in compare_reports(day(), day())}
        wrong += bool(verdicts & {"faster", "slower"})
    assert wrong <= 6  # 60 comparisons at 5 % exceed this with a probability of 2 %


def test_a_saved_comparison_is_loaded(tmp_path: Path) -> None:
    slow = [served(2.4, gpu="Other GPU")] * 3
    compared = compare_reports(side(2.0, 2.02, 1.98), slow)
    compared.save(tmp_path / "c.json")
    loaded = fasttime.load(tmp_path / "c.json")
    assert isinstance(loaded, ReportComparison)
    assert loaded.to_dict() == compared.to_dict()
    assert str(loaded) == str(compared)
    assert loaded.warnings == compared.warnings
    assert loaded.exit_code(0.05) == 4
    json.dumps(compared.to_dict(), allow_nan=False)


def test_rows_become_a_data_frame() -> None:
    frame = compare_reports(side(2.0, 2.02, 1.98), side(2.4, 2.42, 2.38)).to_pandas()
    assert list(frame["path"]) == ["request", "request/decode"]
    assert list(frame["verdict"]) == ["same", "slower"]


def test_mistakes_are_explained() -> None:
    with pytest.raises(TypeError, match=r"new is int; pass a report"):
        compare_reports(served(1.0), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one old report"):
        compare_reports([], served(1.0))
    with pytest.raises(ValueError, match="margin"):
        compare_reports(served(1.0), served(1.0), margin=5)
    with pytest.raises(KeyError, match="known paths: 'request'"):
        compare_reports(served(1.0), served(1.0))["nowhere"]

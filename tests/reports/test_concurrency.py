# SPDX-License-Identifier: BSD-3-Clause
"""Shares of scopes that overlap: every format says that they are parts of a sum."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_up_report import report, site
from simulated_cuda import Simulated
from simulated_work import MS, run

import fasttime
from fasttime import Recorder, Report


def kinds(made: Report) -> list[str]:
    return [warning.kind for warning in made.warnings]


def concurrent() -> Report:
    """Return a report of five requests of 1 s in 2.5 s."""
    return report(site("request", device=1.0, calls=5))


def serial(**others: object) -> Report:
    return report(site("step", device=0.25, calls=10), **others)


# --- root sites ---


def test_requests_longer_than_the_period_overlap() -> None:
    assert concurrent().shares_overlap
    assert kinds(concurrent()) == ["concurrent"]


def test_a_busy_stream_does_not_overlap() -> None:
    """The device may have been inside a step when the interval began: that step counts in full."""
    made = report(site("step", device=0.25, calls=10), site("log", device=0.1, calls=1))
    assert not made.shares_overlap
    assert kinds(made) == []


def test_long_requests_overlap_although_they_began_earlier() -> None:
    made = report(site("request", device=9.0, calls=4, self_time=None, began_earlier=True))
    assert kinds(made) == ["concurrent", "began_earlier"]
    made = report(site("epoch", device=9.0, calls=1, self_time=None, began_earlier=True))
    assert kinds(made) == ["began_earlier"]


def test_scopes_on_two_devices_overlap(cuda: Simulated, recorder: Recorder) -> None:
    for _ in range(20):
        for number in range(2):
            with cuda.on_device(number):
                run(cuda, recorder, f"gpu_{number}", MS)
        cuda.advance(MS)
    made = recorder.report(wait=True)
    assert made.shares_overlap
    assert sum(one.share or 0.0 for one in made.sites) == pytest.approx(1.0)


def test_scopes_one_after_another_do_not(cuda: Simulated, recorder: Recorder) -> None:
    for _ in range(20):
        run(cuda, recorder, "step", MS, host_ns=MS)
    assert not recorder.report(wait=True).shares_overlap


# --- sites inside a site ---


def test_children_longer_than_their_root_overlap() -> None:
    made = report(site("request", site("a", device=0.1), site("b", device=0.1), device=0.12))
    assert made.shares_overlap
    assert "concurrent" in kinds(made)


def test_children_of_open_scopes_do_not_overlap() -> None:
    epoch = site("epoch", site("step", device=0.1, calls=19), device=1.0, calls=1)
    assert not report(epoch, open=1).shares_overlap
    assert report(epoch).shares_overlap


def test_overlap_further_inside_leaves_shares_as_they_are() -> None:
    inside = site("backward", site("all_reduce", device=0.1), device=0.08)
    assert not report(site("step", inside, device=0.2)).shares_overlap


# --- merged reports ---


def test_ranks_at_the_same_time_do_not_overlap() -> None:
    merged = Report.merge(*(serial() for _ in range(8)))
    assert not merged.shares_overlap
    assert "concurrent" not in kinds(merged)


def test_idle_parts_do_not_hide_an_overlap() -> None:
    merged = Report.merge(*(report(site("request", device=1e-3)) for _ in range(8)), concurrent())
    assert merged.shares_overlap
    assert Report.merge(merged, serial()).shares_overlap
    assert "parts of the summed times" in str(merged)


# --- formats ---


@pytest.mark.parametrize("made", [concurrent(), Report.merge(concurrent(), serial())])
def test_every_format_says_so(made: Report, tmp_path: Path) -> None:
    assert "of sum" in str(made)
    assert "of sum" in made.to_markdown()
    assert ">of sum</th>" in made.to_html()
    assert made.to_dict()["shares_overlap"] is True
    assert list(made.to_pandas()["shares_overlap"].unique()) == [True]
    made.save(tmp_path / "r.csv")
    assert list(pd.read_csv(tmp_path / "r.csv")["shares_overlap"].unique()) == [True]


@pytest.mark.parametrize("made", [concurrent(), Report.merge(concurrent(), serial()), serial()])
def test_a_saved_report_still_says_so(made: Report, tmp_path: Path) -> None:
    made.save(tmp_path / "r.json")
    loaded = fasttime.load(tmp_path / "r.json")
    assert isinstance(loaded, Report)
    assert loaded.shares_overlap == made.shares_overlap
    assert ("concurrent" in kinds(loaded)) == made.shares_overlap


def test_without_overlap_there_are_plain_shares() -> None:
    made = serial()
    assert "share" in str(made)
    assert made.to_dict()["shares_overlap"] is False
    assert not made.to_pandas()["shares_overlap"].any()

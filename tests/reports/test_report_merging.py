# SPDX-License-Identifier: BSD-3-Clause
"""Merged reports: counts add up, and other figures are computed from the sums."""

from __future__ import annotations

import dataclasses
import html
import pickle
from typing import Any

import numpy as np
import pytest
from made_up_report import ENVIRONMENT, report, site, training
from page_reader import Page
from simulated_cuda import Simulated

from fasttime import Recorder, Report
from fasttime.reports.bottleneck import BacklogChecks

MS = 1_000_000


def work(cuda: Simulated, recorder: Recorder, durations: list[int], inside: int = 0) -> None:
    """Time steps of these durations in ms, each with `inside` ms of another scope inside."""
    for duration in durations:
        with recorder.scope("step"):
            if inside:
                with recorder.scope("all_reduce"):
                    cuda.enqueue(0, inside * MS)
            cuda.enqueue(0, (duration - inside) * MS)
        cuda.advance(duration * MS)


def of(cuda: Simulated, *args: Any) -> Report:
    """Return a report of such work, as another process would send it."""
    recorder = Recorder(share_boundaries=False)
    work(cuda, recorder, *args)
    return pickle.loads(pickle.dumps(recorder.report(wait=True)))


def with_environment(made: Report, **changes: Any) -> Report:
    return dataclasses.replace(made, known_environment=dataclasses.replace(ENVIRONMENT, **changes))


def test_counts_add_up(cuda: Simulated) -> None:
    parts = [[1, 2, 3], [4, 50], [6] * 10]
    everything = [duration for part in parts for duration in part]
    merged = Report.merge(*(of(cuda, part) for part in parts))
    alone = of(cuda, everything)
    step, known = merged["step"], alone["step"]
    assert step.counts == known.counts
    for times, same in ((step.device, known.device), (step.host, known.host)):
        assert times.count == same.count == 15
        assert (times.total, times.mean, times.std) == (same.total, same.mean, same.std)
        assert (times.min, times.max) == (same.min, same.max)
        assert [times.quantile(q) for q in np.linspace(0, 1, 57)] == [
            same.quantile(q) for q in np.linspace(0, 1, 57)
        ]
    assert step.checks == pytest.approx(known.checks)
    assert merged.duration == pytest.approx(60e-3)


def test_other_figures_are_computed_from_the_sums(cuda: Simulated) -> None:
    merged = Report.merge(of(cuda, [10, 10], 4), of(cuda, [20], 1))
    assert merged["step"].self_time == pytest.approx(31e-3)
    assert merged["step"].share == 1.0
    assert merged["step/all_reduce"].share == pytest.approx(9 / 40)
    assert merged["step"].bottleneck.bound == "device-bound"


def test_sites_match_by_names_and_not_by_path() -> None:
    first = report(site("v1", site("chat")))
    second = report(site("v1/chat", calls=5), site("v1", calls=3))
    merged = Report.merge(first, second)
    assert [(one.path, one.count) for one in merged.walk()] == [
        ("v1", 13),
        ("v1/chat", 10),
        ("v1/chat", 5),
    ]
    assert merged["v1", "chat"].count == 10


def test_a_site_of_one_part_alone_is_kept() -> None:
    merged = Report.merge(report(site("rank 0")), report(site("rank 1", site("inside"), calls=7)))
    assert [one.path for one in merged.walk()] == ["rank 0", "rank 1", "rank 1/inside"]
    assert merged["rank 1"].count == 7


def test_parts_that_disagree_are_unclear_together() -> None:
    parts = [
        report(site("a", checks=BacklogChecks(near=10))),
        report(site("a", checks=BacklogChecks(above=10, backlog_total=0.5))),
    ]
    bottleneck = Report.merge(*parts)["a"].bottleneck
    assert (bottleneck.bound, bottleneck.checks, bottleneck.backlog) == ("unclear", 20, 0.025)


def test_began_earlier_in_one_part_holds_for_all() -> None:
    early = report(site("a", began_earlier=True), duration=1.0)
    merged = Report.merge(early, report(site("a"), duration=100.0))
    assert merged["a"].self_time is None
    assert [warning.kind for warning in merged.warnings if "no self time" in warning.message] == [
        "began_earlier"
    ]


def test_figures_outside_of_sites_add_up_too() -> None:
    parts = [
        report(open=1, pending=2, refused_sites=3, failures=4, last_failure="first", duration=2.0),
        report(open=10, pending=20, refused_sites=30, failures=40, last_failure="second"),
        report(scopes_were_compiled=True, date="2026-01-02T03:05:00+00:00"),
    ]
    merged = Report.merge(*parts)
    assert (merged.open, merged.pending, merged.refused_sites, merged.failures) == (11, 22, 33, 44)
    assert (merged.duration, merged.last_failure) == (2.5, "second")
    assert (merged.scopes_were_compiled, merged.date) == (True, "2026-01-02T03:05:00+00:00")


def test_merged_reports_merge_again_in_any_order(cuda: Simulated) -> None:
    a, b, c = of(cuda, [1, 2]), of(cuda, [30], 5), of(cuda, [4] * 7)
    one, other = Report.merge(Report.merge(a, b), c), Report.merge(a, Report.merge(b, c))
    assert one.to_dict() == other.to_dict()


def test_sums_of_backlogs_do_not_depend_on_order() -> None:
    backlogs = (0.1, 0.2, 0.3)
    # Not by sum(), which compensates from Python 3.12 on.
    assert backlogs[0] + (backlogs[1] + backlogs[2]) != backlogs[0] + backlogs[1] + backlogs[2]
    a, b, c = (
        report(site("a", checks=BacklogChecks(above=1, backlog_total=backlog)))
        for backlog in backlogs
    )
    one, other = Report.merge(Report.merge(a, b), c), Report.merge(a, Report.merge(b, c))
    assert one["a"].checks.backlog_total == other["a"].checks.backlog_total == 0.6


def test_one_report_merges_to_itself() -> None:
    made = training()
    assert Report.merge(made) is made


def test_a_mixed_report_says_so() -> None:
    without = report(site("a", device=None), backend="host", backend_reason="there is no driver")
    merged = Report.merge(report(site("a")), without)
    assert (merged.backend, merged.backend_reason) == ("mixed", "there is no driver")
    assert [warning.message for warning in merged.warnings][:1] == [
        "Some of the merged reports have host times only, because there is no driver."
    ]
    assert "10 scopes have no device time: CUDA was not up in every process." in " ".join(
        str(merged).split()
    )
    assert Report.merge(merged, without, merged).backend_reason == "there is no driver"


def test_a_merged_report_says_that_it_is_merged() -> None:
    part = training()
    merged = Report.merge(part, part, Report.merge(part, part))
    assert (part.parts, merged.parts) == (1, 4)
    words = "360 calls in 4 merged reports (longest: 2.500 s)."
    for text in (str(merged), merged.to_markdown(), Page(merged._repr_html_()).text):
        assert words in html.unescape(text)
    page = Page(merged.to_html()).text
    assert "Made-up GPU · merged from 4 reports" in page
    assert "the longest of 4 merged reports" in page
    assert merged.to_dict()["parts"] == 4
    for text in (str(part), part.to_markdown(), part.to_html()):
        assert "merged" not in text


# --- environments ---


def test_equal_environments_are_kept() -> None:
    merged = Report.merge(training(), training())
    assert (merged.environment, merged.differs) == (ENVIRONMENT, ())


def test_differing_environments_are_named() -> None:
    first = with_environment(training(), process_id=1, host_name="node1")
    second = with_environment(training(), process_id=2, date="later", torch="2.15.0")
    merged = pickle.loads(pickle.dumps(Report.merge(first, second)))
    assert merged.differs == ("torch", "host_name", "process_id")
    assert merged.environment == first.environment
    assert Report.merge(merged, first).differs == merged.differs
    (warning,) = (one for one in merged.warnings if one.kind == "environments_differ")
    assert "environments that differ in torch, so their times" in warning.message
    page = merged.to_html()
    assert "torch 2.14.1 and others" in page
    assert "process 1 on node1 and others" in page
    assert "Python 3.12.0 ·" in page


def test_several_processes_raise_no_warning() -> None:
    parts = (with_environment(training(), process_id=number, gpu_index=number) for number in (1, 2))
    merged = Report.merge(*parts)
    assert merged.differs == ("gpu_index", "process_id")
    assert "environments_differ" not in [warning.kind for warning in merged.warnings]


# --- misuse ---


def test_merging_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"merge\(\) takes at least one report, got none"):
        Report.merge()


@pytest.mark.parametrize("wrong", [None, [training()], "report.json"])
def test_only_reports_can_be_merged(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"takes reports, got {type(wrong).__name__}; for"):
        Report.merge(training(), wrong)


def test_reports_that_share_scopes_are_refused(cuda: Simulated, recorder: Recorder) -> None:
    work(cuda, recorder, [1])
    first = recorder.report()
    work(cuda, recorder, [2])
    second = recorder.report(wait=True, reset=True)
    with pytest.raises(ValueError, match="so the scopes of the earlier report would count twice"):
        Report.merge(first, second)
    work(cuda, recorder, [3])
    third = recorder.report(wait=True)
    assert Report.merge(second, third)["step"].count == 3
    assert Report.merge(first, second.since(first), third)["step"].count == 3

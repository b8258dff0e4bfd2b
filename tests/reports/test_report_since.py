# SPDX-License-Identifier: BSD-3-Clause
"""The difference of two reports of one recorder."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from made_up_report import training
from simulated_cuda import Simulated

from fasttime import Recorder, Report

MS = 1_000_000


def run(cuda: Simulated, recorder: Recorder, name: str, *durations: int) -> None:
    """Time scopes of these durations in ms."""
    for duration in durations:
        with recorder.scope(name):
            cuda.enqueue(0, duration * MS)
            cuda.advance(duration * MS)


def test_the_difference_has_new_scopes_only(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "before", 1)
    run(cuda, recorder, "both", 1, 100)
    first = recorder.report(wait=True)
    run(cuda, recorder, "both", 7, 9)
    with recorder.scope("after"):
        run(cuda, recorder, "inside", 3)
    second = recorder.report(wait=True)
    new = second.since(first)
    assert [(site.path, site.count) for site in new.walk()] == [
        ("both", 2),
        ("after", 1),
        ("after/inside", 1),
    ]
    both = new["both"].device
    assert (both.count, both.total, both.mean) == pytest.approx((2, 16e-3, 8e-3))
    assert both.std == pytest.approx(2**0.5 * 1e-3)
    assert (both.min, both.max, both.median) == pytest.approx((7e-3, 9e-3, 7e-3), rel=0.01)
    assert new["both"].share == pytest.approx(16 / 19)
    assert new["after"].self_time == pytest.approx(0, abs=1e-6)
    assert new.duration == pytest.approx(19e-3)
    assert new.date == second.date


def test_two_readers_have_intervals_of_their_own(cuda: Simulated, recorder: Recorder) -> None:
    exporter = log = recorder.report()
    exported, logged = [], []
    for step in range(1, 13):
        run(cuda, recorder, "step", step)
        now = recorder.report(wait=True)
        if step % 3 == 0:
            exported.append(now.since(exporter)["step"].device.total)
            exporter = now
        if step % 4 == 0:
            logged.append(now.since(log)["step"].device.total)
            log = now
    assert exported == pytest.approx([6e-3, 15e-3, 24e-3, 33e-3])
    assert logged == pytest.approx([10e-3, 26e-3, 42e-3])


def test_nothing_new_is_an_empty_report(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "a", 1)
    made = recorder.report(wait=True)
    new = recorder.report().since(made)
    assert (new.sites, new.duration, new.warnings) == ((), 0.0, ())


def test_failures_and_refused_sites_are_subtracted(cuda: Simulated, recorder: Recorder) -> None:
    for number in range(9_000):
        recorder.end(recorder.begin(f"site {number}"))
    cuda.fail("cudaEventRecord", 2, 0, 1)
    run(cuda, recorder, "a", 1)
    first = recorder.report(wait=True)
    assert (first.failures, first.refused_sites) == (1, 9_001 - 8_190)
    run(cuda, recorder, "b", 1)
    second = recorder.report(wait=True)
    new = second.since(first)
    assert (new.failures, new.last_failure, new.refused_sites) == (0, "", 1)
    cuda.fail("cudaEventRecord", 2, 0, 1)
    run(cuda, recorder, "site 0", 1)
    newer = recorder.report(wait=True).since(second)
    assert (newer.failures, newer.refused_sites) == (1, 0)
    assert newer.last_failure.startswith("cudaEventRecord returned 2")


def test_open_and_pending_scopes_are_current(cuda: Simulated, recorder: Recorder) -> None:
    token = recorder.begin("a")
    first = recorder.report()
    recorder.end(token)
    with recorder.scope("b"):
        cuda.enqueue(0, MS)
    new = recorder.report().since(first)
    assert (first.open, first.pending) == (1, 0)
    assert (new.open, new.pending) == (0, 1)


def test_an_earlier_beginning_leaves_no_self_time(cuda: Simulated, recorder: Recorder) -> None:
    token = recorder.begin("epoch")
    run(cuda, recorder, "step", 10, 10)
    first = recorder.report(wait=True)
    run(cuda, recorder, "step", 10)
    recorder.end(token)
    second = recorder.report(wait=True)
    assert second["epoch"].self_time == pytest.approx(0, abs=1e-6)
    new = second.since(first)
    assert new["epoch"].began_earlier
    assert new["epoch"].self_time is None


def test_pickled_reports_can_be_subtracted(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "a", 1)
    first = pickle.loads(pickle.dumps(recorder.report(wait=True)))
    run(cuda, recorder, "a", 2)
    second = pickle.loads(pickle.dumps(recorder.report(wait=True)))
    new = second.since(first)
    assert new["a"].device.total == pytest.approx(2e-3)
    assert new.environment == second.environment


# --- misuse ---


def test_a_reset_in_between_is_refused(cuda: Simulated, recorder: Recorder) -> None:
    first = recorder.report()
    recorder.report(reset=True)
    with pytest.raises(ValueError, match="or from before a reset of this one; since"):
        recorder.report().since(first)
    second = recorder.report()
    recorder.reset()
    with pytest.raises(ValueError, match="or from before a reset of this one; since"):
        recorder.report().since(second)


def test_the_report_that_resets_can_be_the_later(cuda: Simulated, recorder: Recorder) -> None:
    first = recorder.report()
    run(cuda, recorder, "a", 1)
    assert recorder.report(wait=True, reset=True).since(first)["a"].count == 1


def test_another_recorder_is_refused(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="the earlier report comes from another recorder"):
        recorder.report().since(Recorder().report())


def test_the_later_report_is_refused_as_the_earlier(cuda: Simulated, recorder: Recorder) -> None:
    first = recorder.report()
    cuda.advance(MS)
    second = recorder.report()
    with pytest.raises(ValueError, match=r"is the later one: it was made after 0.001 s, and"):
        first.since(second)


def test_merged_reports_are_refused(recorder: Recorder) -> None:
    first, second = recorder.report(), recorder.report()
    with pytest.raises(ValueError, match=r"the earlier report was made by merge\(\)"):
        second.since(second.since(first))
    with pytest.raises(ValueError, match=r"this report was made by merge\(\)"):
        Report.merge(training(), training()).since(first)


@pytest.mark.parametrize("wrong", [None, "report.json"])
def test_only_a_report_can_be_the_earlier(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"takes an earlier report, got {type(wrong).__name__}"):
        training().since(wrong)

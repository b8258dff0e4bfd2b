# SPDX-License-Identifier: BSD-3-Clause
"""Reports of a recorder: the tree, intervals and resets. Exact figures, simulated runtime."""

from __future__ import annotations

import dataclasses
import threading
from datetime import datetime
from typing import Any

import pytest
from made_up_report import report, site
from simulated_cuda import Simulated
from simulated_work import MS, run

from fasttime import Recorder, Report
from fasttime.current_interval import taking
from fasttime.reports import combine
from fasttime.reports.counts import SiteCounts


def test_the_tree_has_paths_and_shares(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("step"):
        run(cuda, recorder, "forward", 6 * MS)
        run(cuda, recorder, "backward", 2 * MS)
    run(cuda, recorder, "other", 2 * MS)
    made = recorder.report(wait=True)
    assert [one.path for one in made.walk()] == [
        "step",
        "step/forward",
        "step/backward",
        "other",
    ]
    shares = {one.path: one.share for one in made.walk()}
    assert shares == pytest.approx(
        {"step": 0.8, "step/forward": 0.6, "step/backward": 0.2, "other": 0.2}
    )
    assert made["step"].children == (made["step/forward"], made["step/backward"])


def test_a_reset_counts_each_scope_in_one_report(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "a", MS)
    cuda.advance(2 * MS)
    run(cuda, recorder, "a", 50 * MS)
    token = recorder.begin("a")
    first = recorder.report(reset=True)
    assert (first["a"].count, first.pending, first.open) == (1, 1, 1)
    recorder.end(token)
    second = recorder.report(wait=True, reset=True)
    assert second["a"].count == 2
    assert recorder.report().sites == ()


def test_a_timeout_needs_wait(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match=r"timeout=2 has no effect without wait=True"):
        recorder.report(timeout=2)
    with pytest.raises(ValueError, match="timeout must be a number of seconds >= 0, got -1"):
        recorder.report(wait=True, timeout=-1)


def test_refused_sites_belong_to_their_interval(recorder: Recorder) -> None:
    for number in range(9_000):
        with recorder.scope(f"site {number}"):
            pass
    assert recorder.report(reset=True).refused_sites == 9_000 - 8_190
    with recorder.scope("site 0"):
        pass
    quiet = recorder.report()
    assert quiet.refused_sites == 0
    assert [warning.kind for warning in quiet.warnings] == ["host_backend"]
    for number in range(9_000, 9_003):
        with recorder.scope(f"site {number}"):
            pass
    assert recorder.report().refused_sites == 3
    recorder.reset()
    assert recorder.report().refused_sites == 0


class Watched:
    """A core that notes whether the lock was held when statistics were taken or cleared."""

    def __init__(self, core: Any) -> None:
        self.core = core
        self.held: list[bool] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("site_entries", "reset", "site_names"):
            self.held.append(taking._is_owned())
        return getattr(self.core, name)


def test_statistics_are_taken_under_the_lock() -> None:
    made = Recorder()
    made._core = made._interval._core = made._kept._core = core = Watched(made._core)
    made.report(reset=True)
    made.reset()
    with pytest.raises(KeyError):
        made.samples("a")
    assert core.held == [True, True, True]
    assert not taking._is_owned()


def test_a_failure_belongs_to_its_interval(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "a", MS)
    cuda.fail("cudaEventRecord", 2, 0, 2)
    for _ in range(2):
        run(cuda, recorder, "a", MS)
    failed = recorder.report(wait=True, reset=True)
    assert failed.failures == 2
    assert failed.last_failure.startswith("cudaEventRecord returned 2")
    run(cuda, recorder, "a", MS)
    well = recorder.report(wait=True)
    assert (well.failures, well.last_failure) == (0, "")
    assert "last_failure" not in [warning.kind for warning in well.warnings]
    assert Recorder().report().failures == 0, "this recorder was made after the failure"


def test_threads_lose_no_scope_to_resets(cuda: Simulated) -> None:
    recorder = Recorder()
    total = 4 * 2000
    counted = 0

    def work() -> None:
        stream = cuda.create_stream()
        for _ in range(2000):
            with recorder.scope("a", stream=stream):
                pass
            cuda.advance(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counted += sum(one.count for one in recorder.report(reset=True).sites)
    for thread in threads:
        thread.join()
    cuda.advance(1)
    counted += sum(one.count for one in recorder.report(wait=True, reset=True).sites)
    assert counted == total


def test_reset_drops_open_and_pending_scopes(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "done", MS)
    cuda.advance(2 * MS)
    run(cuda, recorder, "pending", MS)
    token = recorder.begin("open")
    recorder.reset()
    recorder.end(token)
    run(cuda, recorder, "after", MS)
    made = recorder.report(wait=True)
    assert [one.path for one in made.walk()] == ["after"]


def test_a_report_is_walked_and_not_iterated() -> None:
    with pytest.raises(TypeError, match="'Report' object is not iterable"):
        iter(report(site("a")))


def test_repr_shows_the_table() -> None:
    made = report(site("a"))
    assert repr(made) == str(made)


def test_a_report_knows_its_date_and_environment() -> None:
    made = Recorder().report()
    assert datetime.fromisoformat(made.date).tzinfo is not None
    assert made.environment.gpu is None
    assert made.environment is Recorder().report().environment, "looked up once per process"


def test_a_known_environment_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    made = report(site("a"))
    monkeypatch.setattr("fasttime.reports.report.environment_of", None)
    assert made.environment is made.known_environment


def test_every_field_is_merged_and_subtracted(recorder: Recorder) -> None:
    """A new field needs a rule for both. Defaults would hide a missing one."""
    fields = {field.name for field in dataclasses.fields(Report)} - {"shown_as"}  # how it prints
    first, second = recorder.report(), recorder.report()
    assert set(combine.merged_fields((first, report()))) == fields
    assert set(combine.fields_since(second, first)) == fields


def test_a_site_report_has_all_counts() -> None:
    counted = {field.name for field in dataclasses.fields(SiteCounts)}
    assert counted < {field.name for field in dataclasses.fields(site("a"))}

# SPDX-License-Identifier: BSD-3-Clause
"""Reports loaded from files: nothing is lost, and damaged files are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_report import report, site, training
from simulated_cuda import Simulated

import fasttime
from fasttime import Recorder, Report

MS = 1_000_000


def work(cuda: Simulated, recorder: Recorder, seed: int = 0) -> Report:
    """Return a report of scopes of many lengths, one dropped, one with a slash in its name."""
    generator = np.random.default_rng(seed)
    for duration in np.exp(generator.uniform(np.log(50), np.log(1e9), 200)).astype(int).tolist():
        with recorder.scope("step"):
            for name in ("a/b", "\ud800"):
                with recorder.scope(name):
                    cuda.enqueue(0, duration)
                    cuda.advance(duration // 2)
    recorder.begin("step")
    cuda.advance(10_000 * MS)
    return recorder.report(wait=True)


def saved(made: Report, path: Path) -> Report:
    made.save(path)
    again = fasttime.load(path)
    assert isinstance(again, Report)
    return again


def test_a_loaded_report_equals_the_saved_one(
    cuda: Simulated, recorder: Recorder, tmp_path: Path
) -> None:
    made = work(cuda, recorder)
    again = saved(made, tmp_path / "r.json")
    assert again == made
    assert again.to_dict() == made.to_dict()
    assert again.environment == made.environment
    for there, here in zip(again.walk(), made.walk(), strict=True):
        assert (there.path, there.checks, there.bottleneck) == (
            here.path,
            here.checks,
            here.bottleneck,
        )
        for q in np.linspace(0, 1, 301):
            assert there.host.quantile(q) == here.host.quantile(q)
            assert there.device.quantile(q) == here.device.quantile(q)
    assert saved(again, tmp_path / "r.json").to_dict() == made.to_dict()


def test_merged_and_subtracted_reports_are_loaded(
    cuda: Simulated, recorder: Recorder, tmp_path: Path
) -> None:
    first = saved(work(cuda, recorder), tmp_path / "first.json")
    second = saved(work(cuda, recorder, 1), tmp_path / "second.json")
    new = second.since(first)
    assert new["step"].count == first["step"].count
    merged = Report.merge(first, new)
    for made in (new, merged):
        assert saved(made, tmp_path / "r.json").to_dict() == made.to_dict()
    there, here = merged["step"].device, second["step"].device
    assert (there.count, there.total, there.std) == (here.count, here.total, here.std)


@pytest.mark.parametrize("made", [report(), report(site("a", device=None, calls=0, dropped=1))])
def test_reports_without_times_are_loaded(made: Report, tmp_path: Path) -> None:
    assert [one.counts for one in saved(made, tmp_path / "r.json").walk()] == [
        one.counts for one in made.walk()
    ]


def test_unknown_fields_are_ignored(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda data: data.update(moon_phase="full"))
    assert fasttime.load(path)["step"].count == 10


def test_a_saved_site_takes_a_few_kilobytes(tmp_path: Path) -> None:
    recorder = Recorder()
    for number in range(1_000):
        with recorder.scope(f"site {number}"):
            pass
    recorder.report().save(tmp_path / "r.json")
    assert (tmp_path / "r.json").stat().st_size < 1_000 * 2_000


# --- the file ---


def changed(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    path = tmp_path / "r.json"
    training().save(path)
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize("version", [1, 2, 4, "3", None])
def test_another_version_is_refused(tmp_path: Path, version: Any) -> None:
    path = changed(tmp_path, lambda data: data.update(version=version))
    with pytest.raises(ValueError, match=r"reads version 3; .* or save the result again"):
        fasttime.load(path)


def in_site(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["sites"][1].update(changes)


def in_times(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["sites"][1]["device"].update(changes)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: data.pop("sites"), "sites is missing"),
        (
            lambda data: data.update(backend="tpu"),
            "backend should be one of cuda, host, mixed",
        ),
        (
            lambda data: data.update(duration_s=None),
            "duration_s should be a number, not None",
        ),
        (lambda data: data.update(duration_s="inf"), "duration_s should be finite, not 'inf'"),
        (lambda data: data.update(open=-1), "open should be a whole number of at least 0"),
        (lambda data: data.update(environment={}), "environment.date is missing"),
        (in_site(name=None), "sites[1].name should be a"),
        (
            in_site(parent=1),
            "sites[1].parent should be the position of a site before this",
        ),
        (in_site(parent="0"), "sites[1].parent should be a whole number"),
        (in_site(counts={}), "sites[1].counts.ok is missing"),
        (
            in_site(device=None),
            "counts.ok should be the number of device times, 0, not 10",
        ),
        (in_site(checks={}), "sites[1].checks.backlog_total_s is missing"),
        (
            lambda data: data["sites"][1]["checks"].update(backlog_total_s="inf"),
            "sites[1].checks.backlog_total_s should be finite",
        ),
        (in_site(began_earlier=0), "sites[1].began_earlier should be true or false, not 0"),
        (
            lambda data: data.update(parts=0),
            "parts should be a whole number of at least 1, not 0",
        ),
        (in_times(count=0), "sites[1].device.count should be a whole number of at least 1, not 0"),
        (in_times(count=10**30), "sites[1].device should be consistent (count is out of range)"),
        (in_times(total_ns=1.5), "sites[1].device.total_ns should be a whole number, not 1.5"),
        (in_times(total_ns=10**30), "sites[1].device should be consistent (total_ns is out of"),
        (in_times(total_ns=1), "sites[1].device should be consistent (total_ns must lie between"),
        (in_times(min_ns=10**9), "sites[1].device should be consistent (total_ns must lie between"),
        (in_times(squares_ns2=1), "consistent (squares_ns2 must be at least total_ns ** 2"),
        (in_times(histogram=None), "sites[1].device.histogram should be a"),
        (in_times(histogram="1:2,"), "histogram should be of the form bucket:count bucket:count"),
        (in_times(histogram="9" * 30 + ":1"), "histogram should be of the form bucket:count"),
        (in_times(histogram="1:11"), "consistent (counts must be above 0 and add up to at most"),
        (in_times(histogram="2:1 1:1"), "consistent (buckets must rise and be below 3008)"),
        (in_times(histogram="3008:1"), "consistent (buckets must rise and be below 3008)"),
        (in_times(histogram="1:0"), "consistent (counts must be above 0"),
    ],
)
def test_a_damaged_field_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(ValueError, match=r"r\.json is damaged or was edited: ") as caught:
        fasttime.load(path)
    assert complaint in str(caught.value)
    assert str(caught.value).endswith("; save the result again")

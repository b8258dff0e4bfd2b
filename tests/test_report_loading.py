# SPDX-License-Identifier: BSD-3-Clause
"""Reports read back from their files: nothing is lost, and nothing wrong is let in."""

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
    """The report of scopes of many lengths, one of them dropped, with a name that holds a slash."""
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


def test_what_is_loaded_is_what_was_saved(
    cuda: Simulated, recorder: Recorder, tmp_path: Path
) -> None:
    made = work(cuda, recorder)
    again = saved(made, tmp_path / "r.json")
    assert again == made
    assert again.to_dict() == made.to_dict()
    assert again.environment == made.environment
    for there, here in zip(again.walk(), made.walk(), strict=True):
        assert (there.path, there.looks, there.verdict) == (here.path, here.looks, here.verdict)
        for q in np.linspace(0, 1, 301):
            assert there.host.quantile(q) == here.host.quantile(q)
            assert there.device.quantile(q) == here.device.quantile(q)
    assert saved(again, tmp_path / "r.json").to_dict() == made.to_dict()


def test_what_was_put_together_and_what_came_since_are_loaded_too(
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


def test_fields_that_are_not_known_here_are_left_alone(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda told: told.update(moon_phase="full"))
    assert fasttime.load(path)["step"].count == 10


def test_the_file_of_thousands_of_sites_stays_a_few_kilobytes_a_site(tmp_path: Path) -> None:
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
    told = json.loads(path.read_text(encoding="utf-8"))
    change(told)
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def test_a_file_of_before_histograms_were_kept_is_refused_as_that(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda told: told.update(version=1))
    with pytest.raises(ValueError, match=r"r\.json is a report in version 1 .* no histograms"):
        fasttime.load(path)


@pytest.mark.parametrize("version", [3, "2", None])
def test_a_file_of_another_version_is_refused(tmp_path: Path, version: Any) -> None:
    path = changed(tmp_path, lambda told: told.update(version=version))
    with pytest.raises(ValueError, match=r"this fasttime reads version 2; .* or save it anew"):
        fasttime.load(path)


def in_site(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda told: told["sites"][1].update(changes)


def in_times(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda told: told["sites"][1]["device"].update(changes)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda told: told.pop("sites"), "sites is missing"),
        (lambda told: told.update(backend="tpu"), "backend should be one of cuda, host, mixed"),
        (lambda told: told.update(duration_s=None), "duration_s should be a number, not None"),
        (lambda told: told.update(open=-1), "open should be a whole number of at least 0"),
        (lambda told: told.update(environment={}), "environment.date is missing"),
        (in_site(name=None), "sites[1].name should be a text, not None"),
        (in_site(parent=1), "sites[1].parent should be the place of a site before this one, not 1"),
        (in_site(parent="0"), "sites[1].parent should be a whole number"),
        (in_site(counts={}), "sites[1].counts.ok is missing"),
        (
            in_site(device=None),
            "sites[1].counts.ok should be as many as there are device times, 0, not 10",
        ),
        (in_site(looks={}), "sites[1].looks.backlog_total_s is missing"),
        (in_site(began_earlier=0), "sites[1].began_earlier should be true or false, not 0"),
        (in_times(count=0), "sites[1].device.count should be a whole number of at least 1, not 0"),
        (in_times(total_ns=1.5), "sites[1].device.total_ns should be a whole number, not 1.5"),
        (in_times(total_ns=10**30), "sites[1].device.total_ns should be 10 times min_ns to max_ns"),
        (in_times(min_ns=10**9), "sites[1].device.total_ns should be 10 times min_ns to max_ns"),
        (in_times(squares_ns2=1), "sites[1].device.squares_ns2 should be at least the square"),
        (in_times(histogram=None), "sites[1].device.histogram should be a text, not None"),
        (in_times(histogram="1:2,"), "histogram should be of the form bucket:count bucket:count"),
        (in_times(histogram="1:11"), "histogram should be of no more than 10 durations, not"),
        (in_times(histogram="2:1 1:1"), "histogram should be of buckets below 3008, in order"),
        (in_times(histogram="3008:1"), "histogram should be of buckets below 3008, in order"),
        (in_times(histogram="9" * 30 + ":1"), "histogram should be of buckets below 3008"),
        (in_times(histogram="1:0"), "histogram should be of counts above 0"),
        (in_times(histogram="1:" + "9" * 30), "histogram should be of counts above 0"),
    ],
)
def test_a_field_that_is_not_as_it_should_be_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(ValueError, match=r"r\.json is damaged or was edited: ") as caught:
        fasttime.load(path)
    assert complaint in str(caught.value)
    assert str(caught.value).endswith("; save it anew")

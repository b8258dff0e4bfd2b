# SPDX-License-Identifier: BSD-3-Clause
"""Sites are looked up by their paths, or by their names."""

from __future__ import annotations

import pytest
from made_up_report import report, site

from fasttime import Recorder
from fasttime.reporting import report as report_module


def test_an_unknown_path_names_the_known_ones(recorder: Recorder) -> None:
    with recorder.scope("a"):
        pass
    with pytest.raises(KeyError, match="no scope was timed at 'b'; there are: 'a'"):
        recorder.report(wait=True)["b"]
    with pytest.raises(KeyError, match="there are: none"):
        Recorder().report()["b"]


def test_sites_with_one_path_are_told_apart_by_their_names(recorder: Recorder) -> None:
    with recorder.scope("v1"), recorder.scope("chat"):
        pass
    for _ in range(2):
        with recorder.scope("v1/chat"):
            pass
    report = recorder.report()
    assert [site.path for site in report.walk()] == ["v1", "v1/chat", "v1/chat"]
    assert (report["v1", "chat"].count, report["v1/chat",].count) == (1, 2)
    assert len(recorder.samples(("v1", "chat"))) == 1
    assert len(recorder.samples(("v1/chat",))) == 2
    for look_up in (report.__getitem__, recorder.samples):
        with pytest.raises(KeyError) as caught:
            look_up("v1/chat")
        assert caught.value.args[0] == (
            "'v1/chat' stands for 2 sites: names hold a slash; look one up by its names, "
            "('v1', 'chat') or ('v1/chat',)"
        )
        with pytest.raises(KeyError, match=r"no scope was timed at \('chat', 'v1'\)"):
            look_up(("chat", "v1"))
    assert recorder.samples(("v1", "chat"))[0].path == "v1/chat"
    assert ("v1", "chat") in report
    assert "v1/chat" in report
    assert ("chat",) not in report
    assert () not in report
    assert 5 not in report


def test_samples_are_found_at_sites_that_came_after_the_last_look(recorder: Recorder) -> None:
    for name in ("a", "b", "a/b"):
        with recorder.scope(name):
            pass
        assert len(recorder.samples(name)) == 1
    with recorder.scope("a"), recorder.scope("b"):
        pass
    with pytest.raises(KeyError, match="'a/b' stands for 2 sites"):
        recorder.samples("a/b")


def test_sites_are_looked_up_without_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    made = report(*(site(f"site {number}") for number in range(100)))
    assert made["site 0"].name == "site 0"
    monkeypatch.setattr(report_module, "walk_with_depth", None)
    assert made["site 99"].name == "site 99"
    assert "site 100" not in made


def test_an_unknown_path_names_some_of_many() -> None:
    made = report(*(site(f"site {number}") for number in range(2_000)))
    with pytest.raises(KeyError, match=r"'site 18', 'site 19' and 1,980 more"):
        made["site"]


def test_a_report_says_whether_there_is_a_site_at_a_path() -> None:
    made = report(site("step", site("a")))
    assert "step" in made
    assert "step/a" in made
    assert "a" not in made

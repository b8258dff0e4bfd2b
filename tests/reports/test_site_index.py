# SPDX-License-Identifier: BSD-3-Clause
"""Sites are looked up by their path or by their names."""

from __future__ import annotations

import pytest
from made_up_report import report, site

from fasttime import Recorder
from fasttime.reports import report as report_module


def test_an_unknown_path_lists_the_known_ones(recorder: Recorder) -> None:
    with recorder.scope("a"):
        pass
    with pytest.raises(KeyError, match="no scope was timed at 'b'; known paths: 'a'"):
        recorder.report(wait=True)["b"]
    with pytest.raises(KeyError, match="known paths: none"):
        Recorder().report()["b"]
    with pytest.raises(KeyError, match="known paths: 'a'"):
        recorder.samples("b")


def test_names_tell_sites_of_one_path_apart(recorder: Recorder) -> None:
    with recorder.scope("v1"), recorder.scope("chat"):
        pass
    for _ in range(2):
        with recorder.scope("v1/chat"):
            pass
    made = recorder.report()
    assert [one.path for one in made.walk()] == ["v1", "v1/chat", "v1/chat"]
    assert (made["v1", "chat"].count, made["v1/chat",].count) == (1, 2)
    assert len(recorder.samples(("v1", "chat"))) == 1
    assert len(recorder.samples(("v1/chat",))) == 2
    assert recorder.samples(("v1", "chat"))[0].path == "v1/chat"
    for look_up in (made.__getitem__, recorder.samples):
        with pytest.raises(KeyError) as caught:
            look_up("v1/chat")
        assert caught.value.args[0] == (
            "2 sites have the path 'v1/chat', because names may contain a slash; look one up by "
            "its names: ('v1', 'chat') or ('v1/chat',)"
        )
        with pytest.raises(KeyError, match=r"no scope was timed at \('chat', 'v1'\)"):
            look_up(("chat", "v1"))


def test_a_report_contains_paths_and_names() -> None:
    made = report(site("step", site("a")), site("step/a"))
    assert "step" in made
    assert "step/a" in made
    assert ("step", "a") in made
    assert "a" not in made
    assert ("a",) not in made
    assert () not in made
    assert 5 not in made


def test_samples_are_found_at_new_sites(recorder: Recorder) -> None:
    for name in ("a", "b", "a/b"):
        with recorder.scope(name):
            pass
        assert len(recorder.samples(name)) == 1
    with recorder.scope("a"), recorder.scope("b"):
        pass
    with pytest.raises(KeyError, match="2 sites have the path 'a/b'"):
        recorder.samples("a/b")


def test_a_second_look_up_does_not_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    made = report(*(site(f"site {number}") for number in range(100)))
    assert made["site 0"].name == "site 0"
    monkeypatch.setattr(report_module, "walk_with_parents", None)
    assert made["site 99"].name == "site 99"
    assert "site 100" not in made


def test_a_long_list_of_known_paths_is_cut() -> None:
    made = report(*(site(f"site {number}") for number in range(2_000)))
    with pytest.raises(KeyError, match=r"'site 18', 'site 19' and 1,980 more"):
        made["site"]

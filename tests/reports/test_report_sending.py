# SPDX-License-Identifier: BSD-3-Clause
"""Reports are copied, and pickled to another process."""

from __future__ import annotations

import copy
import os
import pickle
import platform

import numpy as np
import pytest
from made_up_report import report, site
from simulated_cuda import Simulated

from fasttime import Recorder


def test_a_copy_is_equal(recorder: Recorder) -> None:
    with recorder.scope("a"):
        pass
    made = recorder.report()
    assert copy.deepcopy(made) == copy.copy(made) == made


def test_a_pickled_report_is_equal(cuda: Simulated, recorder: Recorder) -> None:
    generator = np.random.default_rng(0)
    for duration in np.exp(generator.uniform(np.log(50), np.log(1e9), 300)).astype(int):
        with recorder.scope("a"):
            with recorder.scope("b"):
                cuda.enqueue(0, int(duration))
                cuda.advance(int(duration) // 2)
    made = recorder.report(wait=True)
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(made))))
    assert again == made
    assert again.to_dict() == made.to_dict()
    for kind in ("host", "device"):
        there, here = (getattr(one["a/b"], kind) for one in (again, made))
        for q in np.linspace(0, 1, 901):
            assert there.quantile(q) == here.quantile(q)


def test_a_pickled_report_keeps_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = pickle.dumps(Recorder().report())
    here = Recorder().report().environment
    assert (here.host_name, here.process_id) == (platform.node(), os.getpid())
    # As if the reader were another process on another machine.
    monkeypatch.setattr(os, "getpid", lambda: -1)
    monkeypatch.setattr(platform, "node", lambda: "reader")
    assert Recorder().report().environment.host_name == "reader"
    received = pickle.loads(sent)
    assert received.environment == here
    assert pickle.loads(pickle.dumps(received)).environment == here


def test_caches_are_not_pickled() -> None:
    made = report(*(site(f"site {number}") for number in range(20)))
    before = pickle.dumps(made)
    assert made["site 7"].count == 10
    assert made.warnings == ()
    assert made.cost.host > 0
    assert pickle.dumps(made) == before


def test_a_copy_needs_no_look_up() -> None:
    made = Recorder().report()
    assert copy.copy(made) is copy.deepcopy(made) is made
    assert "environment" not in vars(made)


def test_a_pickled_site_takes_a_few_hundred_bytes() -> None:
    recorder = Recorder()
    for number in range(4_000):
        with recorder.scope(f"site {number}"):
            pass
    assert len(pickle.dumps(recorder.report())) < 4_000 * 600


def test_deeply_nested_sites_are_pickled(recorder: Recorder) -> None:
    def nest(depth: int) -> None:
        with recorder.scope("again"), recorder.scope("beside"):
            pass
        if depth > 0:
            with recorder.scope("again"):
                nest(depth - 1)

    nest(400)
    made = recorder.report()
    sent = pickle.loads(pickle.dumps(made))
    paths = [(site.path, site.count, site.host) for site in made.walk()]
    assert [(site.path, site.count, site.host) for site in sent.walk()] == paths
    assert len(paths) == 2 * 401


def test_empty_durations_are_pickled(recorder: Recorder) -> None:
    token = recorder.begin("a")
    del token
    nothing = pickle.loads(pickle.dumps(recorder.report()))["a"].host
    assert (nothing.count, nothing.mean, nothing.median) == (0, 0.0, 0.0)

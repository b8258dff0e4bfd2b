# SPDX-License-Identifier: BSD-3-Clause
"""Self times and shares of sites."""

from __future__ import annotations

import pytest
from simulated_cuda import Simulated
from simulated_work import MS, run

from fasttime import Recorder


def test_self_time_excludes_the_children(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("step"):
        run(cuda, recorder, "forward", 6 * MS)
        run(cuda, recorder, "backward", 2 * MS)
        cuda.enqueue(0, MS)
    report = recorder.report(wait=True)
    own = {site.path: site.self_time for site in report.walk()}
    assert own == pytest.approx({"step": 1e-3, "step/forward": 6e-3, "step/backward": 2e-3})


def test_rounding_makes_no_negative_self_time(cuda: Simulated, recorder: Recorder) -> None:
    for number in range(50):
        with recorder.scope("step"):
            run(cuda, recorder, "all", 3 * MS + 7 * number + 1)
    assert recorder.report(wait=True)["step"].self_time == pytest.approx(0, abs=1e-6)


def test_longer_children_leave_no_self_time(cuda: Simulated, recorder: Recorder) -> None:
    side = cuda.create_stream()
    with recorder.scope("step"):
        cuda.enqueue(0, MS)
        with recorder.scope("copy", stream=side):
            cuda.enqueue(side, 5 * MS)
    report = recorder.report(wait=True)
    assert report["step"].self_time is None
    assert report["step/copy"].self_time == pytest.approx(5e-3)
    kinds = [warning.kind for warning in report.warnings if "1 of 2 sites" in warning.message]
    assert kinds == ["overlap"]


def test_an_earlier_beginning_leaves_no_self_time(cuda: Simulated, recorder: Recorder) -> None:
    epoch = recorder.begin("epoch")
    for _ in range(5):
        recorder.report(reset=True)
        for _ in range(10):
            run(cuda, recorder, "step", 2 * MS, host_ns=2 * MS)
    recorder.end(epoch)
    report = recorder.report(wait=True, reset=True)
    assert report.duration == pytest.approx(20e-3)
    assert report["epoch"].time.total == pytest.approx(100e-3)
    assert report["epoch"].began_earlier
    assert report["epoch"].self_time is None
    assert report["epoch/step"].self_time == pytest.approx(20e-3)
    kinds = [warning.kind for warning in report.warnings if "no self time" in warning.message]
    assert kinds == ["began_earlier"]
    with recorder.scope("epoch"):
        run(cuda, recorder, "step", 2 * MS, host_ns=2 * MS)
    assert recorder.report(wait=True)["epoch"].self_time == pytest.approx(0, abs=1e-6)


def test_shares_add_up_while_a_root_is_open(cuda: Simulated, recorder: Recorder) -> None:
    token = recorder.begin("main")
    run(cuda, recorder, "a", 3 * MS)
    run(cuda, recorder, "b", MS)
    report = recorder.report(wait=True)
    recorder.end(token)
    shares = {site.path: site.share for site in report.walk()}
    assert shares.pop("main") is None
    assert shares == pytest.approx({"main/a": 0.75, "main/b": 0.25})


def test_host_times_have_no_share_of_device_time(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    cuda.begin_capture(stream)
    with recorder.scope("load", stream=stream):  # a minute of host time, no device time
        cuda.advance(60_000 * MS)
    cuda.end_capture(stream)
    run(cuda, recorder, "a", 3 * MS)
    run(cuda, recorder, "b", MS)
    report = recorder.report(wait=True)
    assert report["load"].host.total == pytest.approx(60.0)
    assert [site.share for site in report.walk()] == [
        None,
        pytest.approx(0.75),
        pytest.approx(0.25),
    ]
    assert report.to_dict()["sites"][0]["share"] is None
    assert "100.0%" not in str(report)


def test_without_a_device_self_time_is_host_time() -> None:
    recorder = Recorder()
    with recorder.scope("step"), recorder.scope("a"):
        pass
    report = recorder.report()
    own = report["step"].host.total - report["step/a"].host.total
    assert report["step"].self_time == pytest.approx(own)
    assert report["step"].share == 1.0

# SPDX-License-Identifier: BSD-3-Clause
"""The bottleneck of a site, judged by the backlog at the end of its scopes."""

from __future__ import annotations

import json

import pytest
from simulated_cuda import Simulated
from simulated_work import MS, run

from fasttime import Recorder
from fasttime.reports.bottleneck import BacklogChecks, judge


def test_a_device_that_outlasts_the_host_is_bound(cuda: Simulated, recorder: Recorder) -> None:
    for _ in range(20):
        run(cuda, recorder, "a", 5 * MS, host_ns=MS)
    assert recorder.report(wait=True)["a"].bottleneck.bound == "device-bound"


def test_a_device_that_waits_is_host_bound(cuda: Simulated, recorder: Recorder) -> None:
    cuda.set_host_cost(1000)
    for _ in range(200):
        run(cuda, recorder, "a", 10_000, host_ns=2 * MS)
    bottleneck = recorder.report(wait=True)["a"].bottleneck
    assert bottleneck.bound == "host-bound"
    assert bottleneck.checks > 5
    assert bottleneck.agreement == 1.0
    assert bottleneck.backlog == pytest.approx(0, abs=20e-6)


def test_back_pressure_does_not_hide_the_device(cuda: Simulated, recorder: Recorder) -> None:
    """The host is held back to the device's pace: both take the same time, with a backlog."""
    cuda.set_host_cost(1000)
    stream = cuda.create_stream()
    cuda.enqueue(stream, 100 * MS)  # the device starts far behind and never catches up
    for _ in range(300):
        with recorder.scope("a", stream=stream):
            cuda.enqueue(stream, 2 * MS)
            cuda.advance(2 * MS)
    made = recorder.report(wait=True)
    bottleneck = made["a"].bottleneck
    assert made["a"].host.mean == pytest.approx(made["a"].device.mean, rel=0.01)
    assert bottleneck.bound == "device-bound"
    assert bottleneck.host_may_wait
    assert bottleneck.backlog == pytest.approx(100e-3, rel=0.05)
    assert [warning.kind for warning in made.warnings] == ["host_may_wait"]


def test_a_wait_for_data_is_not_called_a_full_queue(cuda: Simulated, recorder: Recorder) -> None:
    """The device is behind, its queue is almost empty, and the host waits for its loader."""
    stream = cuda.create_stream()
    cuda.enqueue(stream, 30 * MS)
    for _ in range(20):
        with recorder.scope("data", stream=stream):
            cuda.advance(8 * MS)
            cuda.enqueue(stream, MS // 20)
        with recorder.scope("model", stream=stream):
            cuda.enqueue(stream, 8 * MS)
    made = recorder.report(wait=True)
    assert made["data"].bottleneck.host_may_wait
    assert not made["model"].bottleneck.host_may_wait
    (message,) = (one.message for one in made.warnings if one.kind == "host_may_wait")
    assert "had work of its own, waited, or been held back by a full launch queue" in message
    for text in (str(made), made.to_html(), made.to_markdown(), json.dumps(made.to_dict())):
        assert "queue was full" not in text
        assert "queue_was_full" not in text


def test_without_a_check_the_bottleneck_is_unclear(cuda: Simulated, recorder: Recorder) -> None:
    cuda.fail("cudaStreamCreateWithFlags", 2, 0, 1)  # no clock
    for _ in range(100):
        run(cuda, recorder, "a", 2 * MS, host_ns=2 * MS)
    bottleneck = recorder.report(wait=True)["a"].bottleneck
    assert (bottleneck.bound, bottleneck.backlog, bottleneck.checks) == ("unclear", None, 0)


@pytest.mark.parametrize(
    ("checks", "reason"),
    [
        (BacklogChecks(), "the backlog was never checked"),
        (
            BacklogChecks(device_outlasted=10),
            "the scopes clearly took longer on the device than on the host",
        ),
        (
            BacklogChecks(near=1, backlog_total=-1e-6),
            "the device was 0 s behind when the host left the scope, a mean over 1 check",
        ),
        (
            BacklogChecks(near=1, above=1, backlog_total=1.0),
            "too close to call: the device was 500.0 ms behind when the host left the scope, a "
            "mean over 2 checks",
        ),
    ],
)
def test_the_reason_states_the_figures(checks: BacklogChecks, reason: str) -> None:
    assert judge(checks, 10).reason == reason


def test_without_device_times_there_is_no_bottleneck() -> None:
    assert judge(BacklogChecks(near=10), 0) is None

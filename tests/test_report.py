# SPDX-License-Identifier: BSD-3-Clause
"""Reports and samples: exact numbers from the simulated runtime."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from simulated_cuda import Simulated

from fasttime import Recorder

MS = 1_000_000


def run(cuda: Simulated, recorder: Recorder, name: str, device_ns: int, host_ns: int = 0) -> None:
    with recorder.scope(name):
        cuda.enqueue(0, device_ns)
        cuda.advance(host_ns)


def test_statistics_of_a_site(cuda: Simulated, recorder: Recorder) -> None:
    durations = [1, 2, 3, 4, 10]
    for duration in durations:
        run(cuda, recorder, "a", duration * MS)
    device = recorder.report(wait=True)["a"].device
    assert device.count == 5
    assert device.total == pytest.approx(20e-3)
    assert device.mean == pytest.approx(np.mean(durations) * 1e-3)
    assert device.std == pytest.approx(np.std(durations, ddof=1) * 1e-3)
    assert (device.min, device.max) == pytest.approx((1e-3, 10e-3))
    assert device.median == pytest.approx(3e-3, rel=0.01)
    assert device.p95 == device.p99 == pytest.approx(10e-3, rel=0.01)
    assert "count=5" in repr(device)
    with pytest.raises(ValueError, match="between 0 and 1"):
        device.quantile(95)


def test_quantiles_are_within_one_percent(cuda: Simulated, recorder: Recorder) -> None:
    generator = np.random.default_rng(0)
    durations = np.exp(generator.uniform(np.log(50), np.log(1e9), 3000)).astype(int)
    for duration in durations:
        run(cuda, recorder, "a", int(duration))
        cuda.advance(int(duration))
    device = recorder.report(wait=True)["a"].device
    seen = np.array([sample.device_time for sample in recorder.samples("a")])
    assert len(seen) == 1000
    # The simulated runtime answers in float32 milliseconds, as the real one does.
    exact = np.sort(durations.astype(np.float32) * 1e-9)
    for q in (0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0):
        rank = max(0, int(np.ceil(q * len(exact))) - 1)
        assert device.quantile(q) == pytest.approx(exact[rank], rel=0.01)


def test_the_tree_has_shares_and_paths(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("step"):
        run(cuda, recorder, "forward", 6 * MS)
        run(cuda, recorder, "backward", 2 * MS)
    run(cuda, recorder, "other", 2 * MS)
    report = recorder.report(wait=True)
    assert [site.path for site in report.walk()] == [
        "step",
        "step/forward",
        "step/backward",
        "other",
    ]
    shares = {site.path: site.share for site in report.walk()}
    assert shares == pytest.approx(
        {"step": 0.8, "step/forward": 0.6, "step/backward": 0.2, "other": 0.2}
    )
    assert report["step"].children == (report["step/forward"], report["step/backward"])


def test_an_unknown_path_names_the_known_ones(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "a", MS)
    with pytest.raises(KeyError, match="no scope was timed at 'b'; there are: 'a'"):
        recorder.report(wait=True)["b"]
    with pytest.raises(KeyError, match="there are: none"):
        Recorder().report()["b"]


def test_a_report_that_resets_takes_each_scope_once(cuda: Simulated, recorder: Recorder) -> None:
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


def test_each_scope_is_in_one_report_whatever_threads_do(cuda: Simulated) -> None:
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
        counted += sum(site.count for site in recorder.report(reset=True).sites)
    for thread in threads:
        thread.join()
    cuda.advance(1)
    counted += sum(site.count for site in recorder.report(wait=True, reset=True).sites)
    assert counted == total


def test_reset_forgets_open_and_pending_scopes_too(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "done", MS)
    cuda.advance(2 * MS)
    run(cuda, recorder, "pending", MS)
    token = recorder.begin("open")
    recorder.reset()
    recorder.end(token)
    run(cuda, recorder, "after", MS)
    report = recorder.report(wait=True)
    assert [site.path for site in report.walk()] == ["after"]


def test_samples_are_kept_on_request(cuda: Simulated) -> None:
    recorder = Recorder(keep_samples=2)
    for duration in (1, 2, 3):
        run(cuda, recorder, "a", duration * MS, host_ns=duration * MS)
        cuda.advance(10 * MS)
    samples = recorder.samples("a")
    assert [sample.device_time for sample in samples] == pytest.approx([2e-3, 3e-3])
    assert [sample.host_time for sample in samples] == pytest.approx([2e-3, 3e-3])
    assert [sample.status for sample in samples] == ["ok", "ok"]
    assert samples[0].host_begin < samples[1].host_begin
    assert samples[0].path == "a"
    recorder.keep_samples(0)
    with pytest.raises(KeyError, match="no scope was timed at 'b'"):
        recorder.samples("b")


def test_no_samples_are_kept_by_default(cuda: Simulated) -> None:
    recorder = Recorder()
    run(cuda, recorder, "a", MS)
    cuda.advance(2 * MS)
    assert recorder.samples("a") == []


@pytest.mark.parametrize("count", [-1, 1_000_001])
def test_the_number_of_samples_has_bounds(count: int) -> None:
    with pytest.raises(ValueError, match="keep_samples must lie between 0 and 1,000,000"):
        Recorder(keep_samples=count)


# --- the verdict ---


def test_a_device_that_outlasts_the_host_is_the_bottleneck(
    cuda: Simulated, recorder: Recorder
) -> None:
    for _ in range(20):
        run(cuda, recorder, "a", 5 * MS, host_ns=MS)
    verdict = recorder.report(wait=True)["a"].verdict
    assert str(verdict) == "device-bound"


def test_a_device_that_waits_for_the_host_is_not(cuda: Simulated, recorder: Recorder) -> None:
    cuda.set_host_cost(1000)
    for _ in range(200):
        run(cuda, recorder, "a", 10_000, host_ns=2 * MS)
    verdict = recorder.report(wait=True)["a"].verdict
    assert verdict.bound == "host-bound"
    assert verdict.looks > 5
    assert verdict.agreement == 1.0
    assert verdict.backlog == pytest.approx(0, abs=20e-6)


def test_under_back_pressure_host_time_is_not_taken_at_its_word(
    cuda: Simulated, recorder: Recorder
) -> None:
    """The host is held back to the device's pace: both times are the same, the backlog is not."""
    cuda.set_host_cost(1000)
    stream = cuda.create_stream()
    cuda.enqueue(stream, 100 * MS)  # the device starts far behind, and never catches up
    for _ in range(300):
        with recorder.scope("a", stream=stream):
            cuda.enqueue(stream, 2 * MS)
            cuda.advance(2 * MS)
    report = recorder.report(wait=True)
    verdict = report["a"].verdict
    assert report["a"].host.mean == pytest.approx(report["a"].device.mean, rel=0.01)
    assert verdict.bound == "device-bound"
    assert verdict.queue_was_full
    assert verdict.backlog == pytest.approx(100e-3, rel=0.05)
    assert "The launch queue was full" in str(report)


def test_without_a_look_at_the_backlog_the_verdict_is_unclear(
    cuda: Simulated, recorder: Recorder
) -> None:
    cuda.fail("cudaStreamCreateWithFlags", 2, 0, 1)  # no clock
    for _ in range(100):
        run(cuda, recorder, "a", 2 * MS, host_ns=2 * MS)
    verdict = recorder.report(wait=True)["a"].verdict
    assert (verdict.bound, verdict.backlog, verdict.looks) == ("unclear", None, 0)

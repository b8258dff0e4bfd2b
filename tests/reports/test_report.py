# SPDX-License-Identifier: BSD-3-Clause
"""Reports and samples: exact numbers from the simulated runtime."""

from __future__ import annotations

import html
import json
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_report import DEVICE_BOUND, UNCLEAR, report, site
from simulated_cuda import Simulated

from fasttime import Recorder, Report
from fasttime import recorder as recorder_module
from fasttime.reports import timing_cost

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


def test_refused_sites_are_those_of_the_interval(recorder: Recorder) -> None:
    for number in range(9_000):
        with recorder.scope(f"site {number}"):
            pass
    assert recorder.report(reset=True).refused_sites == 9_000 - 8_190
    with recorder.scope("site 0"):
        pass
    quiet = recorder.report()
    assert (quiet.refused_sites, [warning.kind for warning in quiet.warnings]) == (
        0,
        ["host_backend"],
    )
    for number in range(9_000, 9_003):
        with recorder.scope(f"site {number}"):
            pass
    assert recorder.report().refused_sites == 3
    recorder.reset()
    assert recorder.report().refused_sites == 0


class Watched:
    """A core that says whether the lock was held when statistics were taken or cleared."""

    def __init__(self, core: Any) -> None:
        self.core = core
        self.held: list[bool] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("site_entries", "reset", "site_names"):
            self.held.append(recorder_module._taking._is_owned())
        return getattr(self.core, name)


def test_statistics_and_their_interval_belong_together_whatever_threads_do() -> None:
    made = Recorder()
    made._core = Watched(made._core)
    made.report(reset=True)
    made.reset()
    with pytest.raises(KeyError):
        made.samples("a")
    assert made._core.held == [True, True, True]
    assert not recorder_module._taking._is_owned()


def test_a_failure_is_told_in_its_own_interval_alone(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "a", MS)
    cuda.fail("cudaEventRecord", 2, 0, 2)
    for _ in range(2):
        run(cuda, recorder, "a", MS)
    failed = recorder.report(wait=True, reset=True)
    assert failed.failures == 2
    assert failed.last_failure.startswith("cudaEventRecord answered 2")
    run(cuda, recorder, "a", MS)
    well = recorder.report(wait=True)
    assert (well.failures, well.last_failure) == (0, "")
    assert "last_failure" not in [warning.kind for warning in well.warnings]
    assert Recorder().report().failures == 0, "it was made after that"


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
    bottleneck = recorder.report(wait=True)["a"].bottleneck
    assert str(bottleneck) == "device-bound"


def test_a_device_that_waits_for_the_host_is_not(cuda: Simulated, recorder: Recorder) -> None:
    cuda.set_host_cost(1000)
    for _ in range(200):
        run(cuda, recorder, "a", 10_000, host_ns=2 * MS)
    bottleneck = recorder.report(wait=True)["a"].bottleneck
    assert bottleneck.bound == "host-bound"
    assert bottleneck.checks > 5
    assert bottleneck.agreement == 1.0
    assert bottleneck.backlog == pytest.approx(0, abs=20e-6)


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
    bottleneck = report["a"].bottleneck
    assert report["a"].host.mean == pytest.approx(report["a"].device.mean, rel=0.01)
    assert bottleneck.bound == "device-bound"
    assert bottleneck.host_took_as_long
    assert bottleneck.backlog == pytest.approx(100e-3, rel=0.05)
    assert [warning.kind for warning in report.warnings] == ["host_took_as_long"]


def test_a_wait_for_data_is_not_taken_for_a_full_launch_queue(
    cuda: Simulated, recorder: Recorder
) -> None:
    """The device is behind, its queue all but empty, and the host waits for its loader."""
    stream = cuda.create_stream()
    cuda.enqueue(stream, 30 * MS)
    for _ in range(20):
        with recorder.scope("data", stream=stream):
            cuda.advance(8 * MS)
            cuda.enqueue(stream, MS // 20)
        with recorder.scope("model", stream=stream):
            cuda.enqueue(stream, 8 * MS)
    report = recorder.report(wait=True)
    assert report["data"].bottleneck.host_took_as_long
    assert not report["model"].bottleneck.host_took_as_long
    (message,) = (d.message for d in report.warnings if d.kind == "host_took_as_long")
    assert "with work of its own, in a wait, or held back by a full launch queue" in message
    for text in (str(report), report.to_html(), report.to_markdown(), json.dumps(report.to_dict())):
        assert "queue was full" not in text
        assert "queue_was_full" not in text


def test_without_a_check_at_the_backlog_the_bottleneck_is_unclear(
    cuda: Simulated, recorder: Recorder
) -> None:
    cuda.fail("cudaStreamCreateWithFlags", 2, 0, 1)  # no clock
    for _ in range(100):
        run(cuda, recorder, "a", 2 * MS, host_ns=2 * MS)
    bottleneck = recorder.report(wait=True)["a"].bottleneck
    assert (bottleneck.bound, bottleneck.backlog, bottleneck.checks) == ("unclear", None, 0)


# --- self time and share ---


def test_self_time_is_what_the_sites_inside_leave(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("step"):
        run(cuda, recorder, "forward", 6 * MS)
        run(cuda, recorder, "backward", 2 * MS)
        cuda.enqueue(0, MS)
    report = recorder.report(wait=True)
    own = {site.path: site.self_time for site in report.walk()}
    assert own == pytest.approx({"step": 1e-3, "step/forward": 6e-3, "step/backward": 2e-3})


def test_rounding_does_not_make_self_time_negative(cuda: Simulated, recorder: Recorder) -> None:
    for number in range(50):
        with recorder.scope("step"):
            run(cuda, recorder, "all", 3 * MS + 7 * number + 1)
    assert recorder.report(wait=True)["step"].self_time == pytest.approx(0, abs=1e-6)


def test_there_is_no_self_time_where_children_on_another_stream_take_longer(
    cuda: Simulated, recorder: Recorder
) -> None:
    side = cuda.create_stream()
    with recorder.scope("step"):
        cuda.enqueue(0, MS)
        with recorder.scope("copy", stream=side):
            cuda.enqueue(side, 5 * MS)
    report = recorder.report(wait=True)
    assert report["step"].self_time is None
    assert report["step/copy"].self_time == pytest.approx(5e-3)
    assert [warning.kind for warning in report.warnings if "1 of 2 sites" in warning.message] == [
        "overlap"
    ]


def test_there_is_no_self_time_where_a_scope_began_before_the_interval(
    cuda: Simulated, recorder: Recorder
) -> None:
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
    assert [warning.kind for warning in report.warnings if "No self time" in warning.message] == [
        "began_earlier"
    ]
    with recorder.scope("epoch"):
        run(cuda, recorder, "step", 2 * MS, host_ns=2 * MS)
    assert recorder.report(wait=True)["epoch"].self_time == pytest.approx(0, abs=1e-6)


def test_shares_add_up_to_no_more_than_one_where_a_root_is_still_open(
    cuda: Simulated, recorder: Recorder
) -> None:
    token = recorder.begin("main")
    run(cuda, recorder, "a", 3 * MS)
    run(cuda, recorder, "b", MS)
    report = recorder.report(wait=True)
    recorder.end(token)
    shares = {site.path: site.share for site in report.walk()}
    assert shares.pop("main") is None
    assert shares == pytest.approx({"main/a": 0.75, "main/b": 0.25})


def test_host_times_have_no_share_where_others_have_device_times(
    cuda: Simulated, recorder: Recorder
) -> None:
    stream = cuda.create_stream()
    cuda.begin_capture(stream)
    with recorder.scope("load", stream=stream):  # a minute of the host, and none of the device
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


def test_without_a_device_self_time_is_the_hosts() -> None:
    recorder = Recorder()
    with recorder.scope("step"), recorder.scope("a"):
        pass
    report = recorder.report()
    own = report["step"].host.total - report["step/a"].host.total
    assert report["step"].self_time == pytest.approx(own)
    assert report["step"].share == 1.0


def test_a_report_is_walked_and_not_iterated() -> None:
    with pytest.raises(TypeError, match="'Report' object is not iterable"):
        iter(report(site("a")))


def test_a_report_shows_its_table_where_python_shows_values() -> None:
    made = report(site("a"))
    assert repr(made) == str(made)


# --- the cost of timing ---


def test_timing_costs_a_constant_for_each_scope_and_each_event() -> None:
    cost = report(site("a", calls=1000), site("b", calls=500, shared=500)).cost
    scopes, records = 1500, 2 * 1500 - 500
    assert cost.host == pytest.approx(scopes * 1.2e-6 + records * 1.73e-6)
    assert cost.device == pytest.approx(1500 * 3.4e-6 - 500 * 1.3e-6)


def test_scopes_without_events_cost_the_host_little_and_the_device_nothing() -> None:
    cost = report(site("a", device=None, calls=1000)).cost
    assert cost == pytest.approx((0.25e-3, 0.0))


def test_the_constants_are_those_of_the_results_that_lie_beside_them() -> None:
    """Within a factor of two, by which the speed of that machine's host itself changes."""
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "scope_overhead.json"
    seen = json.loads(path.read_text(encoding="utf-8"))["results"][0]["summary"]
    pair = seen["raw pair in C"]["median_ns"] * 1e-9
    scope = seen["fasttime scope, two records"]["median_ns"] * 1e-9
    assert pair / 2 < 2 * timing_cost.HOST_A_RECORD < pair * 2
    assert scope / 2 < timing_cost.HOST_A_SCOPE + 2 * timing_cost.HOST_A_RECORD < scope * 2
    off = seen["fasttime scope, disabled"]["median_ns"] * 1e-9
    nothing = seen["contextlib.nullcontext"]["median_ns"] * 1e-9
    assert off < timing_cost.HOST_A_SCOPE_WITHOUT_EVENTS < nothing


# --- doubts ---


def test_there_are_no_warnings_where_all_is_well(cuda: Simulated, recorder: Recorder) -> None:
    for _ in range(20):
        run(cuda, recorder, "a", 5 * MS, host_ns=MS)
    assert recorder.report(wait=True).warnings == ()


def test_the_warnings_tell_what_is_not_in_the_table(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    run(cuda, recorder, "a", MS)
    cuda.begin_capture(stream)
    with recorder.scope("a", stream=stream):
        pass
    cuda.end_capture(stream)
    recorder.begin("a")
    cuda.advance(2 * MS)
    recorder.report()
    run(cuda, recorder, "a", 50 * MS)
    token = recorder.begin("b")
    text = str(recorder.report())
    assert "Not in the table: 1 open, 1 pending on the device." in text
    assert "Without device time: 1 dropped (no room, or never ended)." in text
    assert "Without device time: 1 captured" in text
    recorder.end(token)
    recorder.report(wait=True)


AS_LONG = DEVICE_BOUND._replace(host_took_as_long=True)


@pytest.mark.parametrize(
    ("made", "kind", "message"),
    [
        (report(switched_off=True), "switched_off", "or by FASTTIME=0 in the environment"),
        (report(backend="host"), "host_backend", "Host time only: CUDA is up."),
        (report(open=1), "unfinished", "Not in the table: 1 open, 0 pending"),
        (report(pending=2), "unfinished", "Not in the table: 0 open, 2 pending"),
        (report(site("a", dropped=3)), "dropped", "Without device time: 3 dropped"),
        (report(site("a", captured=3)), "captured", "Without device time: 3 captured"),
        (report(site("a", failed=3)), "failed", "Without device time: 3 failed"),
        (report(site("a", host_only=3)), "host_only", "Without device time: 3 from before CUDA"),
        (report(last_failure="no"), "last_failure", "The last call to CUDA that failed: no."),
        (report(refused_sites=1), "refused_sites", "are under (more)"),
        (report(scopes_were_compiled=True), "compiled", "Scopes inside torch.compile regions"),
        (report(site("a", bottleneck=UNCLEAR)), "unclear", "The bottleneck is unclear at 1 of 1"),
        (report(site("a", self_time=None)), "overlap", "No self time at 1 of 1 sites"),
        (
            report(site("a", self_time=None, began_earlier=True)),
            "began_earlier",
            "No self time at 1 of 1 sites: a scope that began before this interval",
        ),
        (
            report(site("a", bottleneck=AS_LONG)),
            "host_took_as_long",
            "* The device was behind, and",
        ),
    ],
)
def test_each_warning_is_told_in_every_format(made: Report, kind: str, message: str) -> None:
    assert [warning.kind for warning in made.warnings] == [kind]
    assert message in made.warnings[0].message
    for text in (str(made), html.unescape(made.to_html()), html.unescape(made.to_markdown())):
        assert made.warnings[0].message in " ".join(text.split())
    assert made.to_dict()["warnings"] == [{"kind": kind, "message": made.warnings[0].message}]


def test_a_report_says_when_it_was_made_and_where() -> None:
    made = Recorder().report()
    assert datetime.fromisoformat(made.date).tzinfo is not None
    assert made.environment.gpu is None
    assert made.environment is Recorder().report().environment, "looked up once in a process"

# SPDX-License-Identifier: BSD-3-Clause
"""Scopes on a real device. Bounds are one-sided, and each bound has a negative control."""

from __future__ import annotations

import threading

import pytest
import torch
from latch import Latch, host_must_not_wait_for, long_work

from fasttime import _C, Recorder

pytestmark = pytest.mark.gpu


def device_times(recorder: Recorder, path: str) -> list[float]:
    recorder.report(wait=True)
    samples = recorder.samples(path)
    assert [sample.status for sample in samples] == ["ok"] * len(samples)
    return [sample.device_time for sample in samples if sample.device_time is not None]


def test_the_runtime_is_torchs(recorder: Recorder) -> None:
    with recorder.scope("a"):
        pass
    assert recorder.report(wait=True).backend == "cuda"
    version = _C.backend()["runtime_version"]
    assert torch.version.cuda is not None
    assert [version // 1000, version % 1000 // 10] == [
        int(n) for n in torch.version.cuda.split(".")
    ]


def test_only_work_on_the_stream_is_timed(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    other = torch.cuda.Stream()
    for _ in range(3):
        with recorder.scope("same"):
            long_work()
        with recorder.scope("other"), torch.cuda.stream(other):
            long_work()
        torch.cuda.synchronize()
    assert min(device_times(recorder, "same")) > 1e-3
    assert min(device_times(recorder, "other")) < 1e-3


def test_the_stream_argument_chooses_the_stream(recorder: Recorder) -> None:
    other = torch.cuda.Stream()
    for kind, chosen in (("object", other), ("handle", other.cuda_stream)):
        with recorder.scope(kind, stream=chosen), torch.cuda.stream(other):
            long_work()
        assert device_times(recorder, kind)[0] > 1e-3


def test_phases_fill_their_block(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    with recorder.phases("step") as phase:
        for number in range(5):
            phase(f"phase {number}")
            with recorder.scope("work"):
                long_work()
    report = recorder.report(wait=True)
    phases = report["step"].children
    assert [site.name for site in phases] == [f"phase {number}" for number in range(5)]
    assert [report[f"{site.path}/work"].counts["ok"] for site in phases] == [1] * 5
    assert min(site.device.total for site in phases) > 1e-3
    step = report["step"].device.total
    assert sum(site.device.total for site in phases) == pytest.approx(step, abs=50e-6)


def test_a_phase_can_end_before_its_block(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    with recorder.phases("step") as phase:
        phase("short")
        phase(None)
        long_work()
    report = recorder.report(wait=True)
    assert report["step/short"].device.total < 1e-3
    assert report["step"].device.total > 1e-3


def test_nothing_waits_for_a_held_stream(
    recorder: Recorder, stream: torch.cuda.Stream, latch: Latch
) -> None:
    with recorder.scope("warm"):
        pass
    recorder.report(wait=True, reset=True)
    latch.hold(stream)
    with host_must_not_wait_for(latch):
        for _ in range(300):
            with recorder.scope("a"):
                pass
        report = recorder.report()
        assert (report.pending, report.sites) == (300, ())
        timed_out = recorder.report(wait=True, timeout=0.05)
        assert timed_out.pending == 300
    latch.release()
    assert recorder.report(wait=True)["a"].counts["ok"] == 300


def test_a_held_stream_does_not_block_another(
    recorder: Recorder, stream: torch.cuda.Stream, latch: Latch
) -> None:
    other = torch.cuda.Stream()
    latch.hold(stream)
    with recorder.scope("held"):
        pass
    with recorder.scope("free", stream=other):
        pass
    other.synchronize()
    report = recorder.report()
    assert [site.path for site in report.sites] == ["free"]
    assert report.pending == 1


@pytest.mark.parametrize("on_default_stream", [True, False])
def test_a_scope_agrees_with_torch_events(recorder: Recorder, on_default_stream: bool) -> None:
    where = torch.cuda.default_stream() if on_default_stream else torch.cuda.Stream()
    readings = []
    with torch.cuda.stream(where):
        for _ in range(5):
            outer, inner = (
                [torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(2)
            )
            outer[0].record()
            with recorder.scope("a"):
                inner[0].record()
                long_work()
                inner[1].record()
            outer[1].record()
            torch.cuda.synchronize()
            readings.append([pair[0].elapsed_time(pair[1]) * 1e-3 for pair in (inner, outer)])
    for device_time, (inner_time, outer_time) in zip(
        device_times(recorder, "a"), readings, strict=True
    ):
        assert inner_time <= device_time <= outer_time


def test_two_streams_are_timed_separately(recorder: Recorder) -> None:
    first, second = torch.cuda.Stream(), torch.cuda.Stream()
    for _ in range(20):
        with recorder.scope("first", stream=first), torch.cuda.stream(first):
            long_work()
        with recorder.scope("second", stream=second), torch.cuda.stream(second):
            pass
    assert min(device_times(recorder, "first")) > 1e-3
    assert min(device_times(recorder, "second")) < 1e-3


def test_a_thread_without_cuda_reads_scopes(
    recorder: Recorder, stream: torch.cuda.Stream, latch: Latch
) -> None:
    latch.hold(stream)
    for _ in range(20):
        with recorder.scope("a"):
            long_work()
    assert recorder.report().pending == 20
    latch.release()
    thread = threading.Thread(target=recorder.report, kwargs={"wait": True})
    thread.start()
    thread.join()
    report = recorder.report()
    assert (report["a"].counts["ok"], report.pending, report.last_failure) == (20, 0, "")
    assert min(device_times(recorder, "a")) > 1e-3


def test_a_busy_device_is_the_bottleneck(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    for _ in range(10):
        with recorder.scope("a"):
            long_work()
    bottleneck = recorder.report(wait=True)["a"].bottleneck
    assert bottleneck is not None
    assert bottleneck.bound == "device-bound"


def test_a_waiting_device_is_not_the_bottleneck(
    recorder: Recorder, stream: torch.cuda.Stream
) -> None:
    x = torch.ones(16, device="cuda")
    numbers = list(range(200_000))
    for _ in range(40):
        with recorder.scope("a"):
            x.add_(1)
            sum(numbers)  # milliseconds of work on the host
    bottleneck = recorder.report(wait=True)["a"].bottleneck
    assert bottleneck is not None
    assert bottleneck.bound == "host-bound", bottleneck


@pytest.mark.parametrize("mode", ["global", "thread_local", "relaxed"])
def test_a_capture_on_another_thread_survives(
    recorder: Recorder, stream: torch.cuda.Stream, mode: str
) -> None:
    x = torch.ones(16, device="cuda")
    torch.cuda.synchronize()
    capturing, done = threading.Event(), threading.Event()
    graph = torch.cuda.CUDAGraph()
    side = torch.cuda.Stream()  # torch's stream for captures may be the current one here
    errors: list[BaseException] = []

    def capture() -> None:
        try:
            with torch.cuda.graph(graph, stream=side, capture_error_mode=mode):
                x.add_(1)
                capturing.set()
                done.wait(60)
        except BaseException as error:
            errors.append(error)
        finally:
            capturing.set()

    thread = threading.Thread(target=capture)
    thread.start()
    capturing.wait(60)
    for _ in range(50):
        with recorder.scope("a"):
            pass
        recorder.report()
    recorder.report(wait=True)
    done.set()
    thread.join()
    assert errors == []
    graph.replay()
    torch.cuda.synchronize()
    assert x.tolist() == [2.0] * 16
    report = recorder.report()
    assert report["a"].counts["ok"] == 50, (report["a"].counts, report.last_failure)


def test_a_scope_in_a_capture_is_counted(recorder: Recorder, stream: torch.cuda.Stream) -> None:
    x = torch.ones(16, device="cuda")
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    token = recorder.begin("begun outside")
    with torch.cuda.graph(graph, stream=stream):
        with recorder.scope("inside"):
            x.add_(1)
        recorder.end(token)
    graph.replay()
    torch.cuda.synchronize()
    assert x.tolist() == [2.0] * 16
    report = recorder.report(wait=True)
    assert report["begun outside"].counts["captured"] == 1
    assert report["begun outside/inside"].counts["captured"] == 1

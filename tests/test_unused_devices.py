# SPDX-License-Identifier: BSD-3-Clause
"""Timing does not start a device that the process does not use, because a start takes 0.5 GB.

The current device of a new thread is device 0, even if the program works on another device.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from simulated_cuda import Simulated, in_thread

from fasttime import Recorder

MS = 1_000_000
SECOND = 1_000 * MS


class OwnStream:
    """A stream object of cuda:1."""

    device_index = 1

    def __init__(self, handle: int) -> None:
        self.cuda_stream = handle


@pytest.fixture
def stream(cuda: Simulated, recorder: Recorder) -> OwnStream:
    """A stream of cuda:1, on which the program works; cuda:0 belongs to another program."""
    cuda.set_device(1)
    stream = OwnStream(cuda.create_stream())
    with recorder.scope("step"):
        pass
    cuda.advance(1)
    assert recorder.report()["step"].counts["ok"] == 1
    cuda.set_unused(0)
    cuda.set_driver_needs_context(True)
    return stream


def time_a_block(recorder: Recorder, stream: OwnStream) -> None:
    with recorder.scope("a"):
        pass


def time_a_stream(recorder: Recorder, stream: OwnStream) -> None:
    with recorder.scope("a", stream=stream):  # type: ignore[arg-type]
        pass


def time_a_default_stream(recorder: Recorder, stream: OwnStream) -> None:
    with recorder.scope("a", stream=OwnStream(0)):  # type: ignore[arg-type]
        pass


def report(recorder: Recorder, stream: OwnStream) -> None:
    recorder.report(wait=True)


def record_a_timeline(recorder: Recorder, stream: OwnStream) -> None:
    with recorder.record_timeline():
        pass


@pytest.mark.parametrize("driver_reads", [True, False])
@pytest.mark.parametrize(
    "work", [time_a_block, time_a_stream, time_a_default_stream, report, record_a_timeline]
)
def test_a_thread_without_a_device_of_its_own_starts_none(
    cuda: Simulated,
    recorder: Recorder,
    stream: OwnStream,
    work: Callable[[Recorder, OwnStream], None],
    driver_reads: bool,
) -> None:
    if not driver_reads:
        cuda.fail("cuEventElapsedTime_v2", 201, times=-1)
    for _ in range(3):
        time_a_stream(recorder, stream)
        cuda.advance(2 * SECOND)  # so that a look at the device's clock is due
        in_thread(lambda: work(recorder, stream))
    assert not cuda.is_started(0)
    assert recorder.report(wait=True).failed == 0


def test_an_unused_device_has_host_time_only(
    cuda: Simulated, recorder: Recorder, stream: OwnStream
) -> None:
    in_thread(lambda: time_a_block(recorder, stream))
    assert recorder.report()["a"].counts["host_only"] == 1
    assert cuda.events_alive == 130  # a batch and the clock's two, all of them on cuda:1


def test_back_on_an_unused_device_the_host_is_timed(
    cuda: Simulated, recorder: Recorder, stream: OwnStream
) -> None:
    cuda.set_torch_device(0)  # as after `with torch.cuda.device(1)`: cuda:1 stays the current one
    time_a_block(recorder, stream)
    time_a_stream(recorder, stream)
    cuda.set_torch_device(-1)
    time_a_block(recorder, stream)
    cuda.advance(1)
    counts = recorder.report()["a"].counts
    assert (counts["host_only"], counts["ok"]) == (1, 2)
    assert not cuda.is_started(0)


def test_back_on_a_used_device_it_is_timed(
    cuda: Simulated, recorder: Recorder, stream: OwnStream
) -> None:
    with cuda.on_device(0):
        cuda.create_stream()
    cuda.set_torch_device(0)
    with recorder.scope("a"):
        assert cuda.device() == 1
        with cuda.on_device(0):
            cuda.enqueue(0, MS)
    assert cuda.device() == 1
    cuda.advance(2 * MS)
    site = recorder.report()["a"]
    assert site.device is not None
    assert (site.counts["ok"], site.device.mean) == (1, pytest.approx(1e-3))


def test_once_a_device_is_used_it_is_timed(
    cuda: Simulated, recorder: Recorder, stream: OwnStream
) -> None:
    in_thread(lambda: time_a_block(recorder, stream))
    with cuda.on_device(0):
        cuda.create_stream()
    in_thread(lambda: time_a_block(recorder, stream))
    cuda.advance(1)
    counts = recorder.report()["a"].counts
    assert (counts["host_only"], counts["ok"]) == (1, 1)


def test_a_thread_finds_its_device_as_it_was(
    cuda: Simulated, recorder: Recorder, stream: OwnStream
) -> None:
    def work() -> int:
        time_a_default_stream(recorder, stream)
        return cuda.device()

    assert in_thread(work) == 0
    assert cuda.calls("cuCtxPushCurrent_v2") == cuda.calls("cuCtxPopCurrent_v2") > 0


@pytest.mark.parametrize("handle", [0, 0xFA57])
def test_a_device_that_does_not_exist(cuda: Simulated, recorder: Recorder, handle: int) -> None:
    class Stream:
        device_index = 70
        cuda_stream = handle

    before = cuda.calls("cuDevicePrimaryCtxRetain")
    with recorder.scope("a", stream=Stream()):  # type: ignore[arg-type]
        pass
    report = recorder.report()
    assert (report["a"].count, report["a"].counts["ok"]) == (1, 0)
    assert "cudaErrorInvalidDevice" in report.last_failure
    assert cuda.calls("cuDevicePrimaryCtxRetain") == before  # there is no room for its answer
    with recorder.scope("b"):
        pass
    cuda.advance(1)
    assert recorder.report()["b"].counts["ok"] == 1

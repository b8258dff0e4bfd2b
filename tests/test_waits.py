# SPDX-License-Identifier: BSD-3-Clause
"""Waits for devices and streams, and the captures of other threads that survive them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulated_cuda import GLOBAL, RELAXED, THREAD_LOCAL, Simulated, in_thread

from fasttime import _native
from fasttime.streams import pooled_streams

MS = 1_000_000


@pytest.fixture
def streams(cuda: Simulated) -> Iterator[dict[int, list[int]]]:
    """The streams that fasttime knows, by device. A test may add to them."""
    known: dict[int, list[int]] = {0: [0], 1: [0]}
    _native.set_stream_finder(lambda device: known[device])
    yield known
    _native.set_stream_finder(pooled_streams)


def test_a_wait_covers_every_device(cuda: Simulated, streams: dict[int, list[int]]) -> None:
    far = cuda.create_stream(device=1)
    cuda.enqueue(far, 5 * MS)
    _native.wait_for_devices()
    assert cuda.now_ns >= 5 * MS
    assert cuda.backlog_ns(far) == 0


def test_a_wait_does_not_start_a_device(cuda: Simulated, streams: dict[int, list[int]]) -> None:
    cuda.set_unused(1)
    assert _native.devices_in_use() == [0]
    _native.wait_for_devices()
    assert not cuda.is_started(1)


def test_a_wait_leaves_the_device_current(cuda: Simulated, streams: dict[int, list[int]]) -> None:
    _native.wait_for_device(1)
    assert cuda.device() == 0


@pytest.mark.parametrize("mode", [GLOBAL, THREAD_LOCAL, RELAXED])
def test_another_threads_capture_survives(
    cuda: Simulated, streams: dict[int, list[int]], mode: int
) -> None:
    capturing, working = cuda.create_stream(), cuda.create_stream()
    streams[0] += [capturing, working]
    in_thread(lambda: cuda.begin_capture(capturing, mode))
    cuda.enqueue(working, 3 * MS)
    _native.wait_for_devices()
    assert cuda.backlog_ns(working) == 0  # it was waited for all the same
    assert _native.busy_streams() == []
    _native.wait_for_stream()
    assert cuda.capture_alive(capturing)
    # The negative control: the wait that the runtime offers.
    assert cuda.lib.cudaDeviceSynchronize() == 900
    assert cuda.last_error() == 900


def test_streams_of_libraries_are_waited_for(
    cuda: Simulated, streams: dict[int, list[int]]
) -> None:
    own = cuda.create_stream()  # which fasttime does not know
    cuda.enqueue(own, 3 * MS)
    _native.wait_for_devices()
    assert cuda.backlog_ns(own) == 0


def test_busy_streams_are_named(cuda: Simulated, streams: dict[int, list[int]]) -> None:
    here, far = cuda.create_stream(), cuda.create_stream(device=1)
    streams[0].append(here)
    streams[1].append(far)
    cuda.enqueue(here, MS)
    cuda.enqueue(far, MS)
    cuda.enqueue(0, MS)  # the current stream is left out
    assert _native.busy_streams() == [(0, here), (1, far)]


def test_streams_are_asked_for_once_per_device(cuda: Simulated) -> None:
    asked: list[int] = []

    def find(device: int) -> list[int]:
        asked.append(device)
        return [0]

    _native.set_stream_finder(find)
    try:
        _native.wait_for_devices()
        _native.busy_streams()
        _native.wait_for_devices()
    finally:
        _native.set_stream_finder(pooled_streams)
    assert asked == [0, 1]


def test_a_failed_wait_says_why(cuda: Simulated, streams: dict[int, list[int]]) -> None:
    cuda.fail("cudaDeviceSynchronize", 700)
    with pytest.raises(RuntimeError, match="waiting for the device failed: cudaDeviceSynchronize"):
        _native.wait_for_device(0)


def test_a_failed_wait_for_a_stream_says_why(cuda: Simulated) -> None:
    cuda.fail("cudaStreamSynchronize", 700)
    with pytest.raises(RuntimeError, match="failed: cudaStreamSynchronize"):
        _native.wait_for_stream()


def test_a_failed_question_ends_the_search(cuda: Simulated, streams: dict[int, list[int]]) -> None:
    streams[0] += [first := cuda.create_stream(), second := cuda.create_stream()]
    cuda.enqueue(first, MS)
    cuda.enqueue(second, MS)
    cuda.fail("cudaStreamQuery", 400, after=1)
    assert _native.busy_streams() == [(0, first)]
    assert "cudaStreamQuery" in _native.backend()["last_failure"]


def test_a_stream_finder_may_raise(cuda: Simulated) -> None:
    _native.set_stream_finder(lambda device: 1 // 0)  # type: ignore[arg-type,return-value]
    try:
        with pytest.raises(ZeroDivisionError):
            _native.wait_for_devices()
    finally:
        _native.set_stream_finder(pooled_streams)


def test_without_cuda_there_is_nothing_to_wait_for() -> None:
    assert not _native.is_bound()
    with pytest.raises(RuntimeError, match="torch has not started CUDA"):
        _native.wait_for_devices()


def test_the_capture_mode_is_exchanged(cuda: Simulated) -> None:
    before = _native.exchange_capture_mode(RELAXED)
    assert before == GLOBAL
    assert _native.exchange_capture_mode(before) == RELAXED


def test_the_clock_is_the_scopes_clock(cuda: Simulated) -> None:
    cuda.advance(1_500_000_000)
    assert _native.clock() == pytest.approx(cuda.now_ns * 1e-9)

# SPDX-License-Identifier: BSD-3-Clause
"""`measure` on a GPU, compared with kernels of known length, and with difficult callables."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from known_kernels import kernel, stream_time

import fasttime

pytestmark = pytest.mark.gpu

US = 1e-6
# The event overhead differs slightly between GPUs and kernels. The worst error seen was 0.21 us.
MOST_OFF = 0.25 * US
LENGTHS_NS = (2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 300_000, 1_000_000)


def kinds(found: fasttime.Measurement) -> set[str]:
    return {warning.kind for warning in found.warnings}


@pytest.mark.parametrize("length_ns", LENGTHS_NS)
def test_a_held_reading_is_the_stream_time(length_ns: int) -> None:
    fn = kernel(length_ns)
    truth = stream_time(fn)
    found = fasttime.measure(fn, hold=True, warmup=20, repeat=220)
    assert found.held
    assert found.is_calibrated
    assert abs(found.median - truth) <= MOST_OFF, (found.median, truth, found.event_overhead)
    # The negative control: with the event overhead, the error is larger than that.
    assert found.event_overhead is not None
    assert abs(found.median + found.event_overhead - truth) > MOST_OFF


@pytest.mark.parametrize("length_ns", [2_000, 100_000, 1_000_000])
def test_a_default_reading_is_the_stream_time(length_ns: int) -> None:
    fn = kernel(length_ns)
    truth = stream_time(fn)
    found = fasttime.measure(fn, budget=0.3)
    assert found.is_calibrated
    assert abs(found.median - truth) <= MOST_OFF, (found.median, truth, found.event_overhead)


@pytest.mark.parametrize("length_ns", [100_000, 1_000_000])
def test_a_busy_loop_reads_the_stream_time(length_ns: int) -> None:
    fn = kernel(length_ns)
    truth = stream_time(fn)
    found = fasttime.measure(fn, warmup=20, repeat=120)
    assert not found.held
    assert found.is_calibrated
    assert abs(found.median - truth) <= MOST_OFF, (found.median, truth, found.event_overhead)


@pytest.mark.parametrize(("length_ns", "is_busy"), [(800_000, False), (3_000_000, True)])
def test_a_waiting_device_is_not_calibrated(length_ns: int, is_busy: bool) -> None:
    work = kernel(length_ns)

    def fn() -> None:
        end = time.perf_counter() + 1e-3
        while time.perf_counter() < end:  # the host takes 1 ms before it queues its work
            pass
        work()

    found = fasttime.measure(fn, warmup=0, repeat=10)
    assert found.is_calibrated is is_busy
    assert ("raw" in kinds(found)) is not is_busy


def test_the_bottleneck_of_short_and_long_work() -> None:
    few = torch.zeros(16, device="cuda")
    short = fasttime.measure(lambda: few + 1, budget=0.3).bottleneck
    long = fasttime.measure(kernel(1_000_000), budget=0.3).bottleneck
    assert short is not None
    assert long is not None
    assert (short.bound, long.bound) == ("host-bound", "device-bound")


def test_wall_time_is_at_least_the_device_time() -> None:
    found = fasttime.measure(kernel(1_000_000), budget=0.5)
    assert found.wall_time is not None
    assert found.wall_time >= 0.999 * found.median


def waits(x: torch.Tensor) -> None:
    (x + 1).sum().item()


def allocates(x: torch.Tensor) -> None:
    torch.cuda.empty_cache()
    torch.empty(1 << 28, device="cuda")


def fills_the_queue(x: torch.Tensor) -> None:
    for _ in range(3_000):
        x.add_(1)


@pytest.mark.parametrize("fn", [waits, allocates, fills_the_queue])
def test_a_callable_that_cannot_be_held_warns(
    fn: Callable[[torch.Tensor], None],
) -> None:
    x = torch.zeros(16, device="cuda")
    found = fasttime.measure(fn, x, hold=True, warmup=1, repeat=4)
    assert not found.held
    assert "not_held" in kinds(found)
    assert (found.times > 0).all()


def test_a_short_operation_can_be_held(stream: torch.cuda.Stream) -> None:
    x = torch.zeros(16, device="cuda")
    found = fasttime.measure(lambda: x + 1, hold=True, warmup=1, repeat=50)
    assert found.held
    assert "not_held" not in kinds(found)


def test_the_default_stream_can_be_held() -> None:
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    assert fasttime.measure(kernel(5_000), hold=True, warmup=1, repeat=20).held


def test_an_exception_releases_the_stream() -> None:
    runs = iter(range(9))

    def fn() -> None:
        torch.zeros(4, device="cuda")
        if next(runs) == 7:
            raise OSError("in run 7")

    with pytest.raises(OSError, match=r"^in run 7$"):
        fasttime.measure(fn, hold=True, warmup=1, repeat=20)
    torch.cuda.synchronize()


def test_replays_of_a_graph_are_timed() -> None:
    x = torch.zeros(16, device="cuda")

    def chain() -> None:
        y = x
        for _ in range(100):
            y = y + 1

    calls = fasttime.measure(chain, hold=True, warmup=2, repeat=20)
    replays = fasttime.measure(chain, method="graph", hold=True, warmup=2, repeat=20)
    assert replays.method == "graph"
    assert replays.held
    assert 0 < replays.median < calls.median


def test_a_failed_capture_leaves_torch_usable() -> None:
    x = torch.zeros(16, device="cuda")
    with pytest.raises(RuntimeError, match="cannot be captured into a CUDA graph"):
        fasttime.measure(waits, x, method="graph")
    assert (x + 1).sum().item() == 16
    assert fasttime.measure(lambda: x + 1, method="graph", budget=0.2).median > 0


def test_a_cold_cache_makes_memory_reads_slower() -> None:
    x = torch.ones(1 << 22, device="cuda")  # 16 MiB fit into the L2 cache of an H100 or H200
    warm = fasttime.measure(x.sum, hold=True, warmup=5, repeat=60)
    cold = fasttime.measure(x.sum, hold=True, cache="cold", warmup=5, repeat=60)
    assert (warm.cache, cold.cache) == ("warm", "cold")
    assert cold.median > warm.median


def test_work_on_another_stream_warns() -> None:
    other = torch.cuda.Stream()
    long = kernel(2_000_000)

    def elsewhere() -> None:
        with torch.cuda.stream(other):
            long()

    found = kinds(fasttime.measure(elsewhere, hold=True, warmup=1, repeat=5))
    assert "no_device_work" in found

    def partly() -> None:
        kernel(20_000)()
        elsewhere()

    found = kinds(fasttime.measure(partly, warmup=1, repeat=5))
    assert "other_streams" in found
    assert "no_device_work" not in found
    assert not {"other_streams", "no_device_work"} & kinds(fasttime.measure(long, budget=0.2))


def test_a_callable_without_device_work_warns() -> None:
    torch.cuda.init()
    found = fasttime.measure(lambda: None, hold=True, warmup=1, repeat=20)
    assert "no_device_work" in kinds(found)


def test_a_hold_leaves_other_captures_alone(stream: torch.cuda.Stream) -> None:
    """A hold allocates its memory and holds a stream while another stream captures, relaxed."""
    capturing = torch.cuda.Stream()
    graph = torch.cuda.CUDAGraph()
    x = torch.zeros(16, device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(capturing):
        graph.capture_begin(capture_error_mode="relaxed")
        y = x + 1
        hold_stream = torch.cuda.Stream()
        with torch.cuda.stream(hold_stream):
            hold = fasttime._native.StreamHold(10.0)
            assert hold.release()
        graph.capture_end()
    graph.replay()
    torch.cuda.synchronize()
    assert y.sum().item() == 16

# SPDX-License-Identifier: BSD-3-Clause
"""What `measure` reads on a GPU, against kernels of known length, and what it survives."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from known_kernels import kernel, stream_time

import fasttime

pytestmark = pytest.mark.gpu

US = 1e-6
# What events read by themselves differs by a little from GPU to GPU and from kernel to kernel; the
# worst seen was 0.21 us.
MOST_OFF = 0.25 * US
LENGTHS_NS = (2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 300_000, 1_000_000)


def kinds(found: fasttime.Measurement) -> set[str]:
    return {warning.kind for warning in found.warnings}


@pytest.mark.parametrize("length_ns", LENGTHS_NS)
def test_the_reading_is_the_stream_time_to_a_quarter_of_a_microsecond(length_ns: int) -> None:
    fn = kernel(length_ns)
    truth = stream_time(fn)
    found = fasttime.measure(fn, hold=True, warmup=20, repeat=220)
    assert found.held
    assert found.is_calibrated
    assert abs(found.median - truth) <= MOST_OFF, (found.median, truth, found.event_overhead)
    # The negative control: what the events read themselves is further off than that.
    assert found.event_overhead is not None
    assert abs(found.median + found.event_overhead - truth) > MOST_OFF


@pytest.mark.parametrize("length_ns", [2_000, 100_000, 1_000_000])
def test_so_it_is_by_default(length_ns: int) -> None:
    fn = kernel(length_ns)
    truth = stream_time(fn)
    found = fasttime.measure(fn, budget=0.3)
    assert found.is_calibrated
    assert abs(found.median - truth) <= MOST_OFF, (found.median, truth, found.event_overhead)


@pytest.mark.parametrize("length_ns", [100_000, 1_000_000])
def test_so_it_is_in_a_loop_that_is_not_held_but_keeps_the_device_busy(length_ns: int) -> None:
    fn = kernel(length_ns)
    truth = stream_time(fn)
    found = fasttime.measure(fn, warmup=20, repeat=120)
    assert not found.held
    assert found.is_calibrated
    assert abs(found.median - truth) <= MOST_OFF, (found.median, truth, found.event_overhead)


@pytest.mark.parametrize(("length_ns", "is_busy"), [(800_000, False), (3_000_000, True)])
def test_a_device_that_waits_in_each_run_is_not_taken_for_a_busy_one(
    length_ns: int, is_busy: bool
) -> None:
    work = kernel(length_ns)

    def fn() -> None:
        end = time.perf_counter() + 1e-3
        while time.perf_counter() < end:  # the host takes a millisecond, and issues its work then
            pass
        work()

    found = fasttime.measure(fn, warmup=0, repeat=10)
    assert found.is_calibrated is is_busy
    assert ("raw" in kinds(found)) is not is_busy


def test_a_short_operation_is_host_bound_and_a_long_kernel_device_bound() -> None:
    few = torch.zeros(16, device="cuda")
    short = fasttime.measure(lambda: few + 1, budget=0.3).bottleneck
    long = fasttime.measure(kernel(1_000_000), budget=0.3).bottleneck
    assert short is not None
    assert long is not None
    assert (short.bound, long.bound) == ("host-bound", "device-bound")


def test_wall_time_of_a_device_bound_callable_is_its_device_time_and_no_less() -> None:
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
def test_a_callable_that_cannot_be_held_is_timed_without_and_says_so(
    fn: Callable[[torch.Tensor], None],
) -> None:
    x = torch.zeros(16, device="cuda")
    found = fasttime.measure(fn, x, hold=True, warmup=1, repeat=4)
    assert not found.held
    assert "not_held" in kinds(found)
    assert (found.times > 0).all()


def test_one_that_can_be_held_is(stream: torch.cuda.Stream) -> None:
    x = torch.zeros(16, device="cuda")
    found = fasttime.measure(lambda: x + 1, hold=True, warmup=1, repeat=50)
    assert found.held
    assert "not_held" not in kinds(found)


def test_the_default_stream_can_be_held() -> None:
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    assert fasttime.measure(kernel(5_000), hold=True, warmup=1, repeat=20).held


def test_what_the_callable_raises_lets_the_stream_go() -> None:
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


def test_a_callable_that_cannot_be_captured_says_so_and_leaves_torch_usable() -> None:
    x = torch.zeros(16, device="cuda")
    with pytest.raises(RuntimeError, match="cannot be captured into a CUDA graph"):
        fasttime.measure(waits, x, method="graph")
    assert (x + 1).sum().item() == 16
    assert fasttime.measure(lambda: x + 1, method="graph", budget=0.2).median > 0


def test_a_cold_cache_makes_a_reading_of_memory_slower() -> None:
    x = torch.ones(1 << 22, device="cuda")  # 16 MiB, which the L2 cache of an H100 holds
    warm = fasttime.measure(x.sum, hold=True, warmup=5, repeat=60)
    cold = fasttime.measure(x.sum, hold=True, cache="cold", warmup=5, repeat=60)
    assert (warm.cache, cold.cache) == ("warm", "cold")
    assert cold.median > warm.median


def test_work_on_another_stream_is_missed_and_said_to_be() -> None:
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


def test_no_work_at_all_is_said_to_be_none() -> None:
    torch.cuda.init()
    found = fasttime.measure(lambda: None, hold=True, warmup=1, repeat=20)
    assert "no_device_work" in kinds(found)


def test_the_state_of_captures_elsewhere_is_left_alone(stream: torch.cuda.Stream) -> None:
    """A hold's memory is made, and streams are held, while another stream captures, relaxed."""
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

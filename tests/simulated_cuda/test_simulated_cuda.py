# SPDX-License-Identifier: BSD-3-Clause
"""The simulation treats streams, events and errors as a real device does."""

from __future__ import annotations

import ctypes
import math
import threading

import pytest
import simulated_cuda as cuda
from simulated_cuda import Simulated, in_thread

MS = 1_000_000


# ---- time and streams


def test_the_clock_only_moves_on_request(sim: Simulated) -> None:
    start = sim.now_ns
    sim.recorded(sim.create_stream())
    assert sim.now_ns == start
    sim.advance(5)
    sim.pause(7)
    assert sim.now_ns == start + 12


def test_a_record_costs_host_time_first(sim: Simulated) -> None:
    stream, start = sim.create_stream(), sim.now_ns
    sim.set_host_cost(1_000)
    a, b = sim.recorded(stream), sim.recorded(stream)
    assert sim.now_ns == start + 2_000
    assert sim.elapsed_ms(a, b) == pytest.approx(0.001)


def test_an_event_gets_the_time_of_its_stream(sim: Simulated) -> None:
    stream = sim.create_stream()
    a = sim.recorded(stream)
    sim.enqueue(stream, 3 * MS)
    b = sim.recorded(stream)
    assert sim.elapsed(a, b)[0] == cuda.NOT_READY
    sim.advance(3 * MS - 1)
    assert sim.elapsed(a, b)[0] == cuda.NOT_READY
    sim.advance(1)
    assert sim.elapsed_ms(a, b) == 3.0


def test_an_idle_stream_starts_work_when_it_is_issued(sim: Simulated) -> None:
    stream = sim.create_stream()
    a = sim.recorded(stream)
    sim.advance(10 * MS)
    b = sim.recorded(stream)
    assert sim.elapsed_ms(a, b) == 10.0


def test_non_blocking_streams_run_side_by_side(sim: Simulated) -> None:
    busy, idle = sim.create_stream(), sim.create_stream()
    sim.enqueue(busy, MS)
    assert sim.query(sim.recorded(busy)) == cuda.NOT_READY
    assert sim.query(sim.recorded(idle)) == cuda.SUCCESS
    assert sim.query(sim.recorded(0)) == cuda.SUCCESS


def test_null_and_blocking_streams_wait_for_each_other(sim: Simulated) -> None:
    blocking = sim.create_stream(blocking=True)
    sim.enqueue(blocking, MS)
    on_null = sim.recorded(0)
    sim.enqueue(0, MS)
    on_blocking = sim.recorded(blocking)
    sim.advance(2 * MS)
    assert sim.elapsed_ms(on_null, on_blocking) == 1.0


def test_a_stream_waits_for_an_event_of_another_stream(sim: Simulated) -> None:
    first, second = sim.create_stream(), sim.create_stream()
    a = sim.recorded(second)
    sim.enqueue(first, 4 * MS)
    assert sim.wait_event(second, sim.recorded(first)) == cuda.SUCCESS
    b = sim.recorded(second)
    sim.advance(4 * MS)
    assert sim.elapsed_ms(a, b) == 4.0


def test_the_null_stream_is_on_the_current_device(sim: Simulated) -> None:
    on_second = sim.create_event(device=1)
    assert sim.record(on_second, 0) == cuda.INVALID_HANDLE
    with sim.on_device(1):
        sim.enqueue(0, MS)
        assert sim.record(on_second, 0) == cuda.SUCCESS
    assert sim.query(on_second) == cuda.NOT_READY
    assert sim.query(sim.recorded(0)) == cuda.SUCCESS


def test_handles_1_and_2_are_special(sim: Simulated) -> None:
    with sim.held(1):
        assert sim.backlog_ns(0) is None
    sim.advance(1)
    sim.set_device(1)
    sim.enqueue(2, MS)
    assert sim.backlog_ns(2) == MS
    assert in_thread(lambda: sim.backlog_ns(2)) == 0


def test_devices_are_counted_and_chosen_per_thread(sim: Simulated) -> None:
    sim.set_device(1)
    assert in_thread(sim.device) == 0
    assert sim.lib.cudaSetDevice(2) == cuda.INVALID_DEVICE
    sim.set_devices(3)
    assert sim.lib.cudaSetDevice(2) == cuda.SUCCESS


def test_an_event_can_take_device_time(sim: Simulated) -> None:
    stream = sim.create_stream()
    sim.set_event_time(MS // 2)
    a, b = sim.recorded(stream), sim.recorded(stream)
    sim.enqueue(stream, 2 * MS)
    c = sim.recorded(stream)
    sim.synchronize(c)
    assert (sim.elapsed_ms(a, b), sim.elapsed_ms(b, c)) == (0.5, 2.5)


# ---- latches and the launch queue


def test_work_behind_a_latch_waits_for_its_release(sim: Simulated) -> None:
    stream = sim.create_stream()
    before = sim.recorded(stream)
    sim.hold(stream)
    a = sim.recorded(stream)
    sim.enqueue(stream, 2 * MS)
    b = sim.recorded(stream)
    sim.advance(100 * MS)
    assert sim.query(before) == cuda.SUCCESS
    assert sim.query(a) == cuda.NOT_READY
    sim.release(stream)
    assert sim.elapsed_ms(before, a) == 100.0
    assert sim.elapsed(a, b)[0] == cuda.NOT_READY
    sim.advance(2 * MS)
    assert sim.elapsed_ms(a, b) == 2.0


def test_a_latch_leaves_other_streams_alone(sim: Simulated) -> None:
    stream, other = sim.create_stream(), sim.create_stream()
    with sim.held(stream):
        assert sim.query(sim.recorded(other)) == cuda.SUCCESS


def test_a_word_in_memory_holds_a_stream(sim: Simulated) -> None:
    stream, word = sim.create_stream(), ctypes.c_uint32(0)
    assert sim.lib.cuStreamWaitValue32_v2(stream, ctypes.addressof(word), 1, 0) == cuda.SUCCESS
    event = sim.recorded(stream)
    sim.advance(MS)
    assert sim.query(event) == cuda.NOT_READY
    word.value = 1
    assert sim.query(event) == cuda.SUCCESS


def test_synchronize_moves_the_clock_to_the_event(sim: Simulated) -> None:
    stream, start = sim.create_stream(), sim.now_ns
    sim.enqueue(stream, MS)
    assert sim.synchronize(sim.recorded(stream)) == cuda.SUCCESS
    assert sim.now_ns == start + MS


def test_synchronize_waits_for_another_thread(sim: Simulated) -> None:
    stream = sim.create_stream()
    sim.hold(stream)
    event = sim.recorded(stream)
    answers: list[int] = []
    waiter = threading.Thread(target=lambda: answers.append(sim.synchronize(event)))
    waiter.start()
    assert answers == []
    sim.release(stream)
    waiter.join(cuda.HANG_S)
    assert answers == [cuda.SUCCESS]


def test_a_full_launch_queue_stops_the_host(sim: Simulated) -> None:
    stream, start = sim.create_stream(), sim.now_ns
    sim.set_queue_limit(2)
    sim.enqueue(stream, 3 * MS)
    sim.recorded(stream)
    assert sim.now_ns == start
    sim.recorded(stream)
    assert sim.now_ns == start + 3 * MS


def test_a_full_queue_behind_a_latch_stops_the_host(
    sim: Simulated,
) -> None:
    stream = sim.create_stream()
    sim.set_queue_limit(2)
    sim.hold(stream)
    sim.recorded(stream), sim.recorded(stream)
    third: list[int] = []
    waiter = threading.Thread(target=lambda: third.append(sim.recorded(stream)))
    waiter.start()
    assert third == []
    sim.release(stream)
    waiter.join(cuda.HANG_S)
    assert len(third) == 1


# ---- reading events


def test_not_ready_leaves_no_last_error(sim: Simulated) -> None:
    stream = sim.create_stream()
    a = sim.recorded(stream)
    with sim.held(stream):
        b = sim.recorded(stream)
        assert sim.elapsed(a, b)[0] == cuda.NOT_READY
        assert sim.elapsed(b, b)[0] == cuda.NOT_READY
        assert sim.query(b) == cuda.NOT_READY
        assert sim.peek_error() == cuda.SUCCESS
    assert sim.elapsed(b, b) == (cuda.SUCCESS, 0.0)


def test_an_event_never_recorded_has_no_time(
    sim: Simulated,
) -> None:
    stream = sim.create_stream()
    with sim.held(stream):
        code, ms = sim.elapsed(sim.recorded(stream), sim.create_event())
    assert code == cuda.INVALID_HANDLE
    assert math.isnan(ms)
    assert sim.last_error() == cuda.INVALID_HANDLE


def test_an_event_without_timing_has_no_time(sim: Simulated) -> None:
    event = sim.create_event(timing=False)
    sim.record(event)
    assert sim.elapsed(event, event)[0] == cuda.INVALID_HANDLE


def test_two_devices_have_no_elapsed_time(sim: Simulated) -> None:
    here = sim.recorded(0)
    with sim.on_device(1):
        there = sim.recorded(0)
    assert sim.elapsed(here, there)[0] == cuda.INVALID_HANDLE


def test_an_event_never_recorded_is_done(sim: Simulated) -> None:
    assert sim.query(sim.create_event()) == cuda.SUCCESS
    assert sim.synchronize(sim.create_event()) == cuda.SUCCESS


def test_an_event_belongs_to_its_device(sim: Simulated) -> None:
    event = sim.create_event(device=0)
    assert sim.record(event, sim.create_stream(device=1)) == cuda.INVALID_HANDLE
    assert sim.last_error() == cuda.INVALID_HANDLE


def test_elapsed_time_is_a_float_in_ms(sim: Simulated) -> None:
    stream = sim.create_stream()
    a = sim.recorded(stream)
    sim.advance(1_000_000 * MS + 20_000)  # 1000 s, and less than half a step of the float there
    assert sim.elapsed_ms(a, sim.recorded(stream)) == 1_000_000.0


def test_recording_an_event_in_flight_is_counted(
    sim: Simulated,
) -> None:
    stream = sim.create_stream()
    base, event = sim.recorded(stream), sim.create_event()
    for _ in range(2):
        sim.enqueue(stream, MS)
        sim.record(event, stream)
    assert sim.rerecorded_in_flight == 1
    sim.advance(2 * MS)
    sim.record(event, stream)
    assert sim.rerecorded_in_flight == 1
    assert sim.elapsed_ms(base, event) == 2.0


# ---- errors and faults


def test_a_failure_stays_in_the_last_error(sim: Simulated) -> None:
    sim.record(sim.create_event(device=1), 0)
    assert in_thread(sim.peek_error) == cuda.SUCCESS
    assert sim.peek_error() == cuda.INVALID_HANDLE
    assert sim.query(sim.recorded(0)) == cuda.SUCCESS
    assert sim.last_error() == cuda.INVALID_HANDLE
    assert sim.last_error() == cuda.SUCCESS


def test_a_fault_hits_the_requested_calls(sim: Simulated) -> None:
    sim.fail("cudaEventRecord", 719, after=1, times=2)
    event = sim.create_event()
    assert [sim.record(event) for _ in range(4)] == [0, 719, 719, 0]
    assert sim.last_error() == 719
    assert sim.calls("cudaEventRecord") == 4


def test_a_fault_needs_an_existing_function(sim: Simulated) -> None:
    with pytest.raises(ValueError, match="cudaEventRecrod"):
        sim.fail("cudaEventRecrod", 1)


def test_every_call_returns_a_sticky_error(sim: Simulated) -> None:
    event = sim.recorded(0)
    sim.set_sticky(719)
    assert (
        sim.query(event)
        == sim.elapsed(event, event)[0]
        == sim.last_error()
        == sim.last_error()
        == 719
    )
    sim.set_sticky(0)
    sim.last_error()
    assert sim.elapsed_ms(event, event) == 0.0


def test_errors_have_names(sim: Simulated) -> None:
    assert sim.lib.cudaGetErrorName(906) == b"cudaErrorStreamCaptureImplicit"


def test_live_and_destroyed_events_are_counted(sim: Simulated) -> None:
    kept, dropped = sim.create_event(), sim.create_event()
    sim.destroy_event(dropped)
    assert sim.events_alive == 1
    assert sim.record(dropped) == cuda.INVALID_HANDLE
    assert sim.used_after_destroy == 1
    assert sim.record(kept) == cuda.SUCCESS


def test_handles_survive_a_reset_uncounted(sim: Simulated) -> None:
    stream, event = sim.create_stream(), sim.create_event()
    sim.hold(stream)
    sim.record(event, stream)
    sim.reset()
    assert (sim.events_alive, sim.calls("cudaEventRecord")) == (0, 0)
    assert sim.elapsed(event, event)[0] == cuda.INVALID_HANDLE
    assert sim.record(event, stream) == cuda.SUCCESS
    assert sim.elapsed_ms(event, event) == 0.0
    sim.destroy_event(event)
    assert sim.events_alive == 0

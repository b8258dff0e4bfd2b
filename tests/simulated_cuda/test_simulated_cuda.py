# SPDX-License-Identifier: BSD-3-Clause
"""The simulation keeps the facts of streams, events and errors, as seen on a real device."""

from __future__ import annotations

import ctypes
import math
import threading

import pytest
import simulated_cuda as cuda
from simulated_cuda import Simulated, in_thread

MS = 1_000_000


# ---- time and streams


def test_the_clock_moves_only_when_told(sim: Simulated) -> None:
    start = sim.now_ns
    sim.recorded(sim.create_stream())
    assert sim.now_ns == start
    sim.advance(5)
    sim.pause(7)
    assert sim.now_ns == start + 12


def test_host_cost_is_paid_by_each_record_before_it_reaches_the_stream(sim: Simulated) -> None:
    stream, start = sim.create_stream(), sim.now_ns
    sim.set_host_cost(1_000)
    a, b = sim.recorded(stream), sim.recorded(stream)
    assert sim.now_ns == start + 2_000
    assert sim.elapsed_ms(a, b) == pytest.approx(0.001)


def test_events_take_the_time_at_which_their_stream_reaches_them(sim: Simulated) -> None:
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


def test_the_null_stream_and_blocking_streams_wait_for_each_other(sim: Simulated) -> None:
    blocking = sim.create_stream(blocking=True)
    sim.enqueue(blocking, MS)
    on_null = sim.recorded(0)
    sim.enqueue(0, MS)
    on_blocking = sim.recorded(blocking)
    sim.advance(2 * MS)
    assert sim.elapsed_ms(on_null, on_blocking) == 1.0


def test_a_stream_waits_for_an_event_of_another(sim: Simulated) -> None:
    first, second = sim.create_stream(), sim.create_stream()
    a = sim.recorded(second)
    sim.enqueue(first, 4 * MS)
    assert sim.wait_event(second, sim.recorded(first)) == cuda.SUCCESS
    b = sim.recorded(second)
    sim.advance(4 * MS)
    assert sim.elapsed_ms(a, b) == 4.0


def test_the_null_stream_is_the_current_device_s(sim: Simulated) -> None:
    on_second = sim.create_event(device=1)
    assert sim.record(on_second, 0) == cuda.INVALID_HANDLE
    with sim.on_device(1):
        sim.enqueue(0, MS)
        assert sim.record(on_second, 0) == cuda.SUCCESS
    assert sim.query(on_second) == cuda.NOT_READY
    assert sim.query(sim.recorded(0)) == cuda.SUCCESS


def test_handle_one_is_the_null_stream_and_handle_two_the_thread_s_own(sim: Simulated) -> None:
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


def test_an_event_takes_the_device_as_long_as_it_is_told_to(sim: Simulated) -> None:
    stream = sim.create_stream()
    sim.set_event_time(MS // 2)
    a, b = sim.recorded(stream), sim.recorded(stream)
    sim.enqueue(stream, 2 * MS)
    c = sim.recorded(stream)
    sim.synchronize(c)
    assert (sim.elapsed_ms(a, b), sim.elapsed_ms(b, c)) == (0.5, 2.5)


# ---- latches and the launch queue


def test_nothing_behind_a_latch_completes_until_it_is_released(sim: Simulated) -> None:
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


def test_synchronize_really_waits_for_another_thread_to_release(sim: Simulated) -> None:
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


def test_a_full_launch_queue_stops_the_host_until_the_device_makes_room(sim: Simulated) -> None:
    stream, start = sim.create_stream(), sim.now_ns
    sim.set_queue_limit(2)
    sim.enqueue(stream, 3 * MS)
    sim.recorded(stream)
    assert sim.now_ns == start
    sim.recorded(stream)
    assert sim.now_ns == start + 3 * MS


def test_a_full_launch_queue_behind_a_latch_stops_the_host_until_the_release(
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


def test_elapsed_time_not_ready_answers_600_and_leaves_the_last_error_clean(sim: Simulated) -> None:
    stream = sim.create_stream()
    a = sim.recorded(stream)
    with sim.held(stream):
        b = sim.recorded(stream)
        assert sim.elapsed(a, b)[0] == cuda.NOT_READY
        assert sim.elapsed(b, b)[0] == cuda.NOT_READY
        assert sim.query(b) == cuda.NOT_READY
        assert sim.peek_error() == cuda.SUCCESS
    assert sim.elapsed(b, b) == (cuda.SUCCESS, 0.0)


def test_elapsed_time_of_a_never_recorded_event_answers_400_even_beside_one_in_flight(
    sim: Simulated,
) -> None:
    stream = sim.create_stream()
    with sim.held(stream):
        code, ms = sim.elapsed(sim.recorded(stream), sim.create_event())
    assert code == cuda.INVALID_HANDLE
    assert math.isnan(ms)
    assert sim.last_error() == cuda.INVALID_HANDLE


def test_elapsed_time_of_an_event_without_timing_answers_400(sim: Simulated) -> None:
    event = sim.create_event(timing=False)
    sim.record(event)
    assert sim.elapsed(event, event)[0] == cuda.INVALID_HANDLE


def test_elapsed_time_between_two_devices_answers_400(sim: Simulated) -> None:
    here = sim.recorded(0)
    with sim.on_device(1):
        there = sim.recorded(0)
    assert sim.elapsed(here, there)[0] == cuda.INVALID_HANDLE


def test_query_of_a_never_recorded_event_says_success(sim: Simulated) -> None:
    assert sim.query(sim.create_event()) == cuda.SUCCESS
    assert sim.synchronize(sim.create_event()) == cuda.SUCCESS


def test_an_event_belongs_to_the_device_it_was_made_on(sim: Simulated) -> None:
    event = sim.create_event(device=0)
    assert sim.record(event, sim.create_stream(device=1)) == cuda.INVALID_HANDLE
    assert sim.last_error() == cuda.INVALID_HANDLE


def test_elapsed_time_is_a_float_in_ms(sim: Simulated) -> None:
    stream = sim.create_stream()
    a = sim.recorded(stream)
    sim.advance(1_000_000 * MS + 20_000)  # 1000 s, and less than half a step of the float there
    assert sim.elapsed_ms(a, sim.recorded(stream)) == 1_000_000.0


def test_a_record_of_an_event_in_flight_is_counted_and_the_event_takes_the_later_time(
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


def test_a_failure_stays_in_the_thread_s_last_error_until_read(sim: Simulated) -> None:
    sim.record(sim.create_event(device=1), 0)
    assert in_thread(sim.peek_error) == cuda.SUCCESS
    assert sim.peek_error() == cuda.INVALID_HANDLE
    assert sim.query(sim.recorded(0)) == cuda.SUCCESS
    assert sim.last_error() == cuda.INVALID_HANDLE
    assert sim.last_error() == cuda.SUCCESS


def test_a_fault_strikes_the_call_it_was_ordered_for(sim: Simulated) -> None:
    sim.fail("cudaEventRecord", 719, after=1, times=2)
    event = sim.create_event()
    assert [sim.record(event) for _ in range(4)] == [0, 719, 719, 0]
    assert sim.last_error() == 719
    assert sim.calls("cudaEventRecord") == 4


def test_a_fault_on_a_function_that_does_not_exist_is_refused(sim: Simulated) -> None:
    with pytest.raises(ValueError, match="cudaEventRecrod"):
        sim.fail("cudaEventRecrod", 1)


def test_a_sticky_error_answers_every_call_until_it_is_lifted(sim: Simulated) -> None:
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


def test_live_events_and_the_use_of_dead_ones_are_counted(sim: Simulated) -> None:
    kept, dropped = sim.create_event(), sim.create_event()
    sim.destroy_event(dropped)
    assert sim.events_alive == 1
    assert sim.record(dropped) == cuda.INVALID_HANDLE
    assert sim.used_after_destroy == 1
    assert sim.record(kept) == cuda.SUCCESS


def test_handles_survive_a_reset_but_count_no_longer(sim: Simulated) -> None:
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

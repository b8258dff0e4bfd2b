# SPDX-License-Identifier: BSD-3-Clause
"""The simulation treats stream captures as a real device does."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest
import simulated_cuda as cuda
from simulated_cuda import GLOBAL, RELAXED, THREAD_LOCAL, Simulated, in_thread

MS = 1_000_000

# Name and call; each call is unsafe during a capture that concerns the thread.
UNSAFE: dict[str, Callable[[Simulated, int], int]] = {
    "cudaEventQuery": lambda sim, event: sim.query(event),
    "cudaEventSynchronize": lambda sim, event: sim.synchronize(event),
    "cudaStreamQuery": lambda sim, event: int(sim.lib.cudaStreamQuery(sim.create_stream())),
    "cudaStreamSynchronize": lambda sim, event: int(
        sim.lib.cudaStreamSynchronize(sim.create_stream())
    ),
    "cudaHostAlloc": lambda sim, event: int(
        sim.lib.cudaHostAlloc(ctypes.byref(ctypes.c_void_p()), 64, 0)
    ),
}
SAFE: dict[str, Callable[[Simulated, int], int]] = {
    "cudaEventElapsedTime": lambda sim, event: sim.elapsed(event, event)[0],
    "cudaEventCreateWithFlags": lambda sim, event: 0 * sim.create_event(),
    "cudaEventDestroy": lambda sim, event: int(sim.lib.cudaEventDestroy(event)),
    "cudaEventRecord on another stream": lambda sim, event: sim.record(event, sim.create_stream()),
    "cudaStreamIsCapturing": lambda sim, event: sim.is_capturing(sim.create_stream())[0],
}


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize(
    ("mode", "other_thread", "is_hostile"),
    [
        (GLOBAL, False, True),
        (GLOBAL, True, True),
        (THREAD_LOCAL, False, True),
        (THREAD_LOCAL, True, False),
        (RELAXED, False, False),
        (RELAXED, True, False),
    ],
)
def test_an_unsafe_call_destroys_a_capture(
    sim: Simulated, name: str, mode: int, other_thread: bool, is_hostile: bool
) -> None:
    stream, event = sim.create_stream(), sim.recorded(0)
    sim.begin_capture(stream, mode)

    def unsafe() -> tuple[int, int]:
        return UNSAFE[name](sim, event), sim.last_error()

    expected = cuda.CAPTURE_UNSUPPORTED if is_hostile else cuda.SUCCESS
    assert (in_thread(unsafe) if other_thread else unsafe()) == (expected, expected)
    assert sim.capture_alive(stream) is not is_hostile
    assert sim.end_capture(stream)[0] == (cuda.CAPTURE_INVALIDATED if is_hostile else cuda.SUCCESS)
    assert UNSAFE[name](sim, event) == cuda.SUCCESS


@pytest.mark.parametrize("name", UNSAFE)
def test_the_relaxed_mode_makes_a_call_harmless(sim: Simulated, name: str) -> None:
    stream, event = sim.create_stream(), sim.recorded(0)
    sim.begin_capture(stream, GLOBAL)
    with sim.capture_mode(RELAXED):
        assert UNSAFE[name](sim, event) == cuda.SUCCESS
    assert sim.capture_alive(stream)


@pytest.mark.parametrize("name", SAFE)
@pytest.mark.parametrize("mode", [GLOBAL, THREAD_LOCAL, RELAXED])
@pytest.mark.parametrize("other_thread", [False, True])
def test_a_safe_call_is_harmless_without_a_guard(
    sim: Simulated, name: str, mode: int, other_thread: bool
) -> None:
    stream, event = sim.create_stream(), sim.recorded(0)
    sim.begin_capture(stream, mode)

    def safe() -> int:
        return SAFE[name](sim, event)

    assert (in_thread(safe) if other_thread else safe()) == cuda.SUCCESS
    assert sim.capture_alive(stream)


@pytest.mark.parametrize("mode", [GLOBAL, THREAD_LOCAL, RELAXED])
@pytest.mark.parametrize("other_thread", [False, True])
def test_a_record_on_null_destroys_a_blocking_capture(
    sim: Simulated, mode: int, other_thread: bool
) -> None:
    stream, event = sim.create_stream(blocking=True), sim.create_event()
    sim.begin_capture(stream, mode)

    def record() -> tuple[int, int]:
        return sim.record(event, 0), sim.last_error()

    assert (in_thread(record) if other_thread else record()) == (cuda.CAPTURE_IMPLICIT,) * 2
    assert not sim.capture_alive(stream)
    sim.end_capture(stream)
    assert sim.record(event, 0) == cuda.SUCCESS


def test_asking_the_null_stream_destroys_nothing(
    sim: Simulated,
) -> None:
    stream = sim.create_stream(blocking=True)
    sim.begin_capture(stream, RELAXED)
    assert sim.is_capturing(0, driver=True)[0] == cuda.CAPTURE_IMPLICIT
    assert sim.peek_error() == cuda.SUCCESS
    assert sim.is_capturing(0)[0] == cuda.CAPTURE_IMPLICIT
    assert sim.last_error() == cuda.CAPTURE_IMPLICIT
    assert sim.capture_alive(stream)


def test_other_captures_leave_the_null_stream_alone(
    sim: Simulated,
) -> None:
    sim.begin_capture(sim.create_stream(), RELAXED)
    sim.begin_capture(sim.create_stream(device=1, blocking=True), RELAXED)
    assert sim.is_capturing(0) == (cuda.SUCCESS, 0)
    assert sim.record(sim.create_event(), 0) == cuda.SUCCESS


def test_the_driver_needs_a_context_for_null(sim: Simulated) -> None:
    def ask() -> list[tuple[int, int]]:
        sim.device(), sim.last_error()  # these calls make no context
        before = sim.is_capturing(0, driver=True)
        sim.set_device(0)
        return [before, sim.is_capturing(0, driver=True)]

    assert in_thread(ask) == [(cuda.SUCCESS, 0)] * 2
    sim.set_driver_needs_context(True)
    assert in_thread(ask) == [(cuda.INVALID_CONTEXT, -1), (cuda.SUCCESS, 0)]


def test_a_plain_record_in_a_capture_has_no_time(sim: Simulated) -> None:
    stream, before = sim.create_stream(), sim.recorded(0)
    event = sim.create_event()
    sim.begin_capture(stream, RELAXED)
    assert sim.capture_nodes(stream) == 0
    assert sim.record(event, stream) == cuda.SUCCESS
    assert sim.capture_nodes(stream) == 1
    assert sim.elapsed(before, event)[0] == cuda.CAPTURED_EVENT
    assert sim.capture_alive(stream)
    assert sim.end_capture(stream)[0] == cuda.SUCCESS
    assert sim.elapsed(before, event)[0] == cuda.INVALID_VALUE
    assert sim.query(event) == cuda.INVALID_VALUE


@pytest.mark.parametrize("ask", [Simulated.query, Simulated.synchronize])
def test_querying_a_captured_event_destroys_its_capture(
    sim: Simulated, ask: Callable[[Simulated, int], int]
) -> None:
    stream, event = sim.create_stream(), sim.create_event()
    sim.begin_capture(stream, RELAXED)
    sim.record(event, stream)
    with sim.capture_mode(RELAXED):
        assert ask(sim, event) == cuda.CAPTURED_EVENT
    assert not sim.capture_alive(stream)


def test_a_new_record_gives_a_captured_event_a_time(sim: Simulated) -> None:
    stream, event = sim.create_stream(), sim.create_event()
    sim.begin_capture(stream, RELAXED)
    sim.record(event, stream)
    assert sim.record(event, sim.create_stream()) == cuda.SUCCESS
    assert sim.elapsed_ms(event, event) == 0.0


def test_each_replay_stamps_an_external_record(sim: Simulated) -> None:
    stream, a, b = sim.create_stream(), sim.create_event(), sim.create_event()
    sim.begin_capture(stream)
    assert sim.record(a, stream, external=True) == cuda.SUCCESS
    sim.enqueue(stream, 5 * MS)
    assert sim.record(b, stream, external=True) == cuda.SUCCESS
    graph = sim.instantiate(sim.end_capture(stream)[1])
    assert sim.elapsed(a, b)[0] == cuda.INVALID_HANDLE
    for _ in range(2):
        sim.launch_graph(graph, stream)
        assert sim.elapsed(a, b)[0] == cuda.NOT_READY
        sim.advance(5 * MS)
        assert sim.elapsed_ms(a, b) == 5.0


def test_an_external_record_needs_a_capture(sim: Simulated) -> None:
    assert sim.record(sim.create_event(), sim.create_stream(), external=True) == cuda.ILLEGAL_STATE


def test_a_device_synchronize_destroys_any_capture(sim: Simulated) -> None:
    stream = sim.create_stream()
    sim.begin_capture(stream, RELAXED)
    with sim.capture_mode(RELAXED):
        assert sim.lib.cudaDeviceSynchronize() == cuda.CAPTURE_UNSUPPORTED
    assert sim.is_capturing(stream) == (cuda.SUCCESS, 2)


def test_a_destroyed_capture_must_be_ended(sim: Simulated) -> None:
    stream, event = sim.create_stream(), sim.recorded(0)
    sim.begin_capture(stream, GLOBAL)
    assert [sim.query(event), sim.query(event)] == [cuda.CAPTURE_UNSUPPORTED] * 2
    assert sim.record(event, stream) == cuda.CAPTURE_INVALIDATED
    assert sim.end_capture(stream) == (cuda.CAPTURE_INVALIDATED, 0)
    assert sim.query(event) == cuda.SUCCESS


def test_only_a_relaxed_capture_ends_on_any_thread(sim: Simulated) -> None:
    stream = sim.create_stream()
    sim.begin_capture(stream, GLOBAL)
    assert in_thread(lambda: sim.end_capture(stream)[0]) == cuda.CAPTURE_WRONG_THREAD
    assert sim.is_capturing(stream) == (cuda.SUCCESS, 0)
    sim.begin_capture(stream, RELAXED)
    assert in_thread(lambda: sim.end_capture(stream)[0]) == cuda.SUCCESS


def test_waiting_for_a_captured_event_joins_the_capture(sim: Simulated) -> None:
    stream, side, event = sim.create_stream(), sim.create_stream(), sim.create_event()
    sim.begin_capture(stream)
    sim.record(event, stream)
    assert sim.wait_event(side, event) == cuda.SUCCESS
    assert sim.is_capturing(side) == (cuda.SUCCESS, 1)
    assert sim.end_capture(stream)[0] == cuda.SUCCESS
    assert sim.is_capturing(side) == (cuda.SUCCESS, 0)


def test_a_capture_cannot_wait_for_work_outside_it(sim: Simulated) -> None:
    stream = sim.create_stream()
    sim.begin_capture(stream)
    assert (
        sim.wait_event(stream, sim.create_event()) == cuda.SUCCESS
    )  # never recorded: nothing to wait for
    assert sim.wait_event(stream, sim.recorded(0)) == cuda.CAPTURE_ISOLATION
    assert not sim.capture_alive(stream)

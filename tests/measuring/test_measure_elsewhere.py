# SPDX-License-Identifier: BSD-3-Clause
"""Work on other streams and other devices: waited for, and told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from simulated_cuda import Simulated
from simulated_machine import MS, US, SimulatedMachine

import fasttime
from fasttime.measuring.elsewhere import Elsewhere, judge_elsewhere, judge_work, typical


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in measurement.warnings]


@pytest.fixture
def second(cuda: Simulated) -> int:
    """A stream on device 1."""
    return cuda.create_stream(device=1)


@pytest.fixture
def split(cuda: Simulated, simulated: SimulatedMachine, second: int) -> Callable[[], None]:
    """A call that takes 0.1 ms on device 0, and 0.4 ms on device 1."""

    def fn() -> None:
        simulated.work(10 * US, MS // 10)
        cuda.enqueue(second, 4 * MS // 10)

    return fn


# --- other devices ---


def test_sync_waits_for_every_device(split: Callable[[], None]) -> None:
    found = fasttime.measure(split, method="sync", warmup=1, repeat=12)
    assert found.median == pytest.approx(0.41e-3)
    assert "other_devices" not in kinds(found)


@pytest.mark.parametrize("method", ["naive", "sync", "event"])
def test_wall_time_covers_every_device(split: Callable[[], None], method: str) -> None:
    found = fasttime.measure(split, method=method, budget=0.02)
    assert found.wall_time == pytest.approx(0.4e-3, rel=0.05)


@pytest.mark.parametrize("hold", [True, False])
def test_events_warn_of_another_device(split: Callable[[], None], hold: bool) -> None:
    found = fasttime.measure(split, warmup=1, repeat=12, hold=hold)
    assert found.median == pytest.approx(0.1e-3)
    [warning] = [warning for warning in found.warnings if warning.kind == "other_devices"]
    assert warning.message.startswith("cuda:1 kept working for ")  # torch does not know the stream
    assert "torch.cuda.device(1)" in warning.message


def test_naive_sees_the_work_of_another_device(split: Callable[[], None]) -> None:
    found = fasttime.measure(split, method="naive", warmup=1, repeat=12)
    assert found.warnings[0].kind == "queued_only"
    assert "Use method='sync'" in found.warnings[0].message


def test_work_on_another_device_alone_names_it(simulated: SimulatedMachine, second: int) -> None:
    found = fasttime.measure(simulated.work, 10 * US, MS, second, budget=0.1)
    [warning] = found.warnings
    assert warning.kind == "no_device_work"
    assert "make that device current (torch.cuda.device(1))" in warning.message


def test_only_sync_is_right_on_two_devices(split: Callable[[], None]) -> None:
    findings = fasttime.compare_methods(split).findings
    readings = {method: finding.reading for method, finding in findings.items()}
    assert readings == {"naive": "wrong", "sync": "right", "event": "wrong"}


def test_a_candidate_on_another_device_is_named(
    split: Callable[[], None], simulated: SimulatedMachine
) -> None:
    here = lambda: simulated.work(10 * US, MS // 2)  # noqa: E731
    found = fasttime.compare({"here": here, "split": split}, rounds=6)
    assert "other_devices" in kinds(found.measurements["split"])
    assert "other_devices" not in kinds(found.measurements["here"])


# --- short work beside ---


def forking(cuda: Simulated, simulated: SimulatedMachine, side_ns: int) -> Callable[[], None]:
    """Return a call that takes 10 us, and forks work to another stream without joining it."""
    side = cuda.create_stream()
    simulated.torch_streams.append((0, side))

    def fn() -> None:
        simulated.work(10 * US, 10 * US)
        event = cuda.recorded(0)
        cuda.wait_event(side, event)
        cuda.destroy_event(event)
        cuda.enqueue(side, side_ns)

    return fn


def test_short_work_beside_a_held_run_is_told(cuda: Simulated, simulated: SimulatedMachine) -> None:
    found = fasttime.measure(forking(cuda, simulated, 142 * US), hold=True, warmup=1, repeat=12)
    assert found.median == pytest.approx(10e-6)
    [message] = [one.message for one in found.warnings if one.kind == "other_streams"]
    [(_, side)] = simulated.torch_streams
    assert message.startswith(f"Stream {side:#x} of cuda:0 kept working for ")


@pytest.mark.parametrize("repeat", [1, 2, 5])
def test_short_work_beside_few_runs_is_told(
    cuda: Simulated, simulated: SimulatedMachine, repeat: int
) -> None:
    fn = forking(cuda, simulated, 60 * US)
    assert "other_streams" in kinds(fasttime.measure(fn, warmup=0, repeat=repeat))


def test_a_candidate_that_forks_is_told(cuda: Simulated, simulated: SimulatedMachine) -> None:
    whole = lambda: simulated.work(10 * US, 100 * US)  # noqa: E731
    found = fasttime.compare({"whole": whole, "forks": forking(cuda, simulated, 90 * US)}, rounds=8)
    assert found.measurements["forks"].held
    assert "other_streams" in kinds(found.measurements["forks"])
    assert "other_streams" not in kinds(found.measurements["whole"])


def test_joined_work_is_not_told(cuda: Simulated, simulated: SimulatedMachine) -> None:
    fork, side = forking(cuda, simulated, 142 * US), simulated.torch_streams

    def fn() -> None:
        fork()
        event = cuda.recorded(side[0][1])
        cuda.wait_event(0, event)
        cuda.destroy_event(event)

    found = fasttime.measure(fn, hold=True, warmup=1, repeat=12)
    assert found.median == pytest.approx(152e-6)
    assert "other_streams" not in kinds(found)


# --- the judgement ---


@pytest.mark.parametrize(
    ("readings", "streams", "busy", "warned"),
    [
        (1, 100e-6, None, False),  # the host may just be late
        (1, 100e-6, [], False),
        (1, 100e-6, [(0, 16)], True),  # a stream had unfinished work
        (1, 19e-6, [(0, 16)], False),
        (5, 49e-6, None, False),
        (5, 51e-6, None, True),  # not late five times
    ],
)
def test_how_long_matters_depends_on_the_evidence(
    readings: int, streams: float, busy: list[tuple[int, int]] | None, warned: bool
) -> None:
    found = [Elsewhere(streams, busy=None if busy is None else tuple(busy))] * readings
    assert bool(judge_elsewhere(found, 10e-6, 1)) is warned


def test_the_wait_for_idle_devices_is_taken_off(simulated: SimulatedMachine) -> None:
    def slowly(device: int) -> None:
        simulated.cuda.advance(80 * US)

    simulated.monkeypatch.setattr("fasttime.measuring.machine.synchronize_device", slowly)
    readings = [Elsewhere(81e-6, {1: 82e-6})] * 5
    assert judge_elsewhere(readings, 10e-6, 1) == []
    assert judge_work(0.0, 1e-6, readings) is not None


def test_several_devices_are_named_together() -> None:
    [warning] = judge_elsewhere([Elsewhere(0.0, {1: 1e-3, 3: 2e-3})], 10e-6, 1)
    assert warning.message.startswith("cuda:1 and cuda:3 kept working for 2.000 ms after")


def test_busy_streams_are_named_in_warnings() -> None:
    busy = ((0, 0x10), (1, 0x20), (0, 0), (1, 0x30))
    found = [Elsewhere(1e-3, {1: 2e-3}, busy)]
    streams, devices = judge_elsewhere(found, 10e-6, 1)
    here = "Stream 0x10 of cuda:0 and the default stream of cuda:0 kept working for 1.000 ms"
    there = "Stream 0x20 of cuda:1 and stream 0x30 of cuda:1 kept working for 2.000 ms"
    assert streams.message.startswith(f"{here} after the timed stream was done, and")
    assert devices.message.startswith(f"{there} after the timed stream was done, and")
    no_work = judge_work(0.0, 1e-6, found)
    assert no_work is not None
    assert f". {there}, so fn puts its work there" in no_work.message
    [alone] = judge_elsewhere([Elsewhere(1e-3, busy=((0, 0),))], 10e-6, 1)
    assert alone.message.startswith("The default stream of cuda:0 kept working for")
    no_work = judge_work(0.0, 1e-6, [Elsewhere(1e-3, busy=busy[:1])])
    assert no_work is not None
    assert ". Stream 0x10 of cuda:0 kept working for 1.000 ms, so fn puts its" in no_work.message


def test_typical_readings_count_their_parts() -> None:
    parts = [Elsewhere(1.0, {1: 4.0}, ((0, 7),), 3), Elsewhere(3.0, {}, None, 2)]
    assert typical(parts) == Elsewhere(2.0, {1: 2.0}, ((0, 7),), 5)
    assert parts[0].total == 5.0


def test_streams_that_most_readings_found_are_busy() -> None:
    a, b = (0, 7), (0, 8)
    found = [Elsewhere(busy=busy) for busy in ((b,), (a,), (), (a, b), (a,))]
    assert typical(found).busy == (a, b)
    assert typical([*found, *[Elsewhere(busy=())] * 4]).busy == ()
    assert typical([Elsewhere()]).busy is None

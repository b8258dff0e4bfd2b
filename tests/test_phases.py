# SPDX-License-Identifier: BSD-3-Clause
"""Phases: their times, their events, and their place in the tree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from leftovers import pool_is_whole
from simulated_cuda import Simulated
from site_counts import paths, statuses

from fasttime import Recorder

MS = 1_000_000


# --- times ---


def test_phases_tile_the_block(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("data")
        cuda.enqueue(0, 1 * MS)
        cuda.advance(MS // 2)
        phase("forward")
        cuda.enqueue(0, 2 * MS)
        cuda.advance(MS)
        phase("backward")
        cuda.enqueue(0, 3 * MS)
    report = recorder.report(wait=True)
    times = {site.path: site.device.mean for site in report.walk() if site.device}
    assert times == pytest.approx(
        {"step": 6e-3, "step/data": 1e-3, "step/forward": 2e-3, "step/backward": 3e-3}
    )
    hosts = {site.path: site.host.mean for site in report.walk()}
    assert hosts == pytest.approx(
        {"step": 1.5e-3, "step/data": 0.5e-3, "step/forward": 1e-3, "step/backward": 0}
    )
    assert report["step"].self_time == pytest.approx(0)


def test_the_block_alone_has_time_outside_phases(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        cuda.enqueue(0, MS)  # before the first phase
        phase("named")
        cuda.enqueue(0, 2 * MS)
        phase(None)
        cuda.enqueue(0, 5 * MS)  # after phase(None)
    report = recorder.report(wait=True)
    assert [site.path for site in report.walk()] == ["step", "step/named"]
    assert report["step"].device is not None
    assert report["step"].device.mean == pytest.approx(8e-3)
    assert report["step"].self_time == pytest.approx(6e-3)
    named = report["step/named"].device
    assert named is not None
    assert named.mean == pytest.approx(2e-3)


def test_shares_of_phases_add_up(cuda: Simulated, recorder: Recorder) -> None:
    for _ in range(3):
        with recorder.phases("step") as phase:
            phase("decode")
            with recorder.scope("decode"):
                cuda.enqueue(0, 8 * MS)
            cuda.enqueue(0, MS)
            phase("rest")
            cuda.enqueue(0, 2 * MS)
    (step,) = recorder.report(wait=True).sites
    assert [site.path for site in step.walk()] == [
        "step",
        "step/decode",
        "step/decode/decode",
        "step/rest",
    ]
    assert [site.share for site in step.walk()] == pytest.approx([1.0, 9 / 11, 8 / 11, 2 / 11])
    assert step.self_time == pytest.approx(0)


def test_a_repeated_name_is_another_sample(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        for ns in (1 * MS, 3 * MS):
            phase("micro-batch")
            cuda.enqueue(0, ns)
            phase("sync")
    assert paths(recorder) == {"step": 1, "step/micro-batch": 2, "step/sync": 2}
    times = recorder.report()["step/micro-batch"].device
    assert times is not None
    assert (times.min, times.max) == pytest.approx((1e-3, 3e-3))


def test_a_repeated_name_in_a_row_is_another_sample(recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        phase("a")
    assert paths(recorder) == {"step": 1, "step/a": 2}


def test_a_block_without_calls_is_a_scope(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step"):
        cuda.enqueue(0, MS)
    assert statuses(recorder) == {"step": {"ok": 1}}


def test_phase_none_without_a_phase_does_nothing(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase(None)
        phase("a")
        phase(None)
        phase(None)
        phase("b")
    assert paths(recorder) == {"step": 1, "step/a": 1, "step/b": 1}


def test_phases_work_without_cuda(recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        phase("b")
        phase("a")
    assert paths(recorder) == {"step": 1, "step/a": 2, "step/b": 1}


def test_an_exception_ends_phase_and_block(cuda: Simulated, recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="theirs"), recorder.phases("step") as phase:
        phase("a")
        phase("b")
        raise ValueError("theirs")
    assert statuses(recorder) == {"step": {"ok": 1}, "step/a": {"ok": 1}, "step/b": {"ok": 1}}


# --- events ---


def events_of(cuda: Simulated, recorder: Recorder, body: Callable[[Any], None]) -> int:
    """Return how many events a block with this body records, in a recorder that has warmed up."""
    with recorder.phases("warm-up") as phase:
        phase("phase")
    cuda.advance(MS)
    recorder.report()
    before = cuda.calls("cudaEventRecord")
    with recorder.phases("step") as phase:
        body(phase)
    return cuda.calls("cudaEventRecord") - before


@pytest.mark.parametrize("count", [1, 2, 10])
def test_n_phases_take_n_plus_one_events(cuda: Simulated, count: int) -> None:
    recorder = Recorder()

    def body(phase: Any) -> None:
        for number in range(count):
            phase(f"phase {number}")
            cuda.advance(1000)

    assert events_of(cuda, recorder, body) == count + 1
    cuda.advance(1)
    report = recorder.report()
    assert report[f"step/phase {count - 1}"].counts["ok"] == 1
    assert report["step"].counts["ok"] == 1
    del recorder
    assert pool_is_whole(0)


def test_a_late_first_phase_takes_an_event_more(cuda: Simulated) -> None:
    def body(phase: Any) -> None:
        cuda.advance(1000)
        phase("a")
        cuda.advance(1000)
        phase("b")
        cuda.advance(1000)

    assert events_of(cuda, Recorder(), body) == 4


def test_the_first_phase_records_without_sharing(cuda: Simulated) -> None:
    def body(phase: Any) -> None:
        phase("a")
        phase("b")

    # Neighbours still share: a phase begins where the one before ends.
    assert events_of(cuda, Recorder(share_boundaries=False), body) == 4


def test_phase_none_records_an_event(cuda: Simulated) -> None:
    def body(phase: Any) -> None:
        phase("a")
        cuda.advance(1000)
        phase(None)
        cuda.advance(1000)

    assert events_of(cuda, Recorder(), body) == 3


def test_the_block_and_its_last_phase_end_together(cuda: Simulated, recorder: Recorder) -> None:
    cuda.set_event_time(100_000)  # so that events at different places read different times
    with recorder.phases("step") as phase:
        phase("a")
        cuda.enqueue(0, MS)
    report = recorder.report(wait=True)
    step, inner = report["step"].device, report["step/a"].device
    assert step is not None
    assert inner is not None
    assert step.mean - inner.mean == pytest.approx(1e-4)  # the first phase's own event alone
    ends = {
        round((sample.host_begin + (sample.host_time or 0)) * 1e9)
        for path in ("step", "step/a")
        for sample in recorder.samples(path)
    }
    assert len(ends) == 1


def test_who_did_not_record_shares_a_boundary(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("alone")
        phase(None)
        phase("a")
        phase("b")
    assert {
        path: [sample.shares_boundary for sample in recorder.samples(path)]
        for path in ("step", "step/alone", "step/a", "step/b")
    } == {"step": [True], "step/alone": [False], "step/a": [False], "step/b": [True]}


# --- the tree ---


def test_scopes_in_a_phase_are_its_children(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        with recorder.scope("before"):
            pass
        phase("forward")
        with recorder.scope("encoder"), recorder.scope("layer"):
            pass
        with recorder.phases("inner") as inner:
            inner("deep")
        phase(None)
        with recorder.scope("after"):
            pass
    assert set(paths(recorder)) == {
        "step",
        "step/before",
        "step/forward",
        "step/forward/encoder",
        "step/forward/encoder/layer",
        "step/forward/inner",
        "step/forward/inner/deep",
        "step/after",
    }


def test_a_call_in_an_open_scope_changes_the_phase(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        with recorder.scope("open"):
            phase("b")
            with recorder.scope("inside"):
                cuda.enqueue(0, MS)
        with recorder.scope("later"):
            pass
    assert set(paths(recorder)) == {
        "step",
        "step/a",
        "step/a/open",
        "step/a/open/inside",
        "step/b",
        "step/b/later",
    }
    b = recorder.report()["step/b"].device
    assert b is not None
    assert b.mean == pytest.approx(1e-3)


def test_a_first_call_in_an_open_scope(recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        with recorder.scope("open"):
            phase("a")
            with recorder.scope("inside"):
                pass
        with recorder.scope("later"):
            pass
    assert set(paths(recorder)) == {
        "step",
        "step/open",
        "step/open/inside",
        "step/a",
        "step/a/later",
    }


def test_phase_none_in_an_open_scope(recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        with recorder.scope("open"):
            phase(None)
            with recorder.scope("inside"):
                pass
        with recorder.scope("later"):
            pass
    assert set(paths(recorder)) == {
        "step",
        "step/a",
        "step/a/open",
        "step/a/open/inside",
        "step/later",
    }


def test_a_block_takes_along_scopes_that_outlast_it(recorder: Recorder) -> None:
    for _ in range(3):
        with recorder.phases("step") as phase:
            phase("launch")
            token = recorder.begin("copy")
            phase("rest")
        with recorder.scope("between"):
            pass
        recorder.end(token)
    assert paths(recorder) == {
        "step": 3,
        "step/launch": 3,
        "step/launch/copy": 3,
        "step/rest": 3,
        "between": 3,
    }


def test_phases_outlast_the_block_around_them(recorder: Recorder) -> None:
    phases = recorder.phases("step")
    with recorder.scope("outer"):
        phase = phases.__enter__()
        phase("a")
    phase("b")  # no parent any more, but still timed
    with recorder.scope("elsewhere"):
        pass
    phases.__exit__(None, None, None)
    assert set(paths(recorder)) == {
        "outer",
        "outer/step",
        "outer/step/a",
        "outer/step/b",
        "elsewhere",
    }


def test_two_blocks_of_one_recorder_side_by_side(recorder: Recorder) -> None:
    with recorder.phases("one") as one:
        one("a")
        with recorder.phases("two") as two:
            two("x")
            one("b")
            with recorder.scope("inner"):
                pass
            two("y")
    assert set(paths(recorder)) == {
        "one",
        "one/a",
        "one/a/two",
        "one/a/two/x",
        "one/a/two/x/inner",
        "one/a/two/y",
        "one/b",
    }


def test_tasks_begin_inside_the_phase_that_is_open(recorder: Recorder) -> None:
    async def work(name: str) -> None:
        with recorder.scope(name):
            await asyncio.sleep(0)

    async def main() -> None:
        with recorder.phases("step") as phase:
            phase("a")
            await asyncio.create_task(work("in a"))
            phase("b")
            await asyncio.create_task(work("in b"))
            phase(None)
            await asyncio.create_task(work("in none"))

    asyncio.run(main())
    assert set(paths(recorder)) == {
        "step",
        "step/a",
        "step/a/in a",
        "step/b",
        "step/b/in b",
        "step/in none",
    }


@pytest.mark.parametrize("following", ["b", "a"])
def test_a_task_outlives_the_phase_it_began_in(following: str, recorder: Recorder) -> None:
    async def work(gate: asyncio.Event) -> None:
        with recorder.scope("first"):
            pass
        await gate.wait()
        with recorder.scope("second"):  # its phase has ended, the block has not
            pass

    async def main() -> None:
        gate = asyncio.Event()
        with recorder.phases("step") as phase:
            phase("a")
            task = asyncio.create_task(work(gate))
            await asyncio.sleep(0)
            phase(following)
            gate.set()
            await task

    asyncio.run(main())
    step = {"step", "step/a", "step/a/first", f"step/{following}"}
    assert set(paths(recorder)) == step | {"step/second"}


def test_each_task_has_its_own_phases(recorder: Recorder) -> None:
    async def request(name: str) -> None:
        with recorder.phases(name) as phase:
            phase("read")
            await asyncio.sleep(0)
            with recorder.scope("parse"):
                await asyncio.sleep(0)
            phase("answer")
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(request("x"), request("y"))

    asyncio.run(main())
    assert set(paths(recorder)) == {
        f"{name}{below}" for name in "xy" for below in ("", "/read", "/read/parse", "/answer")
    }


def test_a_generator_yields_inside_a_phase(recorder: Recorder) -> None:
    def batches() -> Iterator[int]:
        with recorder.phases("load") as phase:
            for number in range(3):
                phase("read")
                yield number
                phase("decode")
                with recorder.scope("jpeg"):
                    pass

    for _ in batches():
        pass
    assert paths(recorder) == {
        "load": 1,
        "load/read": 3,
        "load/decode": 3,
        "load/decode/jpeg": 3,
    }


def test_a_decorated_generator_keeps_its_phase(recorder: Recorder) -> None:
    @recorder.scope("loader")
    def batches() -> Iterator[int]:
        with recorder.phases("load") as phase:
            for number in range(3):
                phase("read")
                yield number
                with recorder.scope("jpeg"):
                    pass

    for _ in batches():
        with recorder.scope("train"):
            pass
    assert paths(recorder) == {
        "loader": 1,
        "loader/load": 1,
        "loader/load/read": 3,
        "loader/load/read/jpeg": 3,
        "train": 3,
    }


# --- streams ---


def test_phases_stay_on_the_stream_of_the_block(cuda: Simulated, recorder: Recorder) -> None:
    first, other = cuda.create_stream(), cuda.create_stream()
    cuda.set_current_stream(first)
    with recorder.phases("step") as phase:
        cuda.set_current_stream(other)
        phase("a")
        cuda.enqueue(first, 2 * MS)
        cuda.enqueue(other, 50 * MS)
        phase("b")
        cuda.enqueue(first, 3 * MS)
    report = recorder.report(wait=True)
    times = [site.device.mean for site in report.walk() if site.device]
    assert times == pytest.approx([5e-3, 2e-3, 3e-3])


def test_phases_stay_on_the_device_of_the_block(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        with cuda.on_device(1):
            phase("a")
            cuda.enqueue(0, 50 * MS)  # the other device's default stream
            phase("b")
    report = recorder.report(wait=True)
    assert [site.device.mean for site in report.walk() if site.device] == pytest.approx([0, 0, 0])
    assert statuses(recorder) == {"step": {"ok": 1}, "step/a": {"ok": 1}, "step/b": {"ok": 1}}

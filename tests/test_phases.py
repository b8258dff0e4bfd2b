# SPDX-License-Identifier: BSD-3-Clause
"""Phases: stretches of a block that lie end to end."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import binding
import pytest
from leftovers import pool_is_whole
from simulated_cuda import Simulated, in_thread

import fasttime
from fasttime import Recorder, _native

MS = 1_000_000


def paths(recorder: Recorder) -> dict[str, int]:
    """Return the count of each site, by path."""
    return {site.path: site.count for site in recorder.report(wait=True).walk()}


def statuses(recorder: Recorder) -> dict[str, dict[str, int]]:
    return {
        site.path: {status: count for status, count in site.counts.items() if count}
        for site in recorder.report(wait=True).walk()
    }


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


def test_phase_none_takes_an_event(cuda: Simulated) -> None:
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


def test_a_task_outlives_the_phase_it_began_in(recorder: Recorder) -> None:
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
            phase("b")
            gate.set()
            await task

    asyncio.run(main())
    assert set(paths(recorder)) == {"step", "step/a", "step/a/first", "step/b", "step/second"}


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


# --- captures, failures, resets ---


def test_a_phase_in_a_capture_is_captured(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.phases("step", stream=stream) as phase:
        phase("before")
        phase("into")
        cuda.begin_capture(stream)
        phase("inside")
        phase("out of")
        nodes = cuda.capture_nodes(stream)
        cuda.end_capture(stream)
        phase("after")
    assert nodes == 0
    assert statuses(recorder) == {
        "step": {"ok": 1},
        "step/before": {"ok": 1},
        "step/into": {"captured": 1},
        "step/inside": {"captured": 1},
        "step/out of": {"captured": 1},
        "step/after": {"ok": 1},
    }


def test_one_capture_spoils_no_later_phase(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.phases("step", stream=stream) as phase:
        cuda.begin_capture(stream)
        phase("inside")
        cuda.end_capture(stream)
        cuda.set_current_stream(cuda.create_stream())
        for _ in range(3):
            phase("after")
            cuda.enqueue(stream, 2 * MS)
            cuda.advance(2 * MS)
    assert statuses(recorder) == {
        "step": {"ok": 1},
        "step/inside": {"captured": 1},
        "step/after": {"ok": 3},
    }
    after = recorder.report()["step/after"]
    assert after.device is not None
    assert after.device.mean == pytest.approx(2e-3)
    assert after.host.total == pytest.approx(6e-3)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_block_in_a_capture_has_phases_after_it(
    cuda: Simulated, recorder: Recorder, chosen: bool
) -> None:
    stream = cuda.create_stream()
    cuda.set_current_stream(stream)
    cuda.begin_capture(stream)
    with recorder.phases("step", **({"stream": stream} if chosen else {})) as phase:
        phase("inside")
        cuda.end_capture(stream)
        cuda.set_current_stream(cuda.create_stream())  # phases stay on the block's stream
        for _ in range(3):
            phase("after")
            cuda.enqueue(stream, MS)
    assert statuses(recorder) == {
        "step": {"captured": 1},
        "step/inside": {"captured": 1},
        "step/after": {"ok": 3},
    }
    after = recorder.report()["step/after"].device
    assert after is not None
    assert after.mean == pytest.approx(1e-3)


def test_a_block_that_ends_in_a_capture(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.phases("step", stream=stream) as phase:
        phase("before")
        phase("into")
        cuda.begin_capture(stream)
    assert cuda.capture_nodes(stream) == 0
    cuda.end_capture(stream)
    assert statuses(recorder) == {
        "step": {"captured": 1},
        "step/before": {"ok": 1},
        "step/into": {"captured": 1},
    }


@pytest.mark.parametrize("function", ["cuEventRecord", "cuStreamIsCapturing"])
def test_one_failure_spoils_no_later_phase(
    cuda: Simulated, recorder: Recorder, function: str
) -> None:
    with recorder.phases("step", stream=cuda.create_stream()) as phase:
        phase("before")
        phase("during")
        cuda.fail(function, 2)
        cuda.fail("cudaStreamIsCapturing", 2, 0, 1 if function == "cuStreamIsCapturing" else 0)
        for _ in range(3):
            phase("after")
    assert statuses(recorder) == {
        "step": {"ok": 1},
        "step/before": {"ok": 1},
        "step/during": {"failed": 1},
        "step/after": {"ok": 3},
    }


def test_a_failure_at_the_first_phase(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step", stream=cuda.create_stream()) as phase:
        cuda.fail("cuEventRecord", 2)
        phase("a")
        phase("b")
    assert statuses(recorder) == {
        "step": {"ok": 1},
        "step/a": {"failed": 1},
        "step/b": {"ok": 1},
    }


def test_a_failure_at_the_end_of_the_block(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step", stream=cuda.create_stream()) as phase:
        phase("a")
        phase("b")
        cuda.fail("cuEventRecord", 2)
    assert statuses(recorder) == {
        "step": {"failed": 1},
        "step/a": {"ok": 1},
        "step/b": {"failed": 1},
    }


def test_phases_after_a_lost_device_have_host_times(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("during")
        cuda.set_sticky(700)
        phase("open then")
        phase("after")
    cuda.set_sticky(0)
    cuda.last_error()  # the device's own, which is torch's to find
    found = statuses(recorder)
    assert found["step/during"] == {"failed": 1}
    assert found["step/after"] == {"host_only": 1}


@pytest.mark.parametrize("on_cuda", [True, False])
def test_a_reset_in_a_block_forgets_what_began_before(
    cuda: Simulated, recorder: Recorder, on_cuda: bool
) -> None:
    if not on_cuda:
        binding.unbind()
    with recorder.phases("step") as phase:
        phase("before")
        phase("during")
        recorder.reset()
        for _ in range(3):
            phase("after")
            cuda.advance(MS)
    cuda.advance(MS)
    assert statuses(recorder)["step/after"] == {"ok" if on_cuda else "host_only": 3}
    assert not statuses(recorder).keys() & {"step/before", "step/during"}


def test_a_full_lane_drops_phases_and_goes_on(cuda: Simulated, recorder: Recorder) -> None:
    cuda.hold(0)
    with recorder.phases("step") as phase:
        for _ in range(3000):
            phase("a")
    assert recorder.report().dropped > 0
    cuda.release(0)
    cuda.advance(1)
    report = recorder.report(wait=True)
    assert report["step/a"].count == 3000
    assert report.open == 0


def test_events_of_failed_phases_rest_while_in_flight(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with cuda.held(stream):
        with recorder.phases("step", stream=stream) as phase:
            phase("during")
            cuda.fail("cuEventRecord", 2)
            phase("next")  # begins at an event of its own
        for _ in range(500):
            with recorder.scope("after", stream=stream):
                pass
        assert cuda.rerecorded_in_flight == 0
    assert statuses(recorder)["after"] == {"ok": 500}


# --- switching off and on ---


def test_phases_do_nothing_while_switched_off(cuda: Simulated, recorder: Recorder) -> None:
    recorder.disable()
    with recorder.phases("step") as phase:
        phase("a")
        phase(None)
        recorder.enable()
        phase("b")
    assert cuda.calls("cudaEventRecord") == 0
    assert recorder.report().sites == ()


def test_an_open_block_goes_on_when_switched_off(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        recorder.disable()
        phase("b")
        with recorder.scope("off"):
            pass
        recorder.enable()
        with recorder.scope("on"):
            pass
    assert set(paths(recorder)) == {"step", "step/a", "step/b", "step/b/on"}


# --- errors ---


def test_a_phase_outside_its_block_is_an_error(recorder: Recorder) -> None:
    phases = recorder.phases("step")
    message = r"phases 'step' are not open; call phase\(name\) inside `with phases\('step'\) as"
    for argument in ("a", None):
        with pytest.raises(RuntimeError, match=message):
            phases(argument)
    with phases:
        phases("a")
    with pytest.raises(RuntimeError, match=message):
        phases("b")
    assert paths(recorder) == {"step": 1, "step/a": 1}


def test_an_exit_without_an_enter_is_an_error(recorder: Recorder) -> None:
    with pytest.raises(RuntimeError, match="scope 'step' is not open"):
        recorder.phases("step").__exit__(None, None, None)


@pytest.mark.parametrize("enabled", [True, False])
def test_phases_are_entered_once(recorder: Recorder, enabled: bool) -> None:
    phases = recorder.phases("step")
    if not enabled:
        recorder.disable()
    with phases:
        phases("a")
        with pytest.raises(RuntimeError, match=r"open already; call phase\(name\).*another `with"):
            phases.__enter__()
        with pytest.raises(RuntimeError, match="open already"):
            phases()  # type: ignore[call-arg]
    with phases:  # but may be used again
        phases("a")
    assert paths(recorder) == ({"step": 2, "step/a": 2} if enabled else {})


def test_arguments_of_phases_are_checked(recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        with pytest.raises(
            TypeError, match="name of a scope or phase must be a str, got 1 of type"
        ):
            phase(1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="must not be empty"):
            phase("")
        with pytest.raises(TypeError, match=r"got a call with 2 arguments; call phase\(name\)"):
            phase("a", "b")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"call phase\(name\) to begin"):
            phase(name="a")  # type: ignore[call-arg]
        phase("a")
    with pytest.raises(TypeError, match="must be a str"):
        recorder.phases(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes one name"):
        recorder.phases()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"__exit__ of <fasttime phases 'x'> takes"):
        recorder.phases("x").__exit__()  # type: ignore[call-arg]
    assert repr(recorder.phases("x")) == "<fasttime phases 'x'>"


def test_a_refused_name_leaves_the_phase_open(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        with pytest.raises(TypeError):
            phase(1)  # type: ignore[arg-type]
        cuda.enqueue(0, MS)
    device = recorder.report(wait=True)["step/a"].device
    assert device is not None
    assert device.mean == pytest.approx(1e-3)


class Name(str):
    """A str of another type."""


def test_a_subclass_of_str_names_a_phase(recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase(Name("a"))
        phase("a")
    assert paths(recorder) == {"step": 1, "step/a": 2}


# --- life and death ---


def test_phases_left_open_are_dropped(cuda: Simulated) -> None:
    recorder = Recorder()
    phase = recorder.phases("step").__enter__()
    phase("a")
    phase("b")
    assert recorder.report().open == 2
    del phase
    with recorder.scope("after"):
        pass
    cuda.advance(1)
    found = statuses(recorder)
    assert found == {
        "step": {"dropped": 1},
        "step/a": {"ok": 1},
        "step/b": {"dropped": 1},
        "after": {"ok": 1},
    }
    assert recorder.report().open == 0
    del recorder
    assert pool_is_whole(0)


def test_an_exit_method_keeps_its_phases(recorder: Recorder) -> None:
    leave = recorder.phases("step").__enter__().__exit__
    leave(None, None, None)
    assert paths(recorder) == {"step": 1}


def test_phases_outlive_their_recorder(cuda: Simulated) -> None:
    recorder = Recorder()
    with recorder.phases("step") as phase:
        phase("a")
        del recorder
        phase("b")
    del phase
    assert pool_is_whole(0)


def test_a_copy_of_open_phases_is_closed(recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        for other in (copy.copy(phase), copy.deepcopy(phase)):
            with pytest.raises(RuntimeError, match="not open"):
                other("b")
            with other:
                other("c")
    assert paths(recorder) == {"step": 1, "step/a": 1, "step/a/step": 2, "step/a/step/c": 2}


def test_phases_are_pickled_by_name(cuda: Simulated) -> None:
    phases = pickle.loads(pickle.dumps(fasttime.phases("pickled step")))
    assert repr(phases) == "<fasttime phases 'pickled step'>"
    with pytest.raises(TypeError, match="make it without stream="):
        pickle.dumps(fasttime.phases("step", stream=cuda.create_stream()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_block_from_before_a_fork_does_nothing(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        phase("a")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                phase("in the child")
                phase(None)
                phase("again")
                with recorder.scope("child"):
                    pass
                if set(paths(recorder)) == {"child"} and recorder.report().open == 0:
                    code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        phase("b")
    assert set(paths(recorder)) == {"step", "step/a", "step/b"}


# --- marks ---


@contextmanager
def marks(recorder: Recorder) -> Iterator[list[str]]:
    """Record the order in which marks begin and end."""
    log: list[str] = []

    def begin(name: str) -> str:
        log.append(f"+{name}")
        return name

    def end(name: str) -> None:
        log.append(f"-{name}")

    _native.set_marks(recorder.scope, begin, end)
    yield log
    _native.set_marks(recorder.scope, None, None)


def test_phases_are_marked_while_they_are_open(recorder: Recorder) -> None:
    with marks(recorder) as log:
        with recorder.phases("step") as phase:
            phase("a")
            phase("b")
            phase(None)
            phase("c")
    assert log == ["+step", "+a", "-a", "+b", "-b", "+c", "-c", "-step"]
    assert set(paths(recorder)) == {"step", "step/a", "step/b", "step/c"}


def test_marks_switched_off_in_a_phase_still_end(recorder: Recorder) -> None:
    with marks(recorder) as log:
        phase = recorder.phases("step").__enter__()
        phase("a")
    phase("b")
    phase.__exit__(None, None, None)
    assert log == ["+step", "+a", "-a", "-step"]


def test_marks_of_dropped_phases_end(recorder: Recorder) -> None:
    with marks(recorder) as log:
        phase = recorder.phases("step").__enter__()
        phase("a")
        del phase
    assert log == ["+step", "+a", "-a", "-step"]


def test_an_interrupted_mark_leaves_the_phase_open(recorder: Recorder) -> None:
    def begin(name: str) -> str:
        if name == "b":
            raise KeyboardInterrupt
        return name

    _native.set_marks(recorder.scope, begin, lambda token: None)
    with recorder.phases("step") as phase:
        phase("a")
        with pytest.raises(KeyboardInterrupt):
            phase("b")
        with recorder.scope("inner"):
            pass
    _native.set_marks(recorder.scope, None, None)
    assert paths(recorder) == {"step": 1, "step/a": 1, "step/a/inner": 1}


def test_a_mark_cannot_change_the_phase(recorder: Recorder) -> None:
    errors: list[str] = []

    def begin(name: str) -> None:
        if name == "b":
            with pytest.raises(RuntimeError, match="in use by another call") as caught:
                phase("from the mark")
            errors.append(str(caught.value))

    with recorder.phases("step") as phase:
        phase("a")
        _native.set_marks(recorder.scope, begin, lambda token: None)
        phase("b")
        _native.set_marks(recorder.scope, None, None)
    assert len(errors) == 1
    assert set(paths(recorder)) == {"step", "step/a", "step/b"}


def test_a_mark_may_leave_the_block(recorder: Recorder) -> None:
    def begin(name: str) -> None:
        if name == "b":
            phase.__exit__(None, None, None)

    phase = recorder.phases("step").__enter__()
    phase("a")
    _native.set_marks(recorder.scope, begin, lambda token: None)
    phase("b")
    _native.set_marks(recorder.scope, None, None)
    assert paths(recorder) == {"step": 1, "step/a": 1}
    with pytest.raises(RuntimeError, match="not open"):
        phase("c")


# --- threads ---


def test_another_thread_may_change_the_phase(cuda: Simulated, recorder: Recorder) -> None:
    def other() -> None:
        phase("b")
        with recorder.scope("elsewhere"):  # nesting stays with the block's own context
            pass

    with recorder.phases("step") as phase:
        phase("a")
        in_thread(other)
        with recorder.scope("here"):
            pass
    assert set(paths(recorder)) == {"step", "step/a", "step/b", "step/b/here", "elsewhere"}


def test_another_thread_may_begin_the_first_phase(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.phases("step") as phase:
        in_thread(lambda: phase("a"))
        with recorder.scope("here"):
            pass
        cuda.enqueue(0, MS)
    assert set(paths(recorder)) == {"step", "step/a", "step/a/here"}
    device = recorder.report()["step/a"].device
    assert device is not None
    assert device.mean == pytest.approx(1e-3)


def test_another_thread_may_leave_the_block(cuda: Simulated, recorder: Recorder) -> None:
    phase = recorder.phases("step").__enter__()
    phase("a")
    in_thread(lambda: phase.__exit__(None, None, None))
    with recorder.scope("after"):
        pass
    assert statuses(recorder) == {
        "step": {"ok": 1},
        "step/a": {"ok": 1},
        "after": {"ok": 1},
    }


def test_a_phase_belongs_to_the_thread_that_began_it(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.record_timeline() as timeline:
        with recorder.phases("step") as phase:
            phase("a")
            cuda.advance(1000)

            def other() -> None:  # a thread that has never begun a scope
                phase("b")
                cuda.advance(1000)

            in_thread(other)
        cuda.advance(1000)
    threads = {span.name: span.thread for span in timeline.spans}
    assert 0 not in threads.values()
    assert threads["a"] == threads["step"] != threads["b"]


def test_new_threads_share_no_boundary(cuda: Simulated, recorder: Recorder) -> None:
    first, second = recorder.phases("s1"), recorder.phases("s2")
    turns = [threading.Event() for _ in range(2)]
    with first as a, second as b:
        a("x")
        b("x")
        cuda.advance(10_000)

        def one() -> None:
            b("x0")
            turns[0].set()
            turns[1].wait(60)
            a("y1")  # this thread's last record lies before the begin of the phase that ends

        def other() -> None:
            turns[0].wait(60)
            cuda.enqueue(0, 2_000_000)
            a("y0")
            turns[1].set()

        threads = [threading.Thread(target=work) for work in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    cuda.advance(10_000_000)
    site = recorder.report()["s1/y0"]
    assert site.device is not None
    assert site.device.min >= 0


@contextmanager
def another_thread_in(body: Callable[[], object], cuda: Simulated, stream: int) -> Iterator[None]:
    """Let another thread wait for room in the launch queue, with the GIL released, in `body`."""
    cuda.set_queue_limit(8)
    cuda.advance(MS)  # so that the state of the queue is unknown
    cuda.hold(stream)
    for _ in range(8):
        cuda.enqueue(stream, 1)
    before = cuda.calls("cudaEventRecord")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(body)
        while cuda.calls("cudaEventRecord") == before:
            pass
        try:
            yield
        finally:
            cuda.release(stream)
        running.result()
    cuda.advance(MS)


@contextmanager
def released_at_next_record(cuda: Simulated, stream: int) -> Iterator[None]:
    """Release the stream once another record waits for room."""
    records = cuda.calls("cudaEventRecord")

    def release() -> None:
        while cuda.calls("cudaEventRecord") == records:
            pass
        cuda.release(stream)

    releasing = threading.Thread(target=release)
    releasing.start()
    yield
    releasing.join()


@pytest.mark.parametrize("is_first", [True, False])
def test_a_block_is_left_during_a_call(cuda: Simulated, is_first: bool) -> None:
    recorder, stream = Recorder(), cuda.create_stream()
    phase = recorder.phases("step", stream=stream)
    phase.__enter__()
    if not is_first:
        phase("early")
    with another_thread_in(partial(phase, "late"), cuda, stream):
        with released_at_next_record(cuda, stream):
            phase.__exit__(None, None, None)
    with recorder.scope("after"):
        pass
    expected = {"step": 1, "step/late": 1, "after": 1}
    assert paths(recorder) == (expected if is_first else {**expected, "step/early": 1})
    assert recorder.report().open == 0
    with pytest.raises(RuntimeError, match="not open"):
        phase("later")
    with phase:  # and may be used again
        phase("again")
    cuda.advance(MS)
    assert paths(recorder)["step/again"] == 1
    del recorder, phase
    assert pool_is_whole(0)


def test_a_block_is_left_while_its_phase_ends(cuda: Simulated) -> None:
    recorder, stream = Recorder(), cuda.create_stream()
    phase = recorder.phases("step", stream=stream)
    phase.__enter__()
    phase("a")
    with another_thread_in(partial(phase, None), cuda, stream):
        with released_at_next_record(cuda, stream):
            phase.__exit__(None, None, None)
    assert paths(recorder) == {"step": 1, "step/a": 1}
    assert recorder.report().open == 0
    del recorder, phase
    assert pool_is_whole(0)


def test_two_threads_cannot_call_at_once(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.phases("step", stream=stream) as phase:
        phase("zero")
        with another_thread_in(partial(phase, "one"), cuda, stream):
            with pytest.raises(RuntimeError, match=r"in use by another call.*its own `with"):
                phase("two")
            with pytest.raises(RuntimeError, match="in use by another call"):
                phase(None)
        phase("three")
    assert set(paths(recorder)) == {"step", "step/zero", "step/one", "step/three"}


def test_two_threads_cannot_enter_at_once(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    phase = recorder.phases("step", stream=stream)
    with another_thread_in(phase.__enter__, cuda, stream):
        with pytest.raises(RuntimeError, match="open already"):
            phase.__enter__()
        with pytest.raises(RuntimeError, match="in use by another call"):
            phase("a")
    phase.__exit__(None, None, None)
    assert paths(recorder) == {"step": 1}


def test_phases_are_not_entered_while_they_are_left(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    phase = recorder.phases("step", stream=stream)
    phase.__enter__()
    phase("a")
    with another_thread_in(partial(phase.__exit__, None, None, None), cuda, stream):
        with pytest.raises(RuntimeError, match="open already"):
            phase.__enter__()
        with pytest.raises(RuntimeError, match="in use by another call"):
            phase("b")
        with pytest.raises(RuntimeError, match="not open"):
            phase.__exit__(None, None, None)
    assert paths(recorder) == {"step": 1, "step/a": 1}

# SPDX-License-Identifier: BSD-3-Clause
"""Laps: sections that lie end to end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from leftovers import pool_is_whole
from simulated_cuda import Simulated, in_thread

from fasttime import _C, Recorder

MS = 1_000_000


def test_sections_tile_the_block(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.laps("step") as lap:
        cuda.enqueue(0, 1 * MS)
        cuda.advance(MS // 2)
        lap("data")
        cuda.enqueue(0, 2 * MS)
        cuda.advance(MS)
        lap("forward")
        cuda.enqueue(0, 3 * MS)
        lap("backward")
    report = recorder.report(wait=True)
    times = {site.path: site.device.mean for site in report.walk()}
    assert times == pytest.approx(
        {"step": 6e-3, "step/data": 1e-3, "step/forward": 2e-3, "step/backward": 3e-3}
    )
    hosts = {site.path: site.host.mean for site in report.walk()}
    assert hosts == pytest.approx(
        {"step": 1.5e-3, "step/data": 0.5e-3, "step/forward": 1e-3, "step/backward": 0}
    )


def test_n_sections_take_n_and_one_events(cuda: Simulated) -> None:
    recorder = Recorder()
    with recorder.laps("warm-up") as lap:
        lap("section")
    cuda.advance(1000)
    recorder.report()
    before = cuda.calls("cudaEventRecord")
    with recorder.laps("step") as lap:
        for number in range(10):
            cuda.advance(1000)
            lap(f"section {number}")
    assert cuda.calls("cudaEventRecord") - before == 11
    cuda.advance(1)
    assert recorder.report()["step/section 9"].count == 1
    del recorder, lap
    assert pool_is_whole(0)


def test_what_comes_after_the_last_lap_is_the_blocks_alone(
    cuda: Simulated, recorder: Recorder
) -> None:
    with recorder.laps("step") as lap:
        cuda.enqueue(0, MS)
        lap("named")
        cuda.enqueue(0, 5 * MS)
    report = recorder.report(wait=True)
    assert [site.path for site in report.walk()] == ["step", "step/named"]
    assert report["step"].device.mean == pytest.approx(6e-3)
    assert report.open == 0


def test_scopes_inside_a_section_are_children_of_the_block(
    cuda: Simulated, recorder: Recorder
) -> None:
    with recorder.laps("step") as lap:
        with recorder.scope("inner"):
            pass
        lap("section")
    report = recorder.report(wait=True)
    assert sorted(site.path for site in report.walk()) == ["step", "step/inner", "step/section"]


def test_a_scope_within_a_section_is_not_taken_off_twice(
    cuda: Simulated, recorder: Recorder
) -> None:
    for _ in range(3):
        with recorder.laps("step") as lap:
            with recorder.scope("decode"):
                cuda.enqueue(0, 8 * MS)
            cuda.enqueue(0, MS)
            lap("decode")
            cuda.enqueue(0, 2 * MS)
    cuda.advance(50 * MS)
    report = recorder.report()
    (step,) = report.sites
    assert [(site.name, site.is_section, site.count) for site in step.children] == [
        ("decode", False, 3),
        ("decode", True, 3),
    ]
    assert step.self_time == pytest.approx(6e-3)  # what comes after the last lap
    assert [site.share for site in report.walk()] == pytest.approx([1.0, 24 / 33, 27 / 33])
    assert "overlap" not in [warning.kind for warning in report.warnings]


def test_laps_work_without_cuda(recorder: Recorder) -> None:
    with recorder.laps("step") as lap:
        lap("a")
        lap("b")
        lap("a")
    report = recorder.report()
    assert {site.path: site.count for site in report.walk()} == {
        "step": 1,
        "step/a": 2,
        "step/b": 1,
    }
    assert report.open == 0


def test_an_exception_passes_and_the_sections_named_so_far_count(
    cuda: Simulated, recorder: Recorder
) -> None:
    with pytest.raises(ValueError, match="theirs"), recorder.laps("step") as lap:
        lap("a")
        raise ValueError("theirs")
    report = recorder.report(wait=True)
    assert {site.path: site.count for site in report.walk()} == {"step": 1, "step/a": 1}


def test_a_section_caught_in_a_capture_says_so(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.laps("step", stream=stream) as lap:
        lap("before")
        cuda.begin_capture(stream)
        lap("into")
        lap("inside")
        nodes = cuda.capture_nodes(stream)
        cuda.end_capture(stream)
        lap("after")
    assert nodes == 0
    report = recorder.report(wait=True)
    statuses = {
        site.name: [status for status, count in site.counts.items() if count]
        for site in report["step"].children
    }
    assert statuses["before"] == ["ok"]
    assert statuses["into"] == statuses["inside"] == ["captured"]
    assert report.open == 0


def counts(recorder: Recorder) -> dict[str, dict[str, int]]:
    return {
        site.path: {status: count for status, count in site.counts.items() if count}
        for site in recorder.report(wait=True).walk()
    }


def test_one_capture_spoils_no_later_section(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.laps("step", stream=stream) as lap:
        cuda.begin_capture(stream)
        lap("into")
        lap("inside")
        cuda.end_capture(stream)
        lap("out of")
        cuda.set_current_stream(cuda.create_stream())  # the sections stay on the block's stream
        for _ in range(3):
            cuda.enqueue(stream, 2 * MS)
            lap("after")
            cuda.advance(2 * MS)
    assert counts(recorder) == {
        "step": {"ok": 1},
        "step/into": {"captured": 1},
        "step/inside": {"captured": 1},
        "step/out of": {"captured": 1},
        "step/after": {"ok": 3},
    }
    after = recorder.report()["step/after"]
    assert after.device.mean == pytest.approx(2e-3)
    assert after.host.total == pytest.approx(4e-3)  # the first ended at once
    assert recorder.report().open == 0


def test_laps_entered_in_a_capture_time_the_sections_after_it(
    cuda: Simulated, recorder: Recorder
) -> None:
    stream = cuda.create_stream()
    cuda.set_current_stream(stream)
    cuda.begin_capture(stream)
    with recorder.laps("step") as lap:
        lap("inside")
        cuda.end_capture(stream)
        lap("out of")
        for _ in range(3):
            lap("after")
    assert counts(recorder) == {
        "step": {"captured": 1},
        "step/inside": {"captured": 1},
        "step/out of": {"captured": 1},
        "step/after": {"ok": 3},
    }


@pytest.mark.parametrize("function", ["cuEventRecord", "cuStreamIsCapturing"])
def test_one_failure_spoils_no_later_section(
    cuda: Simulated, recorder: Recorder, function: str
) -> None:
    with recorder.laps("step", stream=cuda.create_stream()) as lap:
        lap("before")
        cuda.fail(function, 2)
        cuda.fail("cudaStreamIsCapturing", 2, 0, 1 if function == "cuStreamIsCapturing" else 0)
        lap("during")
        for _ in range(3):
            lap("after")
    assert counts(recorder) == {
        "step": {"ok": 1},
        "step/before": {"ok": 1},
        "step/during": {"failed": 1},
        "step/after": {"ok": 3},
    }
    assert recorder.report().open == 0


def test_the_event_of_a_section_that_nobody_named_is_not_used_while_in_flight(
    cuda: Simulated, recorder: Recorder
) -> None:
    stream = cuda.create_stream()
    with cuda.held(stream):
        with recorder.laps("step", stream=stream) as lap:
            cuda.fail("cuEventRecord", 2)
            lap("during")  # the next section begins at an event of its own
        for _ in range(500):
            with recorder.scope("after", stream=stream):
                pass
        assert cuda.rerecorded_in_flight == 0
    assert counts(recorder)["after"] == {"ok": 500}


def test_sections_after_a_lost_device_are_timed_on_the_host(
    cuda: Simulated, recorder: Recorder
) -> None:
    with recorder.laps("step") as lap:
        cuda.set_sticky(700)
        lap("during")
        lap("open then")
        lap("after")
    cuda.set_sticky(0)
    cuda.last_error()  # the device's own, which is torch's to find
    found = counts(recorder)
    assert found["step/during"] == {"failed": 1}
    assert found["step/after"] == {"host_only": 1}


@pytest.mark.parametrize("on_cuda", [True, False])
def test_a_reset_within_laps_forgets_what_began_before_it(
    cuda: Simulated, recorder: Recorder, on_cuda: bool
) -> None:
    if not on_cuda:
        _C.testing_unbind()
    with recorder.laps("step") as lap:
        lap("before")
        recorder.reset()
        lap("during")
        for _ in range(3):
            cuda.advance(MS)
            lap("after")
    cuda.advance(MS)
    assert counts(recorder).get("step/after") == {"ok" if on_cuda else "host_only": 3}
    assert not counts(recorder).keys() & {"step/before", "step/during"}


def test_laps_that_are_switched_off_do_nothing(cuda: Simulated, recorder: Recorder) -> None:
    recorder.disable()
    with recorder.laps("step") as lap:
        lap("a")
    assert cuda.calls("cudaEventRecord") == 0
    recorder.enable()
    assert recorder.report().sites == ()


def test_a_lap_outside_its_block_is_an_error(recorder: Recorder) -> None:
    laps = recorder.laps("step")
    with pytest.raises(RuntimeError, match=r"laps 'step' are not open; call them inside"):
        laps("a")
    with laps:
        laps("a")
    with pytest.raises(RuntimeError, match="not open"):
        laps("b")
    assert recorder.report()["step/a"].count == 1


def test_laps_are_entered_once(recorder: Recorder) -> None:
    laps = recorder.laps("step")
    with laps:
        with pytest.raises(RuntimeError, match="are open already; a section ends"):
            laps.__enter__()
        laps("a")
    with laps:  # but may be used again
        laps("a")
    assert recorder.report()["step/a"].count == 2


def test_what_laps_take_is_checked(recorder: Recorder) -> None:
    with recorder.laps("step") as lap:
        with pytest.raises(TypeError, match="must be a str"):
            lap(1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="must not be empty"):
            lap("")
        with pytest.raises(TypeError, match="where a section ends"):
            lap("a", "b")  # type: ignore[call-arg]
        lap("a")
    with pytest.raises(TypeError, match="must be a str"):
        recorder.laps(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes one name"):
        recorder.laps()  # type: ignore[call-arg]
    assert repr(recorder.laps("x")) == "<fasttime laps 'x'>"


def test_laps_left_open_are_dropped(cuda: Simulated) -> None:
    recorder = Recorder()
    lap = recorder.laps("step").__enter__()
    lap("a")
    assert recorder.report().open == 2
    del lap
    cuda.advance(1)
    report = recorder.report(wait=True)
    assert (report.open, report.dropped, report["step/a"].count) == (0, 1, 1)
    del recorder
    assert pool_is_whole(0)


def test_a_full_lane_drops_sections_and_goes_on(cuda: Simulated, recorder: Recorder) -> None:
    cuda.hold(0)
    with recorder.laps("step") as lap:
        for _ in range(3000):
            lap("a")
    assert recorder.report().dropped > 0
    cuda.release(0)
    cuda.advance(1)
    report = recorder.report(wait=True)
    assert report["step/a"].count == 3000
    assert report.open == 0


def test_a_section_that_another_thread_began_is_that_thread_s(
    cuda: Simulated, recorder: Recorder
) -> None:
    with recorder.record_timeline() as timeline:
        with recorder.laps("step") as lap:

            def other() -> None:  # a thread that has never begun a scope
                lap("a")
                cuda.advance(1000)
                lap("b")

            in_thread(other)
        cuda.advance(1000)
    threads = {span.name: span.thread for span in timeline.spans}
    assert 0 not in threads.values()
    assert threads["a"] == threads["step"] != threads["b"]


def test_threads_that_began_no_scope_share_no_boundary(cuda: Simulated, recorder: Recorder) -> None:
    first, second = recorder.laps("s1"), recorder.laps("s2")
    turns = [threading.Event() for _ in range(2)]
    with first as a, second as b:
        cuda.advance(10_000)

        def one() -> None:
            b("x0")
            turns[0].set()
            turns[1].wait(60)
            a("y1")  # what this thread recorded last lies before what the section began at

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
    site = recorder.report()["s1/y1"]
    assert site.device is not None
    assert site.device.min >= 0


# --- laps in the hands of two threads ---


@contextmanager
def another_thread_in(body: Callable[[], object], cuda: Simulated, stream: int) -> Iterator[None]:
    """Let another thread wait for room in the launch queue, with the GIL let go, in `body`."""
    cuda.set_queue_limit(8)
    cuda.advance(MS)  # so that nothing is known of the queue
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


def test_laps_can_be_left_while_another_thread_is_in_a_lap(cuda: Simulated) -> None:
    recorder, stream = Recorder(), cuda.create_stream()
    lap = recorder.laps("step", stream=stream)
    lap.__enter__()
    with another_thread_in(partial(lap, "late"), cuda, stream):
        records = cuda.calls("cudaEventRecord")

        def let_go() -> None:
            while cuda.calls("cudaEventRecord") == records:  # until the exit waits for room, too
                pass
            cuda.release(stream)

        letting_go = threading.Thread(target=let_go)
        letting_go.start()
        lap.__exit__(None, None, None)
        letting_go.join()
    report = recorder.report(wait=True)
    assert (report["step"].count, report["step/late"].count, report.open) == (1, 1, 0)
    with pytest.raises(RuntimeError, match="not open"):
        lap("later")
    del recorder, lap
    assert pool_is_whole(0)


def test_two_threads_cannot_be_in_a_lap_at_once(cuda: Simulated, recorder: Recorder) -> None:
    stream = cuda.create_stream()
    with recorder.laps("step", stream=stream) as lap:
        with another_thread_in(partial(lap, "one"), cuda, stream):
            with pytest.raises(RuntimeError, match="are in use by another thread"):
                lap("two")
        lap("three")
    report = recorder.report(wait=True)
    assert [site.path for site in report.walk()] == ["step", "step/one", "step/three"]


def test_two_threads_cannot_enter_the_same_laps_at_once(
    cuda: Simulated, recorder: Recorder
) -> None:
    stream = cuda.create_stream()
    lap = recorder.laps("step", stream=stream)
    with another_thread_in(lap.__enter__, cuda, stream):
        with pytest.raises(RuntimeError, match="open already"):
            lap.__enter__()
    lap.__exit__(None, None, None)
    report = recorder.report(wait=True)
    assert (report["step"].count, report.open) == (1, 0)

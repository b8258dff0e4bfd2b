# SPDX-License-Identifier: BSD-3-Clause
"""Scopes over several streams, and stream checks, on a real device. Bounds are one-sided."""

from __future__ import annotations

import warnings

import pytest
import torch
from latch import Latch, host_must_not_wait_for, long_work

from fasttime import Recorder
from fasttime.stream_check import StreamCheck

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::fasttime.TimingWarning"),
]


@pytest.fixture
def side() -> torch.cuda.Stream:
    made = torch.cuda.Stream()
    with torch.cuda.stream(made):
        long_work()  # the first use of a stream takes longer
    torch.cuda.synchronize()
    return made


def device_time(recorder: Recorder, path: str) -> float:
    recorder.report(wait=True)
    sample = recorder.samples(path)[-1]
    assert sample.status == "ok"
    assert sample.device_time is not None
    return sample.device_time


def messages(check: StreamCheck) -> list[str]:
    torch.cuda.synchronize()
    return [warning.message for warning in check.warnings]


def test_streams_see_the_work_of_both(recorder: Recorder, side: torch.cuda.Stream) -> None:
    main = torch.cuda.current_stream()
    for name, streams in (("one", [main]), ("both", [main, side])):
        with recorder.scope(name, streams=streams), torch.cuda.stream(side):
            long_work()
        torch.cuda.synchronize()
    assert device_time(recorder, "both") > 1e-3
    assert device_time(recorder, "one") < 1e-3


def test_waits_before_the_block_lie_outside(recorder: Recorder, side: torch.cuda.Stream) -> None:
    main, other = torch.cuda.current_stream(), torch.cuda.Stream()
    for name in ("before", "inside"):
        with torch.cuda.stream(other):
            long_work()
        if name == "before":
            main.wait_stream(other)
            side.wait_stream(other)
        with recorder.scope(name, streams=[main, side]):
            if name == "inside":
                main.wait_stream(other)
        torch.cuda.synchronize()
    assert device_time(recorder, "before") < 0.5e-3
    assert device_time(recorder, "inside") > 0.5e-3


def test_held_streams_stop_no_scope(
    recorder: Recorder, side: torch.cuda.Stream, latch: Latch
) -> None:
    main = torch.cuda.current_stream()
    latch.hold(side)
    with host_must_not_wait_for(latch):
        for _ in range(20):
            with recorder.scope("a", streams=[main, side]):
                pass
        assert recorder.report().pending == 20
        latch.release()
    assert recorder.report(wait=True)["a"].counts["ok"] == 20


def test_a_capture_survives_a_scope_over_streams(
    recorder: Recorder, side: torch.cuda.Stream
) -> None:
    x = torch.ones(8, device="cuda")
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
        with recorder.scope("a", streams=[side, torch.cuda.default_stream()]):
            y = x + 1
    graph.replay()
    torch.cuda.synchronize()
    assert y.tolist() == [2.0] * 8
    assert recorder.report(wait=True)["a"].counts["captured"] == 1


# --- the classic reading: a few microseconds for work that takes far longer ---


def test_missed_work_becomes_a_warning(recorder: Recorder, side: torch.cuda.Stream) -> None:
    with recorder.check_streams() as check:
        with recorder.scope("a"), torch.cuda.stream(side):
            long_work()
        (message,) = messages(check)
    assert f"tream {side.cuda_stream:#x} of cuda:0 ran while the scope a was open" in message
    assert "it kept working for" in message
    assert device_time(recorder, "a") < 1e-3


def test_work_that_was_waited_for_is_fine(recorder: Recorder, side: torch.cuda.Stream) -> None:
    main = torch.cuda.current_stream()
    with recorder.check_streams() as check:
        with recorder.scope("a"):
            with torch.cuda.stream(side):
                long_work()
            main.wait_stream(side)
        assert messages(check) == []
    assert device_time(recorder, "a") > 1e-3


def test_finished_operators_become_a_warning(recorder: Recorder, side: torch.cuda.Stream) -> None:
    x = torch.ones(8, device="cuda")
    with recorder.check_streams() as check:
        for name in ("main", "side"):
            with recorder.scope(name):
                with torch.cuda.stream(side if name == "side" else torch.cuda.current_stream()):
                    x + x
                torch.cuda.synchronize()
        (message,) = messages(check)
    assert "ran while the scope side was open: torch issued 1 operator on it" in message


def test_a_busy_stream_that_is_ignored(recorder: Recorder, side: torch.cuda.Stream) -> None:
    """40 idle streams beside one busy stream raise no false alarm, and the busy one is found."""
    idle = [torch.cuda.Stream() for _ in range(40)]
    idle = [stream for stream in idle if stream != side]
    for ignore in ([side], []):
        with recorder.check_streams(ignore=ignore) as check:
            for stream in idle:
                check._known.add((0, stream.cuda_stream))
            for _ in range(20):
                with torch.cuda.stream(side):
                    long_work()
                with recorder.scope("a"):
                    torch.cuda._sleep(20_000)
                torch.cuda.synchronize()
                assert check.warnings == () or not ignore
            found = messages(check)
            assert check.checked == 20
            assert check.skipped == 0
        assert [f"{side.cuda_stream:#x}" in message for message in found] == [True] * (not ignore)


def test_a_check_waits_for_no_stream(
    recorder: Recorder, side: torch.cuda.Stream, latch: Latch
) -> None:
    latch.hold(side)
    with host_must_not_wait_for(latch), recorder.check_streams() as check:
        with recorder.scope("a"):
            pass
        assert check.warnings == ()
        assert check.pending == 1
        long_work()
        torch.cuda.current_stream().synchronize()  # meanwhile, the other stream is held
        latch.release()
        (message,) = messages(check)
    assert f"{side.cuda_stream:#x}" in message


def test_checks_leave_captures_alone(recorder: Recorder, side: torch.cuda.Stream) -> None:
    x = torch.ones(8, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with recorder.check_streams() as check:
        with torch.cuda.graph(graph, stream=side):
            with recorder.scope("captured"):
                y = x + 1
        graph.replay()
        assert messages(check) == []
    assert y.tolist() == [2.0] * 8


def test_backward_on_another_stream_is_seen(recorder: Recorder, side: torch.cuda.Stream) -> None:
    w = torch.ones(8, device="cuda", requires_grad=True)
    with torch.cuda.stream(side):
        loss = (w * w).sum()
    torch.cuda.synchronize()
    with recorder.check_streams() as check:
        with recorder.scope("backward"):
            loss.backward()
            torch.cuda.synchronize()
        found = messages(check)
    assert any(f"{side.cuda_stream:#x}" in message for message in found)


def test_compiled_code_still_compiles_in_a_check(recorder: Recorder) -> None:
    pytest.importorskip("triton")
    x = torch.ones(64, device="cuda")
    compiled = torch.compile(lambda x: (x + 1) * 2)
    expected = compiled(x)
    torch._dynamo.utils.counters.clear()
    with recorder.check_streams(), recorder.scope("a"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(compiled(x), expected)
    assert not torch._dynamo.utils.counters["graph_break"]

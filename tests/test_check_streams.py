# SPDX-License-Identifier: BSD-3-Clause
"""check_streams: warnings about streams that worked while a scope was open.

Most of it runs under torch's CUDA build on simulated devices, in forked processes.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable

import pytest
import simulated_cuda
import torch
from forked import Forking

import fasttime
from fasttime import Recorder
from fasttime.streams import describe_stream, describe_streams, stream_from

needs_cuda_13 = pytest.mark.skipif(
    not simulated_cuda.torch_can_be_simulated(), reason="torch here is not built for CUDA 13"
)

_START = """
import warnings
import binding, fasttime, torch
from simulated_cuda import Simulated

US = 1000
sim = Simulated.preloaded()
torch.cuda.init()
binding.use_clock_of(sim.lib)
x = torch.ones(8, device="cuda")
side = torch.cuda.Stream()
torch.cuda.synchronize()
sim.set_launch_time(250 * US)
recorder = fasttime.Recorder(share_boundaries=False, keep_samples=10)
warnings.simplefilter("ignore")

def on_side():
    with torch.cuda.stream(side):
        return x + x

def name_of(stream):
    return f"stream {stream.cuda_stream:#x} of cuda:{stream.device_index}"

def found(check):
    torch.cuda.synchronize()
    return [warning.message for warning in check.warnings]
"""


@pytest.fixture
def run(forking_with_gpus: Forking) -> Callable[[str], None]:
    def run(body: str) -> None:
        done = forking_with_gpus.run(
            f"import sys; sys.path.insert(0, {str(simulated_cuda.HERE)!r})\n"
            + _START
            + textwrap.dedent(body)
        )
        assert done.returncode == 0, done.stderr

    return run


# --- the classic reading ---


@needs_cuda_13
def test_work_that_the_scope_missed_is_named(run: Callable[[str], None]) -> None:
    run("""
    with recorder.check_streams() as check:
        with recorder.scope("step"):
            with recorder.scope("forward"):
                on_side()
                sim.enqueue(0, 5 * US)
        messages = found(check)
    assert check.checked == 2
    assert len(messages) == 2, messages
    assert messages[0] == (
        f"S{name_of(side)[1:]} ran while the scope step/forward was open: torch issued 1 operator "
        "on it and it kept working for 245.0 µs after the scope's end, and the scope's device time "
        "does not include that work. If the work belongs to the scope, let the scope's stream wait "
        "for it, or time both with scope(..., streams=[...]); otherwise pass the stream in "
        "check_streams(ignore=[...])."
    ), messages[0]
    assert "the scope step was open" in messages[1]
    assert [warning.kind for warning in check.warnings] == ["other_streams"] * 2
    recorder.report(wait=True)
    (sample,) = recorder.samples("step/forward")
    assert round(sample.device_time * 1e9) == 5 * US  # for 250 us of work
    """)


@needs_cuda_13
def test_work_on_the_scope_s_own_stream_is_fine(run: Callable[[str], None]) -> None:
    run("""
    with recorder.check_streams() as check:
        with recorder.scope("own"):
            x + x
        with recorder.scope("chosen", stream=side):
            on_side()
        with torch.cuda.stream(side), recorder.scope("current"):
            x + x
        with recorder.scope("both", streams=[side, torch.cuda.default_stream()]):
            on_side()
        assert found(check) == []
    assert check.checked == 4
    assert check.skipped == 0
    """)


@needs_cuda_13
def test_both_streams_together_see_the_work(run: Callable[[str], None]) -> None:
    run("""
    with recorder.check_streams() as check:
        with recorder.scope("both", streams=[side, torch.cuda.default_stream()]):
            on_side()
        assert found(check) == []
    recorder.report(wait=True)
    (sample,) = recorder.samples("both")
    assert round(sample.device_time * 1e9) == 250 * US
    """)


@needs_cuda_13
def test_finished_work_is_seen_by_its_operators(run: Callable[[str], None]) -> None:
    run("""
    with recorder.check_streams() as check:
        with recorder.scope("a"):
            on_side()
            on_side()
            torch.cuda.synchronize()
        (message,) = found(check)
    assert "issued 2 operators on it, and the scope's device time includes that work only if" in (
        message), message
    assert "kept working" not in message
    """)


@needs_cuda_13
def test_work_without_operators_is_seen_at_the_end(run: Callable[[str], None]) -> None:
    run("""
    with recorder.check_streams() as check:
        with recorder.scope("a"):
            sim.enqueue(side.cuda_stream, 250 * US)
        (message,) = found(check)
    assert "was open: it kept working for 250.0 µs after the scope's end, and" in message, message
    """)


@needs_cuda_13
def test_a_backward_s_operators_are_seen(run: Callable[[str], None]) -> None:
    run("""
    w = torch.ones(8, device="cuda", requires_grad=True)
    with torch.cuda.stream(side):
        y = (w * x).sum()
    torch.cuda.synchronize()
    with recorder.check_streams() as check:
        with recorder.scope("backward"):
            y.backward()
            torch.cuda.synchronize()
        messages = found(check)
    assert any(name_of(side)[1:] in message for message in messages), messages
    """)


@needs_cuda_13
def test_a_printed_check_says_what_it_saw(run: Callable[[str], None]) -> None:
    run("""
    with recorder.check_streams() as check:
        assert str(check) == "No scope was compared with other streams."
        with recorder.scope("own"):
            pass
        assert str(check) == "1 scope compared with other streams: no other stream at work."
        with recorder.scope("a"):
            on_side()
        captures = torch.cuda.Stream().cuda_stream
        sim.begin_capture(captures)
        with recorder.scope("b"):
            pass
        sim.end_capture(captures)
        assert str(check).splitlines() == [
            "3 scopes compared with other streams: no other stream at work.",
            "The device has yet to answer for 2 scopes.",
            "1 comparison gave no answer."], str(check)
        torch.cuda.synchronize()
        lines = str(check).splitlines()
        assert lines[0] == "3 scopes compared with other streams: 2 warnings.", lines
        assert lines[2:] == [str(warning) for warning in check.warnings], lines
    """)


# --- when to warn ---


@needs_cuda_13
def test_each_site_and_stream_warn_once(run: Callable[[str], None]) -> None:
    run("""
    other = torch.cuda.Stream()
    with recorder.check_streams() as check:
        for _ in range(5):
            with recorder.scope("a"):
                on_side()
            found(check)
        with recorder.scope("a"), torch.cuda.stream(other):
            x + x
        found(check)
        with recorder.scope("b"):
            on_side()
        messages = found(check)
    assert len(messages) == 3, messages
    """)


@needs_cuda_13
def test_ignored_streams_may_be_busy(run: Callable[[str], None]) -> None:
    run("""
    for ignored in (side, side.cuda_stream):
        with recorder.check_streams(ignore=[ignored]) as check:
            with recorder.scope("a"):
                on_side()
            assert found(check) == []
    """)


@needs_cuda_13
def test_views_and_allocations_are_no_work(run: Callable[[str], None]) -> None:
    run("""
    with recorder.check_streams() as check:
        with recorder.scope("a"), torch.cuda.stream(side):
            x.view(2, 4).t()[0].detach()
            torch.empty(5, device="cuda")
            torch.ones(3) + 1
            x.record_stream(side)
        assert found(check) == []
        with recorder.scope("a"), torch.cuda.stream(side):
            torch.zeros(5, device="cuda")
        assert len(found(check)) == 1
    """)


@needs_cuda_13
def test_operators_in_a_capture_are_no_work(run: Callable[[str], None]) -> None:
    run("""
    graph = torch.cuda.CUDAGraph()
    with recorder.check_streams() as check:
        with recorder.scope("a"):
            with torch.cuda.graph(graph, stream=side):
                x + x
        assert found(check) == []
    """)


@needs_cuda_13
def test_the_other_device_is_named(run: Callable[[str], None]) -> None:
    run("""
    z = torch.ones(8, device="cuda:1")
    torch.cuda.synchronize(1)
    with recorder.check_streams() as check:
        with recorder.scope("a"):
            z + z
        torch.cuda.synchronize(1)
        (message,) = found(check)
    assert message.startswith("The default stream of cuda:1 ran while the scope a was open: torch "
        "issued 1 operator on it"), message
    assert "give the work on that device a scope of its own" in message
    """)


@needs_cuda_13
def test_phases_are_checked_against_their_block(run: Callable[[str], None]) -> None:
    run("""
    with recorder.check_streams() as check:
        with recorder.phases("step") as phase:
            phase("a")
            x + x
            phase("b")
            on_side()
            torch.cuda.synchronize()
        messages = found(check)
    assert ["step/b" in messages[0], "step " in messages[1]] == [True, True], messages
    assert len(messages) == 2
    """)


# --- the block ---


@needs_cuda_13
def test_warnings_are_issued_as_soon_as_known(run: Callable[[str], None]) -> None:
    run("""
    with recorder.check_streams() as check:
        with recorder.scope("a"):
            on_side()
        torch.cuda.synchronize()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with recorder.scope("b"):
                pass
        assert [str(one.message) for one in caught] == [str(one) for one in check.warnings]
        assert len(caught) == 1
    """)


@needs_cuda_13
def test_the_end_of_the_block_tells_the_rest(run: Callable[[str], None]) -> None:
    run("""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with recorder.check_streams() as check:
            with recorder.scope("a"):
                on_side()
            with recorder.scope("b"):
                sim.enqueue(side.cuda_stream, 100 * US)
        assert [("scope a" in str(one.message)) for one in caught] == [True]
        torch.cuda.synchronize()
        recorder.report()
        assert ["scope a" in str(caught[0].message), "scope b" in str(caught[1].message)] == [1, 1]
    """)


@needs_cuda_13
def test_warnings_as_errors_end_with_the_block(run: Callable[[str], None]) -> None:
    run("""
    warnings.simplefilter("error")
    try:
        with recorder.check_streams():
            with recorder.scope("a"):
                on_side()
            torch.cuda.synchronize()
            with recorder.scope("b"):
                pass
    except fasttime.TimingWarning as warning:
        assert "the scope a" in warning.message
    else:
        raise AssertionError("no warning was raised")
    """)


@needs_cuda_13
def test_a_check_never_waits(run: Callable[[str], None]) -> None:
    run("""
    with recorder.check_streams() as check:
        sim.hold(side.cuda_stream)
        before = sim.now_ns
        with recorder.scope("a"):
            sim.enqueue(side.cuda_stream, US)
        assert check.warnings == ()
        assert sim.now_ns == before
        sim.release(side.cuda_stream)
        sim.advance(US)
    """)


@needs_cuda_13
def test_unused_devices_stay_unused_under_a_check(run: Callable[[str], None]) -> None:
    run("""
    sim.set_unused(1)
    with recorder.check_streams() as check:
        with recorder.scope("a"):
            on_side()
        assert len(found(check)) == 1
    assert not sim.is_started(1)
    """)


@needs_cuda_13
def test_a_mark_without_memory_leaves_nothing(run: Callable[[str], None]) -> None:
    run("""
    import sys

    class Short:
        pending = skipped = 0
        def read(self):
            return [], []
        def mark(self, number, own, others):
            raise MemoryError

    told = []
    sys.unraisablehook = lambda found: told.append(found.exc_type)
    with recorder.check_streams() as check:
        check._watch = Short()
        with recorder.scope("a"):
            pass
        assert told == [MemoryError], told
        assert (check._ended, check.checked) == ({}, 0)
    """)


@needs_cuda_13
def test_torch_hands_out_the_same_streams(run: Callable[[str], None]) -> None:
    run("""
    expected = [torch.cuda.Stream().cuda_stream for _ in range(32)]
    with recorder.check_streams():
        pass
    assert [torch.cuda.Stream().cuda_stream for _ in range(32)] == expected
    """)


@needs_cuda_13
def test_a_child_leaves_the_parent_s_streams_alone(run: Callable[[str], None]) -> None:
    run("""
    import os
    both = [side, torch.cuda.default_stream()]
    with recorder.check_streams() as check:
        sim.enqueue(side.cuda_stream, 250 * US)
        with recorder.scope("pending", streams=both):
            pass
        with recorder.scope("checked"):
            pass
        token = recorder.begin("open", streams=both)
        records = sim.calls("cudaEventRecord"), sim.calls("cuEventRecord")
        child = os.fork()
        if child == 0:
            recorder.end(token)
            with recorder.scope("child", streams=both):
                pass
            report = recorder.report()
            found = [site.path for site in report.walk()], report.open, report.pending
            now = sim.calls("cudaEventRecord"), sim.calls("cuEventRecord")
            good = found == (["child"], 0, 0) and now == records and check.warnings == ()
            os._exit(0 if good and report["child"].counts["host_only"] == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        recorder.end(token)
        assert ["scope checked" in message for message in found(check)] == [True]
    assert recorder.report(wait=True)["pending"].counts["ok"] == 1
    """)


def test_without_cuda_a_check_does_nothing(recorder: Recorder) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with recorder.check_streams() as check:
            with recorder.scope("a"):
                torch.ones(3) + 1
            with recorder.phases("b") as phase:
                phase("c")
    assert (check.warnings, check.checked, check.skipped, check.pending) == ((), 0, 0, 0)
    assert [site.path for site in recorder.report().walk()] == ["a", "b", "b/c"]
    assert str(check) == "CUDA is not in use, so no scope was compared with other streams."


def test_one_queue_for_all_streams_is_refused(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_DEVICE_MAX_CONNECTIONS", "1")
    with pytest.raises(RuntimeError, match="CUDA_DEVICE_MAX_CONNECTIONS=1: all streams then share"):
        recorder.check_streams()


def test_checks_do_not_nest(recorder: Recorder) -> None:
    with recorder.check_streams() as check:
        with (
            pytest.raises(RuntimeError, match="check_streams block of this recorder is open"),
            recorder.check_streams(),
        ):
            pass
        with recorder.scope("a"):
            pass
    with pytest.raises(RuntimeError, match="has run already"), check:
        pass
    with recorder.check_streams():
        pass


def test_a_check_that_cannot_begin_leaves_no_trace(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(note: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("fasttime.stream_check.OperatorWatch", fail)
        with pytest.raises(MemoryError), recorder.check_streams():
            pass
    with recorder.check_streams(), recorder.scope("a"):
        pass


def test_only_streams_can_be_ignored(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match=r"expected a torch.cuda.Stream or .* got 'side'"):
        recorder.check_streams(ignore=["side"])  # type: ignore[list-item]


def test_marks_for_other_tools_go_on(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    monkeypatch.setattr("fasttime.profiler_marks.begin", lambda name: log.append(name) or name)
    monkeypatch.setattr("fasttime.profiler_marks.end", lambda name: log.append(f"-{name}"))
    recorder.mark_nvtx()
    with recorder.check_streams(), recorder.scope("a"):
        pass
    with recorder.scope("b"):
        pass
    recorder.mark_nvtx(False)
    with recorder.check_streams(), recorder.scope("c"):
        pass
    assert log == ["a", "-a", "b", "-b"]


def test_streams_have_one_name_everywhere() -> None:
    assert describe_stream(1, 0x5581C0) == "stream 0x5581c0 of cuda:1"
    assert describe_stream(0, 0) == "the default stream of cuda:0"
    several = [(0, 0), (0, 16), (1, 17), (1, 18)]
    assert describe_streams(several[1:2]) == "stream 0x10 of cuda:0"
    assert describe_streams(several[:2]) == "the default stream of cuda:0 and stream 0x10 of cuda:0"
    assert describe_streams(several, most=2).endswith(", stream 0x10 of cuda:0 and 2 others")
    assert stream_from(77) == (-1, 77)
    assert fasttime.check_streams.__doc__

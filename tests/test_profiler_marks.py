# SPDX-License-Identifier: BSD-3-Clause
"""Scopes as ranges in other tools: a fake NVTX and torch.profiler."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from simulated_cuda import Simulated, in_thread

from fasttime import _C, Recorder, profiler_marks


class FakeNvtx:
    """Replaces torch.cuda.nvtx and collects the ranges that start and end."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str | int]] = []
        self.started = 0

    def range_start(self, name: str) -> int:
        self.calls.append(("start", name))
        self.started += 1
        return self.started

    def range_end(self, handle: int) -> None:
        self.calls.append(("end", handle))


@pytest.fixture
def nvtx(monkeypatch: pytest.MonkeyPatch) -> FakeNvtx:
    fake = FakeNvtx()
    monkeypatch.setattr(torch.cuda, "nvtx", fake)
    monkeypatch.setattr(torch._C, "_nvtx", object(), raising=False)
    return fake


@pytest.fixture
def marking(recorder: Recorder, nvtx: FakeNvtx) -> Iterator[Recorder]:
    recorder.mark_nvtx()
    yield recorder
    recorder.mark_nvtx(False)


def test_a_scope_is_a_range(marking: Recorder, nvtx: FakeNvtx) -> None:
    with marking.scope("a"):
        with marking.scope("b"):
            pass
    assert nvtx.calls == [("start", "a"), ("start", "b"), ("end", 2), ("end", 1)]


def test_ranges_are_off_by_default(recorder: Recorder, nvtx: FakeNvtx) -> None:
    with recorder.scope("a"):
        pass
    assert nvtx.calls == []


def test_begin_and_end_make_a_range_across_threads(marking: Recorder, nvtx: FakeNvtx) -> None:
    token = in_thread(lambda: marking.begin("a"))
    with marking.scope("b"):
        marking.end(token)
    assert nvtx.calls == [("start", "a"), ("start", "b"), ("end", 1), ("end", 2)]


def test_a_scope_entered_twice_makes_two_ranges(marking: Recorder, nvtx: FakeNvtx) -> None:
    scope = marking.scope("a")
    with scope, scope:
        pass
    assert nvtx.calls == [("start", "a"), ("start", "a"), ("end", 2), ("end", 1)]


def test_a_scope_begun_before_marking_has_no_range(recorder: Recorder, nvtx: FakeNvtx) -> None:
    outer, inner = recorder.scope("outer"), recorder.scope("inner")
    with outer, outer, inner:
        recorder.mark_nvtx()
    recorder.mark_nvtx(False)
    assert nvtx.calls == []


def test_a_range_ends_after_marking_stops(recorder: Recorder, nvtx: FakeNvtx) -> None:
    recorder.mark_nvtx()
    with recorder.scope("a"):
        recorder.mark_nvtx(False)
        with recorder.scope("b"):
            pass
    assert nvtx.calls == [("start", "a"), ("end", 1)]


def test_a_dropped_token_ends_its_range(marking: Recorder, nvtx: FakeNvtx) -> None:
    marking.begin("a")
    assert nvtx.calls == [("start", "a"), ("end", 1)]


def test_an_exception_ends_the_range_and_passes(marking: Recorder, nvtx: FakeNvtx) -> None:
    with pytest.raises(KeyError), marking.scope("a"):
        raise KeyError
    assert nvtx.calls == [("start", "a"), ("end", 1)]


@pytest.mark.parametrize("function", ["range_start", "range_end"])
def test_an_interrupt_in_a_mark_reaches_the_program(
    marking: Recorder, nvtx: FakeNvtx, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt  # as from a signal handler

    with monkeypatch.context() as patch:
        patch.setattr(nvtx, function, interrupted)
        with pytest.raises(KeyboardInterrupt), marking.scope("a"):
            pass
    with marking.scope("b"):
        pass
    report = marking.report()
    assert report.open == 0
    assert ("a" in report) == (function == "range_end")
    assert report["b"].count == 1


def test_an_interrupt_in_a_destructor_is_reported(
    marking: Recorder, nvtx: FakeNvtx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: reported.append(what.exc_type))
    monkeypatch.setattr(nvtx, "range_end", interrupted)
    marking.begin("a")
    assert reported == [KeyboardInterrupt]


def test_scopes_that_are_off_make_no_ranges(marking: Recorder, nvtx: FakeNvtx) -> None:
    marking.disable()
    assert not marking.enabled
    with marking.scope("off"):
        pass
    marking.enable()
    assert marking.enabled
    with marking.scope("on"):
        pass
    assert nvtx.calls == [("start", "on"), ("end", 1)]


def test_marking_does_not_switch_scopes_on(recorder: Recorder, nvtx: FakeNvtx) -> None:
    recorder.disable()
    recorder.mark_nvtx()
    assert not recorder.enabled
    with recorder.scope("a"):
        pass
    assert nvtx.calls == []


def test_a_decorated_function_is_a_range(marking: Recorder, nvtx: FakeNvtx) -> None:
    @marking.scope("decode")
    def decode() -> int:
        return 3

    assert decode() == 3
    assert nvtx.calls == [("start", "decode"), ("end", 1)]


def test_names_are_adapted_to_nvtx(marking: Recorder, nvtx: FakeNvtx) -> None:
    with marking.scope("a\0b\ud800"):
        pass
    assert nvtx.calls[0] == ("start", "a b?")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("broken", ["range_start", "range_end"])
def test_a_failing_nvtx_does_not_reach_the_scope(
    marking: Recorder, nvtx: FakeNvtx, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(nvtx, broken, fail)
    with pytest.raises(KeyError), marking.scope("a"):
        raise KeyError
    assert marking.report()["a"].count == 1


def test_a_mark_is_outside_the_scope_times(
    cuda: Simulated, marking: Recorder, nvtx: FakeNvtx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_start(name: str) -> int:
        cuda.advance(5_000_000)
        return 1

    monkeypatch.setattr(nvtx, "range_start", slow_start)
    with marking.scope("a"):
        cuda.advance(1_000_000)
    cuda.advance(1)
    assert marking.report()["a"].host.mean == 1e-3


@pytest.mark.filterwarnings("ignore:.*Profiler clears events:UserWarning")  # torch 2.11's own
def test_scopes_show_in_torch_profiler(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiler_marks, "_has_nvtx", lambda: False)  # as in a CPU build
    recorder.mark_nvtx()
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profile:
        with recorder.scope("my scope"):
            torch.ones(3) + 1
    with recorder.scope("unseen"):
        pass
    names = {event.name for event in profile.events()}
    assert "my scope" in names
    assert "unseen" not in names


def test_the_environment_can_ask_for_marks() -> None:
    script = (
        "import torch; calls = []\n"
        "class Fake:\n"
        "    def range_start(self, name): calls.append(name); return 1\n"
        "    def range_end(self, handle): pass\n"
        "torch.cuda.nvtx = Fake(); torch._C._nvtx = 1\n"
        "import fasttime\n"
        "with fasttime.scope('a'): pass\n"
        "print(calls)\n"
    )
    environment = {**os.environ, "FASTTIME_NVTX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['a']"


def test_the_destructor_of_a_mark_may_use_scopes(recorder: Recorder) -> None:
    class Begin:
        def __call__(self, name: str) -> None:
            pass

        def __del__(self) -> None:
            with recorder.scope("last"):
                pass

    _C.set_marks(recorder.scope, Begin(), lambda token: None)
    _C.set_marks(recorder.scope, None, None)
    assert recorder.report()["last"].count == 1

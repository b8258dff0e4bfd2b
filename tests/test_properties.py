# SPDX-License-Identifier: BSD-3-Clause
"""Random programs on simulated devices, and a model that says exactly what a report must tell."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from leftovers import pool_is_whole
from private_simulation import private_simulation, rebind
from simulated_cuda import GLOBAL, INVALID_CONTEXT, RELAXED, THREAD_LOCAL, Simulated
from stream_model import StreamModel, Work, elapsed_s

from fasttime import (
    Recorder,
    Report,
    Sample,
    SiteReport,
)

MS = 1_000_000
SETTINGS = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=250,
    stateful_step_count=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

Path_ = tuple[str, ...]
names = st.sampled_from(["a", "b", "c", "d/e", "\ud800", "(more)"])
lengths = st.sampled_from([0, 1, 999, 10_000, 123_457, MS, 3 * MS + 1, 77 * MS, 2_000 * MS])
# Not 201: if the driver returns 201, fasttime asks the runtime.
errors = st.sampled_from([1, 2, 35, 100, 101, 400, 401, 900, 901, 907, 999])
places = st.integers(0, 9)


@dataclass
class Scope:
    """One pass, as the model knows it."""

    path: Path_
    status: str
    begun_ns: int
    stream: int | None  # where it is pending or may be; None: nothing of it is on a device
    begin: Work | None = None
    end: Work | None = None
    host_ns: int | None = None
    generation: int = 0  # how often the recorder had been reset

    def as_sample(self) -> tuple[str, float | None, float | None]:
        device_s = None
        if self.status == "ok":
            assert self.begin is not None
            assert self.end is not None
            device_s = elapsed_s(self.begin, self.end)
        return (self.status, None if self.host_ns is None else self.host_ns * 1e-9, device_s)


@dataclass
class Open:
    """What the program holds of a scope that it began."""

    token: object
    scope: Scope | None  # None: scopes were switched off


class StreamObject:
    def __init__(self, handle: int, device: int) -> None:
        self.cuda_stream = handle
        self.device_index = device


@dataclass
class Bench:
    """The simulation and the handles of its streams: two default ones, four, and one to capture."""

    cuda: Simulated
    handles: list[int]
    devices: list[int]
    blocking: int


@pytest.fixture(scope="module")
def bench(simulated_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with private_simulation(simulated_library, tmp_path_factory.mktemp("properties")) as cuda:
        made = [cuda.create_stream(device) for device in (0, 0, 1, 1)]
        yield Bench(cuda, [0, 0, *made], [0, 1, 0, 0, 1, 1], cuda.create_stream(0, blocking=True))


class Program(RuleBasedStateMachine):
    """Drives one recorder and the model side by side."""

    def __init__(self, bench: Bench, shares: bool) -> None:
        super().__init__()
        self.bench = bench
        self.shares = shares
        self.cuda = bench.cuda
        self.cuda.reset()
        rebind(self.cuda)
        self.now_ns = self.cuda.now_ns
        self.streams = [StreamModel(device) for device in bench.devices]
        self.current = {0: 0, 1: 1}  # torch's current stream of each device, by index
        self.device = 0
        self.capturing: set[int] = set()
        self.is_blocking_captured = False
        self.held: set[int] = set()
        self.open: list[Open] = []  # in the order of their beginnings, as on a context's stack
        self.pending: list[Scope] = []
        self.resolved: list[Scope] = []  # since the last reset of the statistics
        self.kept: list[Scope] = []  # since the last reset of the recorder
        self.ended = 0
        self.forgotten = 0
        self.generation = 0
        self.is_enabled = True
        self.keep = 1000

    @initialize(keep=st.sampled_from([0, 1000]))
    def make(self, keep: int) -> None:
        self.keep = keep
        self.recorder = Recorder(keep_samples=keep, share_boundaries=self.shares)

    # --- the host and the devices

    @rule(ns=lengths)
    def advance(self, ns: int) -> None:
        self.cuda.advance(ns)
        self.now_ns += ns

    @rule(place=places, ns=lengths)
    def enqueue(self, place: int, ns: int) -> None:
        index = place % len(self.streams)
        with self.cuda.on_device(self.bench.devices[index]):
            self.cuda.enqueue(self.bench.handles[index], ns)
        if index not in self.capturing:  # else it goes into the graph
            self.streams[index].issue(self.now_ns, ns)

    @rule(place=places)
    def hold(self, place: int) -> None:
        index = place % len(self.streams)
        if index in self.capturing:
            return
        with self.cuda.on_device(self.bench.devices[index]):
            self.cuda.hold(self.bench.handles[index])
        self.streams[index].issue(self.now_ns, is_latch=True)
        self.held.add(index)

    @precondition(lambda self: self.held)
    @rule(place=places)
    def release(self, place: int) -> None:
        self.let_go(sorted(self.held)[place % len(self.held)])

    def let_go(self, index: int) -> None:
        with self.cuda.on_device(self.bench.devices[index]):
            self.cuda.release(self.bench.handles[index])
        self.streams[index].release(self.now_ns)
        self.held.discard(index)

    @rule(device=st.sampled_from([0, 1]))
    def set_device(self, device: int) -> None:
        self.cuda.set_device(device)
        self.device = device

    @rule(place=places)
    def set_current_stream(self, place: int) -> None:
        index = place % len(self.streams)
        device = self.bench.devices[index]
        self.cuda.set_current_stream(self.bench.handles[index], device)
        self.current[device] = index

    @rule(place=st.integers(2, 5), mode=st.sampled_from([GLOBAL, THREAD_LOCAL, RELAXED]))
    def begin_capture(self, place: int, mode: int) -> None:
        if place not in self.capturing:
            self.leave_share_window()
            self.cuda.begin_capture(self.bench.handles[place], mode)
            self.capturing.add(place)

    @precondition(lambda self: self.capturing)
    @rule(place=places)
    def end_capture(self, place: int) -> None:
        index = sorted(self.capturing)[place % len(self.capturing)]
        code, graph = self.cuda.end_capture(self.bench.handles[index])
        assert (code, graph != 0) == (0, True), "a capture was destroyed"
        self.capturing.discard(index)

    @rule()
    def toggle_blocking_capture(self) -> None:
        """A stream of cuda:0 that synchronises with its default stream begins or ends a capture."""
        self.leave_share_window()
        if self.is_blocking_captured:
            assert self.cuda.capture_nodes(self.bench.blocking) == 0
            assert self.cuda.end_capture(self.bench.blocking)[0] == 0
        else:
            self.cuda.begin_capture(self.bench.blocking)
        self.is_blocking_captured = not self.is_blocking_captured

    def leave_share_window(self) -> None:
        """Let 1 µs pass, so that the next boundary records an event.

        fasttime asks for captures only before it records an event. The begin of a real capture
        takes longer than the share window.
        """
        self.advance(1000)

    def captures(self, index: int) -> bool:
        return index in self.capturing or (index == 0 and self.is_blocking_captured)

    # --- scopes

    def parent(self) -> Path_:
        inside = [held.scope for held in self.open if held.scope is not None]
        return inside[-1].path if inside else ()

    def fault_on_boundary(self, kind: str, error: int) -> None:
        """Let the one boundary that comes next fail."""
        if kind == "record":
            assert not self.shares, "a boundary that is shared records nothing"
            self.cuda.fail("cudaEventRecord", error)
        elif kind == "capture check":
            self.cuda.fail("cuStreamIsCapturing", INVALID_CONTEXT)
            self.cuda.fail("cudaStreamIsCapturing", error)

    @rule(
        name=names,
        place=st.none() | places,
        kind=st.sampled_from(["", "", "", "record", "capture check", "current stream"]),
        error=errors,
        as_object=st.booleans(),
    )
    def begin(self, name: str, place: int | None, kind: str, error: int, as_object: bool) -> None:
        index = self.current[self.device] if place is None else place % len(self.streams)
        stream: object = None
        if place is not None:
            handle, device = self.bench.handles[index], self.bench.devices[index]
            stream = handle if device == self.device and not as_object else None
            stream = StreamObject(handle, device) if stream is None else stream
        if not self.is_enabled:
            self.open.append(Open(self.recorder.begin(name, stream=stream), None))  # type: ignore[arg-type]
            return

        if kind == "capture check":
            self.leave_share_window()
        scope = Scope((*self.parent(), name), "ok", self.now_ns, index)
        scope.generation = self.generation
        if kind == "current stream" and place is None:
            self.cuda.fail("aoti_torch_get_current_cuda_stream", 1)
            scope.status = "failed"
        elif kind == "capture check":
            self.fault_on_boundary(kind, error)
            scope.status = "failed"
        elif self.captures(index):
            scope.status = "captured"
        elif kind == "record" and not self.shares:
            self.fault_on_boundary(kind, error)
            scope.status = "failed"
        token = self.recorder.begin(name, stream=stream)  # type: ignore[arg-type]
        if scope.status == "ok":
            scope.begin = self.streams[index].issue(self.now_ns)
        else:
            scope.stream = None
        self.open.append(Open(token, scope))

    @precondition(lambda self: self.open)
    @rule(which=places, kind=st.sampled_from(["", "", "record", "capture check"]), error=errors)
    def end(self, which: int, kind: str, error: int) -> None:
        """End any of the open scopes, in any order."""
        held = self.open.pop(-1 - which % min(4, len(self.open)))
        scope = held.scope
        if scope is not None and scope.stream is not None:
            if kind == "capture check":
                self.leave_share_window()
                self.fault_on_boundary(kind, error)
                scope.status = "failed"
            elif self.captures(scope.stream):
                scope.status = "captured"
            elif kind == "record" and not self.shares:
                self.fault_on_boundary(kind, error)
                scope.status = "failed"
        self.recorder.end(held.token)  # type: ignore[arg-type]
        if scope is None:
            return
        scope.host_ns = self.now_ns - scope.begun_ns
        if scope.status == "ok":
            assert scope.stream is not None
            scope.end = self.streams[scope.stream].issue(self.now_ns)
        self.is_over(scope)

    @precondition(lambda self: self.open)
    @rule(which=places)
    def throw_away(self, which: int) -> None:
        scope = self.open.pop(-1 - which % min(4, len(self.open))).scope
        if scope is not None:
            scope.status = "dropped"
            self.is_over(scope)

    def is_over(self, scope: Scope) -> None:
        self.ended += 1
        self.pending.append(scope)
        self.resolve()

    @rule(depth=st.integers(1, 4), ns=lengths, reuse=st.booleans())
    def nested_with(self, depth: int, ns: int, reuse: bool) -> None:
        """A ladder of with-blocks on the current stream; the same object may be entered again."""
        index = self.current[self.device]
        if not self.is_enabled or self.captures(index):
            return
        stream = self.streams[index]
        scopes = []
        again = self.recorder.scope("n0")
        with ExitStack() as stack:
            path = self.parent()
            for level in range(depth):
                path = (*path, "n0" if reuse else f"n{level}")
                stack.enter_context(again if reuse else self.recorder.scope(path[-1]))
                scope = Scope(path, "ok", self.now_ns, index, stream.issue(self.now_ns))
                scope.generation = self.generation
                scopes.append(scope)
            self.enqueue(index, ns)
        for scope in reversed(scopes):
            scope.end = stream.issue(self.now_ns)
            scope.host_ns = 0
            self.is_over(scope)

    @rule(on=st.booleans())
    def switch(self, on: bool) -> None:
        self.recorder.enable() if on else self.recorder.disable()
        self.is_enabled = on

    # --- reading

    def resolve(self) -> None:
        """What the device has done by now is read, in the order of the ends on each stream."""
        waiting: set[int] = set()
        for scope in list(self.pending):
            if scope.stream is not None:
                last = scope.end or scope.begin
                assert last is not None
                if scope.stream in waiting or last.done_ns is None or last.done_ns > self.now_ns:
                    waiting.add(scope.stream)
                    continue
            self.pending.remove(scope)
            if scope.generation == self.generation:
                self.resolved.append(scope)
                self.kept.append(scope)
            else:
                self.forgotten += 1

    @rule(reset=st.booleans())
    def report(self, reset: bool) -> None:
        reset = reset and not self.shares
        self.check(self.recorder.report(reset=reset), reset)

    @rule(reset=st.booleans(), timeout=st.sampled_from([0, 0.001, 0.05, 4]))
    def report_and_wait(self, reset: bool, timeout: float) -> None:
        reset = reset and not self.shares
        report = self.recorder.report(wait=True, reset=reset, timeout=timeout)
        waited_ns = self.cuda.now_ns - self.now_ns
        assert waited_ns <= timeout * 1e9 + 1
        self.now_ns += waited_ns
        self.check(report, reset)

    @precondition(lambda self: not self.shares)
    @rule()
    def reset(self) -> None:
        self.recorder.reset()
        self.resolve_before_reset()

    def resolve_before_reset(self) -> None:
        self.forgotten += len(self.resolved)
        self.resolved.clear()
        self.kept.clear()
        self.generation += 1

    @precondition(lambda self: self.keep > 0 and not self.shares)
    @rule()
    def samples(self) -> None:
        self.resolve()
        by_path: dict[str, list[Scope]] = {}
        for scope in self.kept:
            by_path.setdefault("/".join(scope.path), []).append(scope)
        for path, scopes in by_path.items():
            if len({scope.path for scope in scopes}) > 1:
                continue  # two sites whose names make the same path
            kept = self.recorder.samples(path)
            assert Counter(map(as_told, kept)) == Counter(scope.as_sample() for scope in scopes)

    def check(self, report: Report, reset: bool) -> None:
        """Compare all that a report says with the model."""
        self.resolve()
        assert report.backend == "cuda"
        assert report.open == sum(held.scope is not None for held in self.open)
        if self.shares and self.pending:
            # A borrowed event may be done before one of its own would have been.
            assert report.pending <= len(self.pending)
            return
        assert report.pending == len(self.pending)
        expected: dict[Path_, list[Scope]] = {}
        for scope in self.resolved:
            expected.setdefault(scope.path, []).append(scope)
        seen = dict(sites_with_something(report.sites))
        assert set(seen) == set(expected)
        for path, scopes in expected.items():
            check_site(seen[path], scopes)
            if not self.shares:
                check_device_times(seen[path], scopes)
        if reset:
            self.forgotten += len(self.resolved)
            self.resolved.clear()

    @invariant()
    def every_scope_is_somewhere(self) -> None:
        assert self.ended == len(self.pending) + len(self.resolved) + self.forgotten

    @invariant()
    def nothing_is_broken(self) -> None:
        assert self.cuda.rerecorded_in_flight == 0, "an event was used again while in flight"
        assert self.cuda.used_after_destroy == 0
        assert self.cuda.peek_error() == 0, "an error of ours was left for torch to find"
        assert self.cuda.device() == self.device
        for index in self.capturing:
            assert self.cuda.capture_alive(self.bench.handles[index])

    def teardown(self) -> None:
        if not hasattr(self, "recorder"):
            return
        for index in list(self.held):
            self.let_go(index)
        for index in self.capturing:
            assert self.cuda.end_capture(self.bench.handles[index])[0] == 0
        if self.is_blocking_captured:
            assert self.cuda.end_capture(self.bench.blocking)[0] == 0
        self.capturing.clear()
        self.is_blocking_captured = False
        while self.open:
            self.end(0, "", 0)
        self.advance(3600 * 1000 * MS)
        self.report(reset=False)
        assert self.pending == []
        del self.recorder
        assert pool_is_whole(0)
        assert pool_is_whole(1)


def as_told(sample: Sample) -> tuple[str, float | None, float | None]:
    return (sample.status, sample.host_time, sample.device_time)


def sites_with_something(
    sites: tuple[SiteReport, ...], above: Path_ = ()
) -> Iterator[tuple[Path_, SiteReport]]:
    """Each site at which something was counted, by the names that lead to it."""
    for site in sites:
        path = (*above, site.name)
        if site.count:
            yield path, site
        yield from sites_with_something(site.children, path)


def check_site(site: SiteReport, scopes: list[Scope]) -> None:
    told = [scope.as_sample() for scope in scopes]
    statuses = Counter(status for status, _, _ in told)
    assert {status: count for status, count in site.counts.items() if count} == statuses
    host = [seconds for _, seconds, _ in told if seconds is not None]
    assert site.host.count == len(host)
    if host:
        assert (site.host.min, site.host.max) == (min(host), max(host))


def check_device_times(site: SiteReport, scopes: list[Scope]) -> None:
    device = [seconds for *_, seconds in map(Scope.as_sample, scopes) if seconds is not None]
    assert (site.device is not None) == bool(device)
    if site.device is not None:
        assert site.device.count == len(device)
        assert (site.device.min, site.device.max) == (min(device), max(device))
        assert site.device.total == pytest.approx(sum(device), rel=1e-12)
    assert site.shared_boundaries == 0


def test_a_report_agrees_with_the_model(bench: Bench) -> None:
    run_state_machine_as_test(lambda: Program(bench, shares=False), settings=SETTINGS)


def test_shared_boundaries_count_every_scope(bench: Bench) -> None:
    run_state_machine_as_test(
        lambda: Program(bench, shares=True), settings=settings(SETTINGS, max_examples=100)
    )


@settings(SETTINGS, max_examples=100)
@given(st.lists(st.integers(0, 5).map(lambda keep: ("keep", keep)) | st.just(("scope", 0))))
def test_the_samples_kept_are_the_last_ones_in_order(
    bench: Bench, steps: list[tuple[str, int]]
) -> None:
    """However often the number to keep changes on the way."""
    cuda = bench.cuda
    cuda.reset()
    rebind(cuda)
    recorder = Recorder(share_boundaries=False)
    kept: deque[float] = deque(maxlen=0)
    for number, (step, keep) in enumerate([*steps, ("scope", 0)], start=1):
        if step == "keep":
            recorder.keep_samples(keep)
            kept = deque(kept, maxlen=keep)
            continue
        with recorder.scope("a"):
            cuda.enqueue(0, number * MS)
        kept.append(number)
        cuda.advance(10_000 * MS)
        if not kept.maxlen:
            with pytest.raises(RuntimeError, match="keeps no samples"):
                recorder.samples("a")
            continue
        told = [round(sample.device_time * 1e3) for sample in recorder.samples("a")]
        assert told == list(kept)

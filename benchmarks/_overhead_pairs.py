# SPDX-License-Identifier: BSD-3-Clause
"""The paired rows of scope_overhead.py: each row runs beside a row of its yardstick."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter_ns

import torch
from _paired import Latch, Paired

from fasttime import Recorder
from fasttime.experiments import output

# Runs this many empty blocks in a row, each timed.
Way = Callable[[int], object]

# The conditions. In the first two, a latch holds the stream, so there is nothing to read.
# Recording alone: just before the row, the library has read a scope. So it knows that the launch
# queue is not full, and its records keep the GIL. This is the normal case.
# Device far behind: the library has read nothing for a while. The queue could be full, so each
# record releases the GIL.
ALONE, BEHIND = "recording alone", "device far behind"
SUSTAINED, READING, OFF = "sustained", "reading alone", "disabled"
HELD = (ALONE, BEHIND)

RAW, RAW_DRIVER = "raw pair in C", "raw pair in C, driver API"
RAW_WITH = "raw pair behind a bare with"
NULLCONTEXT = "contextlib.nullcontext"
SCOPE, TWO_RECORDS = "fasttime scope", "fasttime scope, two records"
BEGIN_END = "fasttime begin, end"
DISABLED = "fasttime scope, disabled"

# A held launch queue has about 1,000 entries: room for all records of a row.
MOST_HELD = 150
# A primed row must end before the records of the library release the GIL again (see KNOWN_IDLE_NS).
MOST_PRIMED = 40
# The library keeps the GIL this long after the last moment at which it knows the device was idle:
# kQueueFillNs in csrc/core/recorder_boundary.cpp.
KNOWN_IDLE_NS = 300_000
TO_READ = 480
MOST_READING_NS = 250.0
THREADS = (1, 2, 4, 8)
# Summing these takes more than the 250 ns in which two scopes may share an event.
SPACER = tuple(range(100))


@dataclass(frozen=True)
class Subject:
    """A way to time empty blocks, and its yardstick.

    With `less`, the subject is the difference between the two ways, divided by `parts`.
    """

    name: str
    condition: str
    way: Way
    beside: str
    target: float | None
    less: Way | None = None
    parts: int = 1


def spaced_ways(recorder: Recorder) -> dict[str, Way]:
    """Return groups of one and of three scopes. Scopes of different groups share no event."""
    scope, space = recorder.scope, sum

    def one(blocks: int) -> None:
        for _ in range(blocks):
            space(SPACER)
            with scope("a"):
                pass

    def nested(blocks: int) -> None:
        for _ in range(blocks):
            space(SPACER)
            with scope("a"), scope("b"), scope("c"):
                pass

    def in_a_row(blocks: int) -> None:
        for _ in range(blocks):
            space(SPACER)
            with scope("a"):
                pass
            with scope("b"):
                pass
            with scope("c"):
                pass

    return {"one": one, "nested": nested, "in a row": in_a_row}


def _spin(ns: int) -> None:
    end = perf_counter_ns() + ns
    while perf_counter_ns() < end:
        pass


class Pairs:
    """Measures subjects beside their yardsticks, on the current device."""

    def __init__(self, ways: dict[str, Way], recorders: Sequence[Recorder]) -> None:
        self._yardsticks = {name: ways[name] for name in (RAW, RAW_DRIVER, NULLCONTEXT)}
        self._stream = torch.cuda.current_stream().cuda_stream
        self._latch: Latch | None = None
        with contextlib.suppress(OSError, AttributeError):
            latch = Latch()
            latch.hold(self._stream)
            self._latch = latch
        self._release()
        self._sharing = Recorder()
        self._recorders = [*recorders, self._sharing]
        self._raw_ways = [ways[name] for name in (RAW, RAW_DRIVER, RAW_WITH)]
        self._primed_rows = self._late_rows = 0
        self.subjects = [Subject("disabled scope", OFF, ways[DISABLED], NULLCONTEXT, 1.0)]
        spaced = spaced_ways(self._sharing)
        for condition in (ALONE, BEHIND, SUSTAINED):
            # The normal case has the targets.
            has_targets = condition == ALONE
            for name, beside, target in (
                (TWO_RECORDS, RAW, 1.15),
                (BEGIN_END, RAW, 1.15),
                (SCOPE, RAW, None),
                (RAW_WITH, RAW, None),
                (TWO_RECORDS, RAW_DRIVER, None),
                (RAW_DRIVER, RAW, None),
            ):
                self.subjects.append(
                    Subject(name, condition, ways[name], beside, target if has_targets else None)
                )
            for name in ("nested", "in a row"):
                self.subjects.append(
                    Subject(
                        f"each further scope, {name}",
                        condition,
                        spaced[name],
                        RAW,
                        0.65 if has_targets else None,
                        less=spaced["one"],
                        parts=2,
                    )
                )

    @property
    def can_hold(self) -> bool:
        """Whether streams can be held. Without that, only sustained rows are measured."""
        return self._latch is not None

    def shared(self) -> float:
        """Return the share of scopes that could share an event and did."""
        sites = list(self._sharing.report(wait=True).walk())
        further = [site for site in sites if site.name != "a"]
        return sum(s.shared_boundaries for s in further) / max(1, sum(s.count for s in further))

    def late_rows(self) -> float:
        """Return the share of primed rows in which the last records may have released the GIL."""
        return self._late_rows / max(1, self._primed_rows)

    def _release(self) -> None:
        if self._latch is not None:
            self._latch.release()
        torch.cuda.synchronize()

    def _settle(self) -> None:
        for recorder in self._recorders:
            recorder._core.poll()

    def _prime(self) -> int:
        """Let each recorder read one scope. Return when the first of these scopes began, in ns."""
        begun = perf_counter_ns()
        for recorder in self._recorders:
            with recorder.scope("a"):
                pass
        torch.cuda.synchronize()
        self._settle()
        return begun

    def _row(self, way: Way, blocks: int, condition: str) -> float:
        """Return ns per block. Priming, holding, releasing and reading are outside the time."""
        primed = 0
        if condition in HELD:
            self._settle()
            if condition == ALONE:
                primed = self._prime()
            assert self._latch is not None
            self._latch.hold(self._stream)
            if condition == BEHIND:
                _spin(KNOWN_IDLE_NS)
        begin = perf_counter_ns()
        way(blocks)
        end = perf_counter_ns()
        if condition in HELD:
            self._release()
        torch.cuda.synchronize()
        if condition == ALONE and way not in self._raw_ways:
            self._primed_rows += 1
            self._late_rows += end - primed > KNOWN_IDLE_NS
        return (end - begin) / blocks

    def _cost(self, subject: Subject, blocks: int) -> float:
        if subject.less is None:
            return self._row(subject.way, blocks, subject.condition)
        groups = max(1, blocks // (1 + subject.parts))
        whole = self._row(subject.way, groups, subject.condition)
        return (whole - self._row(subject.less, groups, subject.condition)) / subject.parts

    def measure(
        self, *, blocks: int, warmup: int, rows: int, rounds: int, seed: int
    ) -> list[Paired]:
        """Let all subjects take turns, each row beside a row of its yardstick."""
        subjects = [s for s in self.subjects if self.can_hold or s.condition not in HELD]
        made = {s: Paired(s.name, s.condition, s.beside, "ns", s.target, [], []) for s in subjects}
        order = random.Random(seed)
        plan = [s for _ in range(rounds) for s in order.sample(subjects, len(subjects))]
        most = {ALONE: MOST_PRIMED, BEHIND: MOST_HELD}
        for subject in output.track(plan, "pairs of rows"):
            count = min(blocks, most.get(subject.condition, blocks))
            values, yardsticks = [], []
            for row in range(warmup + rows):
                # They alternate, so that the second place is not always the yardstick's.
                for mine in (row % 2 == 0, row % 2 == 1):
                    if mine:
                        values.append(self._cost(subject, count))
                    else:
                        beside = self._yardsticks[subject.beside]
                        yardsticks.append(self._row(beside, count, subject.condition))
            made[subject].values.append(values[warmup:])
            made[subject].yardsticks.append(yardsticks[warmup:])
        self._settle()
        return list(made.values())

    def reading(self, *, warmup: int, rows: int, rounds: int) -> list[Paired]:
        """Return the time to read one sample. The yardstick is the target itself."""
        if self._latch is None:
            return []
        recorder = Recorder(share_boundaries=False)
        name = f"reading {TO_READ} samples, each"
        made = Paired(name, READING, f"{MOST_READING_NS:.0f} ns", "ns", 1.0)
        for _ in range(rounds):
            seen = []
            for _ in range(warmup + rows):
                self._latch.hold(self._stream)
                for _ in range(TO_READ):
                    with recorder.scope("name"):
                        pass
                self._release()
                begin = perf_counter_ns()
                recorder._core.poll()
                seen.append((perf_counter_ns() - begin) / TO_READ)
            made.values.append(seen[warmup:])
            made.yardsticks.append([MOST_READING_NS] * rows)
        report = recorder.report(wait=True)
        if report["name"].counts["ok"] != rounds * (warmup + rows) * TO_READ:
            raise RuntimeError(f"some scopes have no device time: {report['name'].counts}")
        return [made]

    def threads(self, *, blocks: int, warmup: int, rows: int, rounds: int) -> list[Paired]:
        """Return the wall time per scope when 1, 2, 4 and 8 Python threads run scopes."""
        recorder = Recorder(share_boundaries=False)
        made = []
        with ThreadPoolExecutor(max(THREADS)) as pool:
            streams = [torch.cuda.Stream() for _ in range(max(THREADS))]

            def row(count: int) -> float:
                barrier = threading.Barrier(count)

                def body(stream: torch.cuda.Stream) -> tuple[int, int]:
                    scope = recorder.scope
                    with torch.cuda.stream(stream):
                        barrier.wait(60)
                        begin = perf_counter_ns()
                        for _ in range(blocks):
                            with scope("name"):
                                pass
                        return begin, perf_counter_ns()

                spans = list(pool.map(body, streams[:count]))
                torch.cuda.synchronize()
                ends, begins = max(end for _, end in spans), min(begin for begin, _ in spans)
                return (ends - begins) / (blocks * count)

            for count in THREADS:
                name = f"Python threads: {count}, wall time per scope"
                paired = Paired(name, SUSTAINED, "1 Python thread", "ns", None)
                for _ in range(rounds):
                    pairs = [(row(count), row(1)) for _ in range(warmup + rows)][warmup:]
                    paired.values.append([mine for mine, _ in pairs])
                    paired.yardsticks.append([one for _, one in pairs])
                made.append(paired)
        recorder.report(wait=True)
        return made

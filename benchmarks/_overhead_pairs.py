# SPDX-License-Identifier: BSD-3-Clause
"""What scope_overhead.py has targets for: each row with a row of its yardstick beside it."""

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

Way = Callable[[int], object]

ALONE, SUSTAINED, READING, OFF = "recording alone", "sustained", "reading alone", "switched off"
RAW, NULLCONTEXT = "raw pair in C", "contextlib.nullcontext"
RAW_WITH = "raw pair behind a bare with"
# A held queue of some 1,000 entries takes all that a row records.
MOST_HELD = 150
TO_READ = 480
MOST_READING_NS = 250.0
THREADS = (1, 2, 4, 8)
# Between two groups of scopes, so that they share no event with one another: above 250 ns.
SPACER = tuple(range(100))


@dataclass(frozen=True)
class Subject:
    """What is measured, per section: `way`, less `less` where only what was added counts."""

    name: str
    condition: str
    way: Way
    beside: str
    target: float | None
    less: Way | None = None
    parts: int = 1  # how many scopes of a group the difference is made of


def spaced_ways(recorder: Recorder) -> dict[str, Way]:
    """Return groups of one and of three scopes, with a pause between groups that is in all."""
    scope, space = recorder.scope, sum

    def one(sections: int) -> None:
        for _ in range(sections):
            space(SPACER)
            with scope("a"):
                pass

    def nested(sections: int) -> None:
        for _ in range(sections):
            space(SPACER)
            with scope("a"), scope("b"), scope("c"):
                pass

    def in_a_row(sections: int) -> None:
        for _ in range(sections):
            space(SPACER)
            with scope("a"):
                pass
            with scope("b"):
                pass
            with scope("c"):
                pass

    return {"one": one, "nested": nested, "in a row": in_a_row}


class Pairs:
    """Measures subjects beside their yardsticks, on the current device."""

    def __init__(self, ways: dict[str, Way], recorders: Sequence[Recorder]) -> None:
        self._yardsticks = {name: ways[name] for name in (RAW, NULLCONTEXT)}
        self._stream = torch.cuda.current_stream().cuda_stream
        self._latch: Latch | None = None
        with contextlib.suppress(OSError, AttributeError):
            self._latch = Latch()
            self._latch.hold(self._stream)
        self._release()
        self._sharing = Recorder()
        self._recorders = [*recorders, self._sharing]
        spaced = spaced_ways(self._sharing)
        self.subjects = [
            Subject("disabled scope", OFF, ways["fasttime scope, disabled"], NULLCONTEXT, 1.0)
        ]
        for condition in (ALONE, SUSTAINED):
            judged = condition == ALONE
            for name, target in (
                ("fasttime scope, two records", 1.15),
                ("fasttime begin, end", 1.15),
                ("fasttime scope", None),
                (RAW_WITH, None),
            ):
                self.subjects.append(
                    Subject(name, condition, ways[name], RAW, target if judged else None)
                )
            for name in ("nested", "in a row"):
                self.subjects.append(
                    Subject(
                        f"each further scope, {name}",
                        condition,
                        spaced[name],
                        RAW,
                        0.65 if judged else None,
                        less=spaced["one"],
                        parts=2,
                    )
                )

    @property
    def can_hold(self) -> bool:
        """Whether streams can be held, without which there is no recording alone."""
        return self._latch is not None

    def shared(self) -> float:
        """Return which part of the scopes that could share an event did."""
        self._sharing.report(wait=True)
        sites = list(self._sharing.report().walk())
        further = [site for site in sites if site.name != "a"]
        return sum(s.shared_boundaries for s in further) / max(1, sum(s.count for s in further))

    def _release(self) -> None:
        if self._latch is not None:
            self._latch.release()
        torch.cuda.synchronize()

    def _settle(self) -> None:
        for recorder in self._recorders:
            recorder._core.poll()

    def _row(self, way: Way, sections: int, condition: str) -> float:
        """Return ns a section; what holds, releases and reads is outside of the measured time."""
        if condition == ALONE:
            self._settle()
            assert self._latch is not None
            self._latch.hold(self._stream)
        begin = perf_counter_ns()
        way(sections)
        end = perf_counter_ns()
        if condition == ALONE:
            self._release()
        torch.cuda.synchronize()
        return (end - begin) / sections

    def _cost(self, subject: Subject, sections: int) -> float:
        if subject.less is None:
            return self._row(subject.way, sections, subject.condition)
        groups = max(1, sections // (1 + subject.parts))
        whole = self._row(subject.way, groups, subject.condition)
        return (whole - self._row(subject.less, groups, subject.condition)) / subject.parts

    def measure(
        self, *, sections: int, warmup: int, rows: int, rounds: int, seed: int
    ) -> list[Paired]:
        """Let all subjects take turns, each row beside one of its yardstick."""
        subjects = [s for s in self.subjects if self.can_hold or s.condition != ALONE]
        made = {s: Paired(s.name, s.condition, s.beside, "ns", s.target, [], []) for s in subjects}
        order = random.Random(seed)
        plan = [s for _ in range(rounds) for s in order.sample(subjects, len(subjects))]
        for subject in output.track(plan, "pairs of rows"):
            count = min(sections, MOST_HELD) if subject.condition == ALONE else sections
            values, yardsticks = [], []
            for row in range(warmup + rows):
                # In turn, so that neither is always the one that comes second.
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
        """Return what resolving a sample takes; the yardstick is the bound itself."""
        if self._latch is None:
            return []
        recorder = Recorder(share_boundaries=False)
        name = f"resolving {TO_READ} samples, each"
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
            raise RuntimeError(f"not all scopes were read: {report['name'].counts}")
        return [made]

    def threads(self, *, sections: int, warmup: int, rows: int, rounds: int) -> list[Paired]:
        """Return what a scope takes where so many Python threads run some, to one thread's."""
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
                        for _ in range(sections):
                            with scope("name"):
                                pass
                        return begin, perf_counter_ns()

                spans = list(pool.map(body, streams[:count]))
                torch.cuda.synchronize()
                ends, begins = max(end for _, end in spans), min(begin for begin, _ in spans)
                return (ends - begins) / (sections * count)

            for count in THREADS:
                name = f"Python threads: {count}; wall time a scope"
                paired = Paired(name, SUSTAINED, "1 Python thread", "ns", None)
                for _ in range(rounds):
                    pairs = [(row(count), row(1)) for _ in range(warmup + rows)][warmup:]
                    paired.values.append([mine for mine, _ in pairs])
                    paired.yardsticks.append([one for _, one in pairs])
                made.append(paired)
        recorder.report(wait=True)
        return made

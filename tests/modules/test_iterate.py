# SPDX-License-Identifier: BSD-3-Clause
"""Iterating with a timed wait: every item counts, and the end of the loop does not."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from simulated_cuda import Simulated
from torch.utils.data import DataLoader

import fasttime

MS = 1_000_000


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    fasttime.reset()
    yield
    assert fasttime.report().open == 0
    fasttime.reset()


def waits(path: str = "data") -> int:
    return fasttime.report()[path].count if path in fasttime.report() else 0


def generator() -> Iterator[int]:
    yield from range(3)


class OldStyle:
    """Iterable through __getitem__ alone."""

    def __getitem__(self, index: int) -> int:
        if index == 3:
            raise IndexError
        return index


@pytest.mark.parametrize(
    "make", [lambda: [0, 1, 2], generator, lambda: iter(range(3)), OldStyle, lambda: range(3)]
)
def test_each_item_counts_once(make: Callable[[], object]) -> None:
    assert list(fasttime.iterate(make(), "data")) == [0, 1, 2]  # type: ignore[arg-type]
    assert waits() == 3
    assert fasttime.report()["data"].host.count == 3
    assert fasttime.report().dropped == 0


def test_an_empty_iterable_counts_nothing() -> None:
    assert list(fasttime.iterate([])) == []
    assert "data" not in fasttime.report()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_loader_works(workers: int) -> None:
    loader = DataLoader(range(6), batch_size=2, num_workers=workers)  # type: ignore[arg-type]
    timed = fasttime.iterate(loader, "data")
    for _ in range(2):  # two epochs
        assert [batch.tolist() for batch in timed] == [[0, 1], [2, 3], [4, 5]]
    assert waits() == 6
    assert len(timed) == 3
    assert timed.batch_size == 2


def test_only_the_wait_counts(cuda: Simulated) -> None:
    def slow() -> Iterator[int]:
        for item in range(2):
            cuda.advance(3 * MS)
            yield item
        cuda.advance(50 * MS)

    for _ in fasttime.iterate(slow()):
        cuda.advance(20 * MS)
    assert fasttime.report()["data"].host.total == pytest.approx(6e-3)


def test_the_missed_end_leaves_no_event_and_no_span(cuda: Simulated) -> None:
    with fasttime.record_timeline() as timeline:
        for _ in fasttime.iterate([1, 2]):
            cuda.enqueue(0, MS)
        cuda.advance(10 * MS)
        report = fasttime.report(wait=True)
    assert report["data"].counts["ok"] == 2
    assert (report.open, report.pending, report.dropped) == (0, 0, 0)
    assert [span.path for span in timeline.spans] == ["data", "data"]
    assert timeline.warnings == ()


def test_a_break_ends_the_loop_cleanly() -> None:
    closed = []

    def watched() -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            closed.append(True)

    for item in fasttime.iterate(watched()):
        if item == 1:
            break
    assert waits() == 2
    assert closed == [True]


def test_an_exception_passes_and_counts() -> None:
    def broken() -> Iterator[int]:
        yield 0
        raise OSError("no such sample")

    with pytest.raises(OSError, match="no such sample"):
        list(fasttime.iterate(broken()))
    assert waits() == 2


def test_scopes_inside_are_children_of_the_wait() -> None:
    def decoding() -> Iterator[int]:
        for item in range(2):
            with fasttime.scope("decode"):
                pass
            yield item

    with fasttime.scope("step"):
        for _ in fasttime.iterate(decoding()):
            with fasttime.scope("forward"):
                pass
    assert waits("step/data") == 2
    assert waits("step/data/decode") == 2
    assert waits("step/forward") == 2


def test_loops_in_threads_do_not_mix() -> None:
    timed = fasttime.iterate([1, 2, 3])
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(list(timed))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[1, 2, 3]] * 4
    assert waits() == 12


def test_switched_off_it_only_iterates() -> None:
    fasttime.disable()
    try:
        assert list(fasttime.iterate([1, 2])) == [1, 2]
    finally:
        fasttime.enable()
    assert waits() == 0


def test_switching_off_in_the_middle_is_safe() -> None:
    def switching() -> Iterator[int]:
        yield 1
        fasttime.disable()

    try:
        assert list(fasttime.iterate(switching())) == [1]
    finally:
        fasttime.enable()
    assert waits() == 1


class NotIterable:
    __iter__ = None


@pytest.mark.parametrize("wrong", [3, None, torch.nn.Linear(1, 1), NotIterable()])
def test_what_cannot_be_iterated_is_refused_at_once(wrong: object) -> None:
    with pytest.raises(
        TypeError, match=r"^iterate\(\) takes an iterable such as a DataLoader, got"
    ):
        fasttime.iterate(wrong, "data")  # type: ignore[arg-type]


def test_a_wrong_name_is_refused_at_once() -> None:
    with pytest.raises((TypeError, ValueError)):
        fasttime.iterate([1], "")
    with pytest.raises(TypeError):
        fasttime.iterate([1], 3)  # type: ignore[arg-type]


def test_it_behaves_like_the_iterable() -> None:
    timed = fasttime.iterate([1, 2], "data")
    assert len(timed) == 2
    assert repr(timed) == "<fasttime.iterate of [1, 2] as 'data'>"
    assert list(copy.copy(timed)) == [1, 2]
    with pytest.raises(AttributeError):
        _ = timed.sampler
    with pytest.raises(TypeError):
        len(fasttime.iterate(generator()))

# SPDX-License-Identifier: BSD-3-Clause
"""`Recorder.drain_samples`: each kept sample, once."""

from __future__ import annotations

import threading

import pytest
from simulated_cuda import Simulated

import fasttime
from fasttime import Recorder


def run(cuda: Simulated, recorder: Recorder, name: str, *times_ns: int) -> None:
    for ns in times_ns:
        with recorder.scope(name):
            cuda.advance(ns)


def drained(recorder: Recorder) -> list[tuple[str, int]]:
    return [
        (sample.path, round((sample.host_time or 0) * 1e9)) for sample in recorder.drain_samples()
    ]


def test_each_sample_is_returned_once(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "a", 1, 2)
    run(cuda, recorder, "b", 3)
    run(cuda, recorder, "a", 4)
    assert drained(recorder) == [("a", 1), ("a", 2), ("b", 3), ("a", 4)]
    assert drained(recorder) == []
    run(cuda, recorder, "a", 5)
    assert drained(recorder) == [("a", 5)]


def test_pending_scopes_come_later(cuda: Simulated, recorder: Recorder) -> None:
    with recorder.scope("a"):
        cuda.enqueue(0, 1_000_000)
    assert recorder.drain_samples() == []
    cuda.advance(1_000_000)
    (sample,) = recorder.drain_samples()
    assert (sample.status, sample.device_time) == ("ok", 1e-3)


def test_samples_lists_only_new_ones(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "a", 1)
    assert len(recorder.drain_samples()) == 1
    assert recorder.samples("a") == []
    run(cuda, recorder, "a", 2)
    assert len(recorder.samples("a")) == 1


def test_reports_still_count_every_scope(cuda: Simulated, recorder: Recorder) -> None:
    run(cuda, recorder, "a", 1, 2)
    recorder.drain_samples()
    assert recorder.report()["a"].count == 2


def test_only_the_last_samples_are_kept(cuda: Simulated) -> None:
    recorder = Recorder(keep_samples=2)
    run(cuda, recorder, "a", 1, 2, 3)
    assert drained(recorder) == [("a", 2), ("a", 3)]
    run(cuda, recorder, "a", 4, 5, 6)
    assert drained(recorder) == [("a", 5), ("a", 6)]


def test_without_kept_samples_it_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="call keep_samples"):
        Recorder().drain_samples()


def test_threads_share_the_samples() -> None:
    """Scopes end while two threads drain. Each sample goes to one of them."""
    recorder = Recorder(keep_samples=100_000)
    found: list[list[float]] = [[], []]
    done = threading.Event()

    def drain(into: list[float]) -> None:
        while not done.is_set():
            into += [sample.host_begin for sample in recorder.drain_samples()]

    threads = [threading.Thread(target=drain, args=(into,)) for into in found]
    for thread in threads:
        thread.start()
    scope = recorder.scope
    for _ in range(5000):
        with scope("a"):
            pass
    done.set()
    for thread in threads:
        thread.join()
    rest = [sample.host_begin for sample in recorder.drain_samples()]
    assert len(found[0]) + len(found[1]) + len(rest) == 5000


def test_the_module_has_the_function() -> None:
    assert fasttime.drain_samples == fasttime.Recorder.drain_samples.__get__(
        fasttime._default, Recorder
    )

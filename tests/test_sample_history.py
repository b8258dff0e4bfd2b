# SPDX-License-Identifier: BSD-3-Clause
"""The kept samples of a site, and the memory that they take."""

from __future__ import annotations

import ctypes

import pytest
from simulated_cuda import Simulated

from fasttime import Recorder

SAMPLE_BYTES = 64


class _Mallinfo(ctypes.Structure):
    """What mallinfo2() of glibc returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def allocated_bytes() -> int:
    """Return how much the process has allocated with malloc."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("needs mallinfo2() of glibc 2.33")
    mallinfo.restype = _Mallinfo
    found = mallinfo()
    return found.uordblks + found.hblkhd


def run(cuda: Simulated, recorder: Recorder, first: int, count: int) -> None:
    """Time scopes that take `first`, `first` + 1, ... ns."""
    for ns in range(first, first + count):
        with recorder.scope("a"):
            cuda.advance(ns)


def kept(recorder: Recorder) -> list[int]:
    """Return the host times of the kept samples in ns."""
    recorder.report(wait=True)
    return [round((sample.host_time or 0.0) * 1e9) for sample in recorder.samples("a")]


@pytest.mark.parametrize("keep", [1, 2, 63, 64, 65, 128, 200])
def test_the_last_samples_are_kept(cuda: Simulated, keep: int) -> None:
    recorder = Recorder(keep_samples=keep)
    for end in range(1, 400, 57):
        run(cuda, recorder, end, 57)
        assert kept(recorder) == list(range(1, end + 57))[-keep:]


@pytest.mark.parametrize("fewer", [1, 63, 64, 65, 150, 199, 200])
def test_keeping_fewer_keeps_the_newest(cuda: Simulated, fewer: int) -> None:
    recorder = Recorder(keep_samples=200)
    run(cuda, recorder, 1, 333)
    assert kept(recorder) == list(range(134, 334))
    recorder.keep_samples(fewer)
    assert kept(recorder) == list(range(134, 334))[200 - fewer :]
    run(cuda, recorder, 334, 100)
    assert kept(recorder) == list(range(134, 434))[-fewer:]


def test_keeping_none_drops_all(cuda: Simulated) -> None:
    recorder = Recorder(keep_samples=200)
    run(cuda, recorder, 1, 10)
    recorder.keep_samples(0)
    with pytest.raises(RuntimeError, match="keeps no samples"):
        recorder.samples("a")
    recorder.keep_samples(200)
    assert kept(recorder) == []
    run(cuda, recorder, 11, 10)
    assert kept(recorder) == list(range(11, 21))


def test_keeping_more_drops_nothing(cuda: Simulated) -> None:
    recorder = Recorder(keep_samples=70)
    run(cuda, recorder, 1, 100)
    kept(recorder)
    recorder.keep_samples(200)
    run(cuda, recorder, 101, 100)
    assert kept(recorder) == list(range(31, 201))


def test_memory_grows_with_the_samples_alone() -> None:
    """A vector would take twice as much just after it has grown."""
    count = 2**16 + 100
    recorder = Recorder(keep_samples=1_000_000)
    scope = recorder.scope
    with scope("a"):
        pass
    before = allocated_bytes()
    for _ in range(count):
        with scope("a"):
            pass
    assert allocated_bytes() - before < 1.2 * SAMPLE_BYTES * count


@pytest.mark.parametrize("how", ["keep_samples", "reset"])
def test_memory_is_freed_on_request(how: str) -> None:
    count = 50_000
    recorder = Recorder(keep_samples=count)
    scope = recorder.scope
    for _ in range(count):
        with scope("a"):
            pass
    before = allocated_bytes()
    if how == "keep_samples":
        recorder.keep_samples(count // 10)
        expected = 0.8
    else:
        recorder.reset()
        expected = 0.9
    assert before - allocated_bytes() > expected * 48 * count

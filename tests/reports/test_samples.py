# SPDX-License-Identifier: BSD-3-Clause
"""Samples: kept on request, a fixed number per site."""

from __future__ import annotations

import pytest
from simulated_cuda import Simulated
from simulated_work import MS, run

from fasttime import Recorder


def test_the_last_samples_are_kept(cuda: Simulated) -> None:
    recorder = Recorder(keep_samples=2)
    for duration in (1, 2, 3):
        run(cuda, recorder, "a", duration * MS, host_ns=duration * MS)
        cuda.advance(10 * MS)
    samples = recorder.samples("a")
    assert [sample.device_time for sample in samples] == pytest.approx([2e-3, 3e-3])
    assert [sample.host_time for sample in samples] == pytest.approx([2e-3, 3e-3])
    assert [sample.status for sample in samples] == ["ok", "ok"]
    assert samples[0].host_begin < samples[1].host_begin
    assert samples[0].path == "a"


def test_samples_of_an_unknown_site_are_an_error() -> None:
    with pytest.raises(KeyError, match="no scope was timed at 'b'"):
        Recorder().samples("b")


def test_samples_without_keep_samples_raise(cuda: Simulated) -> None:
    recorder = Recorder()
    run(cuda, recorder, "a", MS)
    cuda.advance(2 * MS)
    with pytest.raises(RuntimeError, match=r"keeps no samples; call keep_samples\(1000\) before"):
        recorder.samples("a")
    recorder.keep_samples(10)
    assert recorder.samples("a") == [], "kept from now on"
    run(cuda, recorder, "a", MS)
    cuda.advance(2 * MS)
    assert len(recorder.samples("a")) == 1
    recorder.keep_samples(0)
    with pytest.raises(RuntimeError, match="keeps no samples"):
        recorder.samples("a")


def test_reset_deletes_samples_and_a_report_does_not(cuda: Simulated) -> None:
    recorder = Recorder(keep_samples=10)
    run(cuda, recorder, "a", MS)
    recorder.report(wait=True, reset=True)
    assert len(recorder.samples("a")) == 1
    recorder.reset()
    assert recorder.samples("a") == []


@pytest.mark.parametrize("count", [-1, 1_000_001])
def test_the_number_of_samples_has_bounds(count: int) -> None:
    with pytest.raises(ValueError, match="keep_samples must lie between 0 and 1,000,000"):
        Recorder(keep_samples=count)

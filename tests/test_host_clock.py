# SPDX-License-Identifier: BSD-3-Clause
"""The host clock, on a made-up counter and a made-up steady clock."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from simulated_cuda import Simulated

from fasttime import Recorder

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[int]]:
    """Run the probe; return the numbers of each case."""
    probe = tmp_path_factory.mktemp("host_clock") / "probe"
    source = HERE / "host_clock_probe.cpp"
    build = ["g++", "-std=c++17", "-O1", f"-I{HERE.parent / 'csrc'}", str(source), "-o", str(probe)]
    subprocess.run(build, check=True)
    printed = subprocess.run([str(probe)], check=True, capture_output=True, text=True).stdout
    return {name: list(map(int, rest)) for name, *rest in map(str.split, printed.splitlines())}


def test_it_follows_the_steady_clock(found: dict[str, list[int]]) -> None:
    error_ns, backwards = found["constant"]
    assert error_ns < 1000
    assert backwards == 0


def test_it_corrects_itself_within_seconds(found: dict[str, list[int]]) -> None:
    """The counter changes its rate by 5 parts per million."""
    meanwhile_ns, later_ns, backwards = found["changed"]
    assert 1000 < meanwhile_ns < 30_000
    assert later_ns < 2000
    assert backwards == 0


def test_it_is_right_at_once_after_a_pause(found: dict[str, list[int]]) -> None:
    error_ns, backwards = found["pause"]
    assert abs(error_ns) < 1000
    assert backwards == 0


def test_it_survives_a_counter_that_starts_anew(found: dict[str, list[int]]) -> None:
    at_once_ns, later_ns, backwards = found["anew"]
    assert abs(at_once_ns) < 1000
    assert later_ns < 1000
    assert backwards == 0


def test_without_a_counter_it_is_the_steady_clock(found: dict[str, list[int]]) -> None:
    assert found["unusable"] == [0]


def test_only_the_exact_name_of_a_source_counts(found: dict[str, list[int]]) -> None:
    assert found["names"] == [1, 0, 1, 1, 0, 0]


def test_no_boundary_is_shared_across_a_restart(cuda: Simulated) -> None:
    """The time outside then is negative; its lower 32 bits must not count."""
    recorder = Recorder()
    cuda.advance(10 * 2**32 + 500_000_000)
    with recorder.scope("before"):
        pass
    cuda.restart_clock()
    with recorder.scope("after"):
        pass
    cuda.advance(11 * 2**32)
    report = recorder.report(wait=True)
    assert report["before"].shared_boundaries == 0
    assert report["after"].shared_boundaries == 0

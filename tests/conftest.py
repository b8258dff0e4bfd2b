# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures for all tests, and the guard that nothing is left behind by one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import binding
import pytest
import simulated_cuda
import torch
from scripted_loop import ScriptedLoop
from simulated_machine import SimulatedMachine

from fasttime import Recorder


def pytest_configure() -> None:
    # A shell lets what it runs in the background ignore Ctrl-C; some tests send it to themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        if os.environ.get("FASTTIME_REQUIRE_CUDA") == "1":
            pytest.fail("FASTTIME_REQUIRE_CUDA=1, but torch finds no CUDA device")
        pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def simulated_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated_cuda.build(tmp_path_factory.mktemp("simulated_cuda"))


@pytest.fixture
def cuda(simulated_library: Path) -> Iterator[simulated_cuda.Simulated]:
    """The simulated runtime, bound into fasttime: two devices, a clock that stands still."""
    simulated = simulated_cuda.Simulated(simulated_library)
    simulated.reset()
    binding.bind_library(simulated_library)
    yield simulated
    binding.unbind()
    assert simulated.rerecorded_in_flight == 0, "an event was used again while in flight"
    assert simulated.used_after_destroy == 0
    assert simulated.last_error() == 0, "an error of ours was left for torch to find"
    simulated.reset()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A recorder that keeps samples, records two events a scope, and is left with nothing open.

    Boundaries are not shared: on a clock that stands still all of them would be.
    """
    made = Recorder(keep_samples=1000, share_boundaries=False)
    yield made
    assert made.report().open == 0


@pytest.fixture
def simulated(cuda: simulated_cuda.Simulated, monkeypatch: pytest.MonkeyPatch) -> SimulatedMachine:
    """The simulated runtime under `measure`, clock and all."""
    return SimulatedMachine(cuda, monkeypatch)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ScriptedLoop:
    """A scripted clock and device under the loops of `measure`."""
    made = ScriptedLoop()
    made.install(monkeypatch)
    return made

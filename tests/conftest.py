# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures for all tests, and how the tests are distributed over processes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import binding
import pytest
import simulated_cuda
import torch
from forked import PACKAGE, Forking, forking_process
from scripted_loop import ScriptedLoop
from simulated_machine import SimulatedMachine

from fasttime import Recorder

MOST_WORKERS = 4  # each of them imports torch


def pytest_configure() -> None:
    # The time that an example of hypothesis may take would depend on the machine.
    with contextlib.suppress(ImportError):  # the tests on a GPU do without hypothesis
        from hypothesis import settings

        settings.register_profile("fasttime", deadline=None)
        settings.load_profile("fasttime")
    # Background jobs of a shell ignore Ctrl-C, but some tests send Ctrl-C to themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before xdist's own, which starts the workers
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run tests in several processes, unless you name files or give `-n`.

    Starting workers takes longer than the tests of a few files. Workers are not used with a GPU,
    because tests on a GPU bound times and must not share it. Without xdist, everything runs in
    this process.
    """
    option = config.option
    is_worker = hasattr(config, "workerinput")
    has_choice = getattr(option, "numprocesses", 0) is None and not is_worker
    names_files = all(".py" in argument for argument in config.args)
    if has_choice and not names_files and not option.usepdb and not torch.cuda.is_available():
        option.numprocesses = min(MOST_WORKERS, len(os.sched_getaffinity(0)))
        option.dist = "worksteal"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave heavy tests out unless `-m` names them."""
    if "heavy" not in config.option.markexpr:
        heavy = [item for item in items if item.get_closest_marker("heavy") is not None]
        config.hook.pytest_deselected(items=heavy)
        items[:] = [item for item in items if item.get_closest_marker("heavy") is None]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let a skipped heavy test fail: you asked for the heavy tests, so install what they need."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if report.skipped and item.get_closest_marker("heavy") is not None:
        report.outcome = "failed"
        report.longrepr = f"a heavy test must not be skipped: {report.longrepr}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        if os.environ.get("FASTTIME_REQUIRE_CUDA") == "1":
            pytest.fail("FASTTIME_REQUIRE_CUDA=1, but torch finds no CUDA device")
        pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session", autouse=True)
def _width() -> Iterator[None]:
    """Print results in 100 columns, whatever the terminal. xdist gives its workers 80."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "100")
        yield


@pytest.fixture(scope="session")
def simulated_library() -> Path:
    return simulated_cuda.cached_build()


@pytest.fixture(scope="session")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forking]:
    """Runs code in processes forked from one that has imported torch."""
    environment = {**os.environ, "PYTHONPATH": PACKAGE}
    with forking_process(environment, tmp_path_factory.mktemp("forking")) as made:
        yield made


@pytest.fixture(scope="session")
def forking_with_gpus(
    simulated_library: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Forking]:
    """Like `forking`, with simulated devices under torch's CUDA build."""
    environment = simulated_cuda.simulation_environment(simulated_library, {"PYTHONPATH": PACKAGE})
    with forking_process(environment, tmp_path_factory.mktemp("forking_with_gpus")) as made:
        yield made


@pytest.fixture
def cuda(simulated_library: Path) -> Iterator[simulated_cuda.Simulated]:
    """The simulated runtime, bound to fasttime: two devices and a clock that only tests move."""
    simulated = simulated_cuda.Simulated(simulated_library)
    simulated.reset()
    binding.bind_library(simulated_library)
    yield simulated
    binding.unbind()
    assert simulated.rerecorded_in_flight == 0, "an event in flight was recorded again"
    assert simulated.used_after_destroy == 0
    assert simulated.last_error() == 0, "torch would find an error of fasttime"
    simulated.reset()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A recorder that keeps samples and records two events per scope. No scope may stay open.

    Boundaries are not shared, because all of them would be if the clock stands still.
    """
    made = Recorder(keep_samples=1000, share_boundaries=False)
    yield made
    assert made.report().open == 0


@pytest.fixture
def simulated(cuda: simulated_cuda.Simulated, monkeypatch: pytest.MonkeyPatch) -> SimulatedMachine:
    """The simulated runtime and its clock under `measure`."""
    return SimulatedMachine(cuda, monkeypatch)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ScriptedLoop:
    """A scripted clock and device under the loops of `measure`."""
    made = ScriptedLoop()
    made.install(monkeypatch)
    return made

# SPDX-License-Identifier: BSD-3-Clause
"""`measure` on torch's own CUDA build, on simulated devices: each in a process of its own."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from simulated_cuda import run_under_simulation, torch_can_be_simulated

pytestmark = pytest.mark.skipif(
    not torch_can_be_simulated(), reason="torch here is not built for CUDA 13"
)

# Time is virtual for `measure` too, and no watchdog is to be seen, however slow this machine is.
_VIRTUAL = """
import fasttime
import torch
from fasttime.measuring import held, machine
from simulated_cuda import Simulated

sim = Simulated.preloaded()
machine.clock = lambda: sim.now_ns * 1e-9
held._PATIENCE = 3600.0

def kinds(measurement):
    return [doubt.kind for doubt in measurement.warnings]
"""


def simulate(code: str, library: Path) -> None:
    done = run_under_simulation(_VIRTUAL + textwrap.dedent(code), library)
    assert (done.returncode, done.stderr) == (0, "")


def test_measure_stands_on_torch_s_own_cuda(simulated_library: Path) -> None:
    done = run_under_simulation(
        """
import fasttime
import torch
from simulated_cuda import Simulated

sim = Simulated.preloaded()
assert not torch.cuda.is_initialized()
assert fasttime.measure(lambda: None, warmup=0, repeat=2).warnings[0].kind == "cpu"
assert not torch.cuda.is_initialized(), "measure() started CUDA"

def fn():
    torch.ones(10, device="cuda")
    torch.cuda.synchronize()
    sim.enqueue(0, 2_000_000)

try:
    fasttime.measure(fn, warmup=0, repeat=2)
except RuntimeError as error:
    assert "run 0 has no device time, as fn itself started CUDA" in str(error), error
else:
    raise AssertionError("no error")

x = torch.ones(1000, device="cuda")
sim.set_launch_time(2_000_000)
found = fasttime.measure(torch.add, x, x, warmup=2, repeat=10)
assert found.times.round(9).tolist() == [0.002] * 8, found
assert found.device == "cuda:0 Simulated", found
before = sim.calls("cudaDeviceSynchronize")
fasttime.measure(torch.add, x, x, method="sync", warmup=0, repeat=10)
assert sim.calls("cudaDeviceSynchronize") - before == 21 + 101  # the floor's
naive = fasttime.measure(torch.add, x, x, method="naive", warmup=5, repeat=50)
assert "the device took 2.000 ms" in naive.warnings[0].message, naive

graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
with torch.cuda.graph(graph, stream=stream):
    try:
        fasttime.measure(torch.add, x, x)
    except RuntimeError as error:
        assert "while a CUDA graph is being captured" in str(error), error
    else:
        raise AssertionError("no error")
    y = x + x
graph.replay()
torch.cuda.synchronize()
""",
        simulated_library,
    )
    assert done.returncode == 0, done.stderr


def test_a_callable_may_start_cuda_in_its_first_warm_up_run(simulated_library: Path) -> None:
    simulate(
        """
        def fn():
            torch.ones(10, device="cuda")
            sim.advance(10_000)
            sim.enqueue(0, 1_000_000)

        assert not torch.cuda.is_initialized()
        found = fasttime.measure(fn, budget=0.5)
        assert found.warnings[0] == (
            "cuda_started",
            "fn itself started CUDA in run 0; up to there the warm-up times are the host's",
        ), found
        assert found.device == "cuda:0 Simulated"
        assert found.times.round(9).tolist() == [0.001_01] * len(found), found
        """,
        simulated_library,
    )


def test_naive_may_start_cuda_in_its_first_warm_up_run(simulated_library: Path) -> None:
    simulate(
        """
        def fn():
            torch.ones(10, device="cuda")
            sim.advance(10_000)
            sim.enqueue(0, 1_000_000)

        found = fasttime.measure(fn, method="naive", budget=0.5)
        assert found.warnings[0].kind == "queued_only", found
        """,
        simulated_library,
    )


def test_a_held_measurement_may_be_the_first_use_of_fasttime(simulated_library: Path) -> None:
    simulate(
        """
        torch.cuda.init()
        found = fasttime.measure(
            lambda: sim.enqueue(0, 2_000_000), hold=True, warmup=2, repeat=10
        )
        assert found.held and found.times.round(9).tolist() == [0.002] * 8, found
        """,
        simulated_library,
    )


# --- graphs ---


def test_a_graph_is_captured_once_and_its_replays_are_timed(simulated_library: Path) -> None:
    simulate(
        """
        x = torch.ones(1000, device="cuda")
        sim.set_launch_time(500_000)
        calls = []

        def fn():
            calls.append(0)
            torch.add(x, x)
            torch.add(x, x)

        found = fasttime.measure(fn, method="graph", warmup=2, repeat=10)
        assert len(calls) == 4, "three runs and the capture"
        assert sim.calls("cudaGraphLaunch") == 10
        assert (found.method, found.held, len(found)) == ("graph", False, 8)
        assert found.times.round(9).tolist() == [0.001] * 8, found
        """,
        simulated_library,
    )


def test_a_graph_s_replays_can_be_held(simulated_library: Path) -> None:
    simulate(
        """
        x = torch.ones(1000, device="cuda")
        sim.set_launch_time(500_000)
        sim.set_event_time(1_250)
        found = fasttime.measure(
            torch.add, x, x, method="graph", hold=True, warmup=2, repeat=10
        )
        assert sim.calls("cudaGraphLaunch") == 11
        assert (found.held, found.is_calibrated) == (True, True)
        assert found.times.round(9).tolist() == [0.0005] * 8, found
        """,
        simulated_library,
    )


def test_a_graph_decides_by_itself_whether_it_is_held(simulated_library: Path) -> None:
    simulate(
        """
        x = torch.ones(1000, device="cuda")
        sim.set_launch_time(20_000)
        replay = torch.cuda.CUDAGraph.replay

        def slow_replay(graph):
            sim.advance(100_000)
            replay(graph)

        torch.cuda.CUDAGraph.replay = slow_replay
        found = fasttime.measure(torch.add, x, x, method="graph", budget=0.1)
        assert found.held and found.times.round(9).tolist() == [20e-6] * len(found), found
        """,
        simulated_library,
    )


def test_a_callable_that_cannot_be_captured_says_so_and_leaves_cuda_usable(
    simulated_library: Path,
) -> None:
    simulate(
        """
        x = torch.ones(1000, device="cuda")

        def fn():
            torch.add(x, x)
            torch.cuda.synchronize()

        try:
            fasttime.measure(fn, method="graph", warmup=0, repeat=2)
        except RuntimeError as error:
            assert str(error).startswith("the callable cannot be captured into a CUDA graph: ")
            assert str(error).endswith("time it with method='event'"), error
            assert error.__cause__ is not None
        else:
            raise AssertionError("no error")
        torch.cuda.synchronize()
        assert len(fasttime.measure(torch.add, x, x, warmup=0, repeat=2)) == 2
        """,
        simulated_library,
    )


def test_what_a_callable_raises_before_its_capture_passes_unchanged(
    simulated_library: Path,
) -> None:
    simulate(
        """
        torch.cuda.init()
        mine = OSError("in run 0")

        def fn():
            raise mine

        try:
            fasttime.measure(fn, method="graph")
        except OSError as error:
            assert error is mine
        else:
            raise AssertionError("no error")
        """,
        simulated_library,
    )


def test_a_graph_that_changes_its_arguments_is_told_as_such(simulated_library: Path) -> None:
    simulate(
        """
        x = torch.ones(1000, device="cuda")
        found = fasttime.measure(x.__class__.add_, x, 1, method="graph", warmup=0, repeat=2)
        assert "arguments_changed" in kinds(found), found
        """,
        simulated_library,
    )


# --- cold caches ---


def test_a_cold_cache_is_cleared_by_a_write_of_twice_its_size(simulated_library: Path) -> None:
    simulate(
        """
        torch.cuda.init()
        before = torch.cuda.memory_allocated()
        clear = machine.cache_clearer()
        assert torch.cuda.memory_allocated() - before == 2 * 50 * 2**20
        launches = sim.calls("cudaLaunchKernel") + sim.calls("cudaMemsetAsync")
        clear()
        assert sim.calls("cudaLaunchKernel") + sim.calls("cudaMemsetAsync") == launches + 1
        """,
        simulated_library,
    )


def test_clearing_the_cache_is_in_none_of_the_times(simulated_library: Path) -> None:
    simulate(
        """
        torch.cuda.init()
        found = fasttime.measure(
            lambda: sim.enqueue(0, 2_000_000), cache="cold", warmup=2, repeat=10
        )
        assert found.cache == "cold"
        assert found.times.round(9).tolist() == [0.002] * 8, found
        """,
        simulated_library,
    )

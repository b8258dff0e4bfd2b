# SPDX-License-Identifier: BSD-3-Clause
"""`measure` on torch's own CUDA build with simulated devices."""

from __future__ import annotations

import pytest
from forked import Forking
from simulated_cuda import torch_can_be_simulated
from simulated_measuring import run_measuring

pytestmark = pytest.mark.skipif(
    not torch_can_be_simulated(), reason="torch here is not built for CUDA 13"
)

CASES = {
    "measure_runs_on_torchs_own_cuda": """
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
    assert "run 0 has no device time, because fn started CUDA itself" in str(error), error
else:
    raise AssertionError("no error")

x = torch.ones(1000, device="cuda")
sim.set_launch_time(2_000_000)
found = fasttime.measure(torch.add, x, x, warmup=2, repeat=10)
assert found.times.round(9).tolist() == [0.002] * 8, found
assert found.device == "cuda:0 Simulated", found
before = sim.calls("cudaDeviceSynchronize")
fasttime.measure(torch.add, x, x, method="sync", warmup=0, repeat=10)
calls = sim.calls("cudaDeviceSynchronize") - before
assert calls == 2 * (21 + 101), calls  # two devices; 101 for the overhead
naive = fasttime.measure(torch.add, x, x, method="naive", warmup=5, repeat=50)
assert "the device took 2.000 ms" in naive.warnings[0].message, naive

graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
with torch.cuda.graph(graph, stream=stream):
    try:
        fasttime.measure(torch.add, x, x)
    except RuntimeError as error:
        assert "is capturing a CUDA graph" in str(error), error
    else:
        raise AssertionError("no error")
    y = x + x
graph.replay()
torch.cuda.synchronize()
""",
    "in_place_work_on_a_clone_is_read_alone": """
x = torch.ones(1000, device="cuda")
sim.set_launch_time(2_000_000)
sim.set_host_cost(5_000)
for hold in (True, False):
    found = fasttime.measure(
        torch.Tensor.add_, setup=lambda: (x.clone(), 1), hold=hold, warmup=2, repeat=10
    )
    assert found.held == hold
    assert found.times.round(9).tolist() == [0.002] * 8, found
    assert "arguments_changed" not in kinds(found), found
whole = fasttime.measure(lambda: x.clone().add_(1), hold=True, warmup=2, repeat=10)
assert whole.times.round(9).tolist() == [0.004] * 8, whole
assert "arguments_changed" in kinds(fasttime.measure(x.add_, 1, warmup=2, repeat=10))

def setup():
    y = x.clone()
    torch.cuda.synchronize()
    return y, 1

found = fasttime.measure(torch.Tensor.add_, setup=setup, budget=0.2)
assert found.held and abs(found.median - 0.002) < 1e-9, found
assert "not_held" not in kinds(found)
""",
    "the_first_warm_up_run_may_start_cuda": """
def fn():
    torch.ones(10, device="cuda")
    sim.advance(10_000)
    sim.enqueue(0, 1_000_000)

assert not torch.cuda.is_initialized()
found = fasttime.measure(fn, budget=0.5)
assert found.warnings[0].kind == "cuda_started", found
assert "in run 0, so warm-up times up to that run" in found.warnings[0].message, found
assert found.device == "cuda:0 Simulated"
assert found.times.round(9).tolist() == [0.001_01] * len(found), found
""",
    "naive_may_start_cuda_in_the_warm_up": """
def fn():
    torch.ones(10, device="cuda")
    sim.advance(10_000)
    sim.enqueue(0, 1_000_000)

found = fasttime.measure(fn, method="naive", budget=0.5)
assert found.warnings[0].kind == "queued_only", found
""",
    "a_held_measurement_may_come_first": """
torch.cuda.init()
found = fasttime.measure(
    lambda: sim.enqueue(0, 2_000_000), hold=True, warmup=2, repeat=10
)
assert found.held and found.times.round(9).tolist() == [0.002] * 8, found
""",
    "graph_replays_are_timed": """
x = torch.ones(1000, device="cuda")
sim.set_launch_time(500_000)
calls = []

def fn():
    calls.append(0)
    torch.add(x, x)
    torch.add(x, x)

found = fasttime.measure(fn, method="graph", warmup=2, repeat=10)
assert len(calls) == 4, "three runs and the capture"
assert sim.calls("cudaGraphLaunch") == 4 + 10, "four compare replays with a call"
assert (found.method, found.held, len(found)) == ("graph", False, 8)
assert found.times.round(9).tolist() == [0.001] * 8, found
""",
    "graph_replays_can_be_held": """
x = torch.ones(1000, device="cuda")
sim.set_launch_time(500_000)
sim.set_event_time(1_250)
found = fasttime.measure(
    torch.add, x, x, method="graph", hold=True, warmup=2, repeat=10
)
assert sim.calls("cudaGraphLaunch") == 4 + 11, "four compare replays with a call"
assert (found.held, found.is_calibrated) == (True, True)
assert found.times.round(9).tolist() == [0.0005] * 8, found
""",
    "a_graph_is_held_automatically": """
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
    "a_failed_capture_leaves_cuda_usable": """
x = torch.ones(1000, device="cuda")

def fn():
    torch.add(x, x)
    torch.cuda.synchronize()

try:
    fasttime.measure(fn, method="graph", warmup=0, repeat=2)
except RuntimeError as error:
    assert str(error).startswith("the callable cannot be captured into a CUDA graph: ")
    assert str(error).endswith("use method='event'"), error
    assert error.__cause__ is not None
else:
    raise AssertionError("no error")
torch.cuda.synchronize()
assert len(fasttime.measure(torch.add, x, x, warmup=0, repeat=2)) == 2
""",
    "exceptions_before_a_capture_pass_unchanged": """
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
    "a_graph_names_changed_arguments": """
x = torch.ones(1000, device="cuda")
found = fasttime.measure(x.__class__.add_, x, 1, method="graph", warmup=0, repeat=2)
assert "arguments_changed" in kinds(found), found
""",
    "the_cache_is_cleared_by_twice_its_size": """
torch.cuda.init()
before = torch.cuda.memory_allocated()
clear = machine.cache_clearer()
assert torch.cuda.memory_allocated() - before == 2 * 50 * 2**20
launches = sim.calls("cudaLaunchKernel") + sim.calls("cudaMemsetAsync")
clear()
assert sim.calls("cudaLaunchKernel") + sim.calls("cudaMemsetAsync") == launches + 1
""",
    "no_time_includes_clearing_the_cache": """
torch.cuda.init()
found = fasttime.measure(
    lambda: sim.enqueue(0, 2_000_000), cache="cold", warmup=2, repeat=10
)
assert found.cache == "cold"
assert found.times.round(9).tolist() == [0.002] * 8, found
""",
}


@pytest.mark.parametrize("case", CASES)
def test_measure_on_torch(forking_with_gpus: Forking, case: str) -> None:
    run_measuring(forking_with_gpus, CASES[case])

# SPDX-License-Identifier: BSD-3-Clause
"""Other devices, streams and threads under `measure`, on torch's CUDA build with two devices."""

from __future__ import annotations

import pytest
from forked import Forking
from simulated_cuda import torch_can_be_simulated
from simulated_measuring import run_measuring

pytestmark = pytest.mark.skipif(
    not torch_can_be_simulated(), reason="torch here is not built for CUDA 13"
)

CASES = {
    "work_on_another_device_is_waited_for": """
torch.ones(1, device="cuda:0")
x = torch.ones(1000, device="cuda:1")
sim.set_launch_time(100_000)
sim.set_host_cost(5_000)

def fn():
    for _ in range(4):
        torch.mul(x, 2)

sync = fasttime.measure(fn, method="sync", warmup=3, repeat=23)
assert abs(sync.median - 405e-6) < 1e-6, sync
event = fasttime.measure(fn, warmup=3, repeat=23)
assert "other_devices" in kinds(event), event
assert machine.untimed_loop(fn, 10) >= 4e-3, "the loop ended before device 1"
findings = fasttime.compare_methods(fn).findings
assert {name: found.reading for name, found in findings.items()} == {
    "naive": "wrong", "sync": "right", "event": "wrong"}, findings
with torch.cuda.device(1):
    remedied = fasttime.measure(fn, budget=0.05)
assert "other_devices" not in kinds(remedied) and abs(remedied.median - 400e-6) < 1e-6, remedied
""",
    "a_device_out_of_use_stays_out_of_use": """
sim.set_unused(1)
x = torch.ones(1000, device="cuda:0")
for method in ("naive", "sync", "event", "graph"):
    fasttime.measure(torch.add, x, x, method=method, budget=0.02)
assert _native.devices_in_use() == [0]
assert not sim.is_started(1), "measure() started a device"
""",
    "waits_are_not_the_users": """
x = torch.ones(1000, device="cuda")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch calls this mode a prototype
    torch.cuda.set_sync_debug_mode("error")
for options in ({}, {"method": "sync"}, {"method": "naive"}, {"method": "graph"},
                {"cache": "cold"}, {"hold": True, "warmup": 1, "repeat": 9}):
    fasttime.measure(torch.add, x, x, **{"budget": 0.02, **options})
fasttime.compare({"a": torch.add, "b": torch.mul}, x, x, rounds=1)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    fasttime.do_bench(lambda: torch.add(x, x), warmup=1, rep=2)
""",
    "torchs_streams_are_found": """
torch.cuda.init()
mine, urgent = torch.cuda.Stream(), torch.cuda.Stream(priority=-1)
known = pooled_streams(0)
assert {0, mine.cuda_stream, urgent.cuda_stream} < set(known), known
assert len(set(known)) == 1 + 32 + 32, known
""",
    "a_turn_of_the_pool_changes_nothing": """
torch.cuda.init()
turn = [torch.cuda.Stream().cuda_stream for _ in range(32)]
pooled_streams(0)
assert torch.cuda.Stream().cuda_stream == turn[0]
""",
    "another_threads_capture_survives": """
x = torch.ones(1000, device="cuda")
torch.add(x, x)
torch.cuda.synchronize()
stream = torch.cuda.Stream()
graph = torch.cuda.CUDAGraph()
begun, measured = threading.Event(), threading.Event()
errors = []

def capture():
    try:
        with torch.cuda.stream(stream):
            graph.capture_begin()  # in global mode
            begun.set()
            measured.wait(20)
            x.mul_(2)
            graph.capture_end()
    except BaseException as error:
        errors.append(error)

thread = threading.Thread(target=capture)
thread.start()
begun.wait(20)
for method in ("naive", "sync", "event"):
    fasttime.measure(sim.enqueue, 0, 1_000_000, method=method, warmup=1, repeat=5)
fasttime.measure(sim.enqueue, 0, 1_000_000, cache="cold", hold=True, warmup=1, repeat=5)
assert sim.capture_alive(stream.cuda_stream)
measured.set()
thread.join()
assert not errors, errors
""",
    "a_graph_lacks_a_librarys_stream": """
x = torch.ones(1000, device="cuda")
side = torch.cuda.Stream()
sim.set_launch_time(100_000)

def fn():
    torch.add(x, x)
    with torch.cuda.stream(side):  # like a library with a stream of its own
        for _ in range(4):
            torch.mul(x, 2)

found = fasttime.measure(fn, method="graph", budget=0.02)
[warning] = [warning for warning in found.warnings if warning.kind == "outside_capture"]
assert "a call took 400.0 µs" in warning.message and "a replay 100.0 µs" in warning.message, found
compared = fasttime.compare({"a": fn, "b": lambda: torch.add(x, x)}, method="graph", rounds=1)
assert "outside_capture" in kinds(compared.measurements["a"]), compared
assert "outside_capture" not in kinds(compared.measurements["b"]), compared
""",
    "a_graph_lacks_an_unknown_stream": """
x = torch.ones(1000, device="cuda")
side = sim.create_stream()  # which torch does not know
sim.set_launch_time(100_000)

def fn():
    torch.add(x, x)
    sim.enqueue(side, 400_000)

found = fasttime.measure(fn, method="graph", budget=0.02)
assert "outside_capture" in kinds(found), found
""",
    "a_graph_lacks_the_null_stream": """
x = torch.ones(1000, device="cuda")
sim.set_launch_time(100_000)

def fn():
    torch.add(x, x)
    sim.enqueue(0, 60_000)  # like cupy, which launches on the NULL stream

found = fasttime.measure(fn, method="graph", budget=0.02)
assert "outside_capture" in kinds(found), found
""",
    "a_graph_lacks_another_device": """
x, y = torch.ones(1000, device="cuda:0"), torch.ones(1000, device="cuda:1")
sim.set_launch_time(100_000)
found = fasttime.measure(lambda: (torch.add(x, x), torch.add(y, y)), method="graph", budget=0.02)
assert "outside_capture" in kinds(found), found
""",
    "a_graph_with_a_joined_stream_lacks_nothing": """
x = torch.ones(1000, device="cuda")
side = torch.cuda.Stream()
sim.set_launch_time(100_000)

def fn():
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        torch.mul(x, 2)
    torch.add(x, x)
    torch.cuda.current_stream().wait_stream(side)

found = fasttime.measure(fn, method="graph", budget=0.02)
assert "outside_capture" not in kinds(found), found
""",
    "a_capture_leaves_other_threads_alone": """
x = torch.ones(1000, device="cuda")
inside, done = threading.Event(), threading.Event()
errors = []

def pin():
    try:
        inside.wait(20)
        torch.empty(1 << 20, pin_memory=True)
        event = torch.cuda.Event()
        event.record(torch.cuda.Stream())
        event.query()
    except BaseException as error:
        errors.append(error)
    finally:
        done.set()

threading.Thread(target=pin).start()
calls = []

def fn():
    calls.append(0)
    if len(calls) == 4:  # the capture
        inside.set()
        done.wait(20)
    torch.add(x, x)

found = fasttime.measure(fn, method="graph", warmup=1, repeat=5)
assert not errors, errors
""",
    "a_capture_of_ours_spares_another": """
x = torch.ones(1000, device="cuda")
y = torch.ones(1000, device="cuda")
y.add_(1)
torch.cuda.synchronize()
stream = torch.cuda.Stream()
begun, measured = threading.Event(), threading.Event()
errors = []

def capture():
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(stream):
            graph.capture_begin(capture_error_mode="relaxed")
            begun.set()
            measured.wait(20)
            x.mul_(2)
            graph.capture_end()
    except BaseException as error:
        errors.append(error)

thread = threading.Thread(target=capture)
thread.start()
begun.wait(20)
found = fasttime.measure(y.add_, 1, method="graph", warmup=1, repeat=5)
assert "outside_capture" not in kinds(found), found
assert sim.capture_alive(stream.cuda_stream), "our capture destroyed another"
measured.set()
thread.join()
assert not errors, errors
""",
    "a_lost_device_raises_torchs_error": """
x = torch.ones(1000, device="cuda")
fasttime.measure(torch.add, x, x, warmup=1, repeat=5)
sim.set_sticky(700)
try:
    machine.synchronize()
except RuntimeError as error:
    assert "CUDA error" in str(error), error
else:
    raise AssertionError("no error")
sim.set_sticky(0)
""",
}


@pytest.mark.parametrize("case", CASES)
def test_measure_beside_others(forking_with_gpus: Forking, case: str) -> None:
    run_measuring(forking_with_gpus, CASES[case])

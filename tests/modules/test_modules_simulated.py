# SPDX-License-Identifier: BSD-3-Clause
"""Device times of modules: the real torch on simulated devices, in virtual time."""

from __future__ import annotations

import pytest
import simulated_cuda as cuda
from forked import Forking

pytestmark = pytest.mark.skipif(
    not cuda.torch_can_be_simulated(), reason="torch here is not built for CUDA 13"
)

BEGIN = """
import torch
from torch import nn
from simulated_cuda import Simulated
import fasttime

sim = Simulated.preloaded()
torch.cuda.init()
x = torch.ones(100, device="cuda", requires_grad=True)
grad = torch.ones(100, device="cuda")


class Scale(nn.Module):
    def __init__(self, kernels):
        super().__init__()
        self.kernels = kernels

    def forward(self, x):
        for _ in range(self.kernels):
            x = x * 2.0
        return x


def us(times):
    return None if times is None else (times.device.count, round(times.device.total * 1e6))


def columns(handle, *names):
    torch.cuda.synchronize()  # moves virtual time
    found = handle.module_records().modules
    return {m.path: tuple(us(getattr(m, name)) for name in names) for m in found}


"""


def run(code: str, forking: Forking) -> None:
    done = forking.run(BEGIN + code)
    assert done.returncode == 0, done.stderr[-3000:]


def test_device_times_are_exact(forking_with_gpus: Forking) -> None:
    run(
        """
model = nn.Sequential(nn.Sequential(Scale(1), nn.Identity()), Scale(3))
sim.set_launch_time(100_000)
model(x).backward(grad)
with fasttime.instrument(model) as handle:
    for _ in range(2):
        x.grad = None
        model(x).backward(grad)
found = columns(handle, "forward", "forward_self", "backward", "backward_self")
assert found == {
    "": ((2, 800), (2, 0), (2, 800), (2, 0)),
    "0": ((2, 200), (2, 0), (2, 200), (2, 0)),
    "0.0": ((2, 200), (2, 200), (2, 200), (2, 200)),
    "0.1": ((2, 0), (2, 0), None, None),
    "1": ((2, 600), (2, 600), (2, 600), (2, 600)),
}, found
""",
        forking_with_gpus,
    )


def test_a_chain_shares_its_boundaries(forking_with_gpus: Forking) -> None:
    """n modules take n + 1 records, forward and backward, and the step's parts a few more."""
    run(
        """
n = 20
model = nn.Sequential(*(Scale(1) for _ in range(n)))
sim.set_launch_time(1_000)


def records():
    return sim.calls("cuEventRecord") + sim.calls("cudaEventRecord")


with fasttime.instrument(model) as handle:
    model(x).backward(grad)
    torch.cuda.synchronize()
    handle.table()
    before = records()
    model(x).backward(grad)
    after = records()
assert 2 * (n + 1) <= after - before <= 2 * (n + 1) + 6, after - before
""",
        forking_with_gpus,
    )


def test_a_parents_own_kernels_are_its_own(forking_with_gpus: Forking) -> None:
    run(
        """
class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Scale(1)

    def forward(self, x):
        return self.inner(x * 3.0) * 3.0


model = Own()
sim.set_launch_time(100_000)
model(x).backward(grad)
with fasttime.instrument(model) as handle:
    x.grad = None
    model(x).backward(grad)
found = columns(handle, "forward", "forward_self", "backward", "backward_self")
assert found == {
    "": ((1, 300), (1, 200), (1, 300), (1, 200)),
    "inner": ((1, 100), (1, 100), (1, 100), (1, 100)),
}, found
""",
        forking_with_gpus,
    )


def test_tensors_at_one_address_are_told_apart(forking_with_gpus: Forking) -> None:
    """Without a graph, Python soon reuses the address of the output of a module inside."""
    run(
        """
class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Scale(1)

    def forward(self, x):
        x = self.inner(x)
        addresses.append(id(x))
        x = x * 3.0
        x = x * 3.0
        addresses.append(id(x))
        return x


model = Own()
addresses = []
sim.set_launch_time(100_000)
with fasttime.instrument(model) as handle, torch.no_grad():
    model(x.detach())
assert addresses[0] == addresses[1], "the test tests nothing"
found = columns(handle, "forward", "forward_self")
assert found == {"": ((1, 300), (1, 200)), "inner": ((1, 100), (1, 100))}, found
""",
        forking_with_gpus,
    )


def test_a_failed_boundary_is_not_passed_over(forking_with_gpus: Forking) -> None:
    """The boundary after it shares no event from before it."""
    run(
        """
class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Scale(1)
        self.last = nn.Identity()
        self.fails = False

    def forward(self, x):
        y = self.inner(x) * 3.0
        if self.fails:
            sim.fail("cudaEventRecord", 1)
        return self.last(y)


model = Own()
sim.set_launch_time(100_000)
model(x)
with fasttime.instrument(model) as handle:
    model.fails = True
    model(x)
torch.cuda.synchronize()
found = {m.path: m.forward for m in handle.module_records().modules}
assert found["last"].device is None, "the record did not fail"
assert us(found[""]) == (1, 200), us(found[""])
""",
        forking_with_gpus,
    )


def test_idle_time_is_the_wait_for_data(forking_with_gpus: Forking) -> None:
    run(
        """
class Loader:
    def __iter__(self):
        for _ in range(3):
            torch.cuda.synchronize()
            sim.advance(5_000_000)
            yield 1


model = Scale(1)
sim.set_launch_time(1_000_000)
with fasttime.instrument(model) as handle:
    for _ in fasttime.iterate(Loader()):
        x.grad = None
        model(x).backward(grad)
        handle.step()
torch.cuda.synchronize()
steps = handle.step_records()
parts = {part.name: round(part.device.total * 1e3) for part in steps.parts}
assert steps.count == 3
assert parts["forward"] == parts["backward"] == 3, parts
assert parts["idle device"] == 15, parts
assert parts["data wait"] == 0, parts
assert sum(part.device._series.moments()[1] for part in steps.parts) == (
    steps.device._series.moments()[1]
)
""",
        forking_with_gpus,
    )


def test_the_budget_follows_the_device(forking_with_gpus: Forking) -> None:
    """The host runs ahead in plain steps and waits in timed steps; the device notices no cost."""
    run(
        """
from fasttime.modules.budget import Budget

choices = [True, False] * 30
Budget.choose = lambda _: choices.pop()
model = Scale(5)
sim.set_launch_time(1_000_000)
with fasttime.instrument(model, overhead_budget=0.01) as handle:
    for _ in range(24):
        sim.advance(8_000_000 if handle._is_timing else 1_000_000)
        x.grad = None
        model(x).backward(grad)
        handle.step()
records = handle.module_records()
assert records.timed_steps == 12, records.timed_steps
assert records.overhead == 0.0, records.overhead
assert handle._budget.part == 0.5, handle._budget.part
""",
        forking_with_gpus,
    )


def test_modules_in_a_capture_count_as_captured(forking_with_gpus: Forking) -> None:
    run(
        """
model = nn.Sequential(Scale(1))
sim.set_launch_time(100_000)
graph = torch.cuda.CUDAGraph()
with fasttime.instrument(model) as handle, torch.no_grad():
    with fasttime.graph_timing(), torch.cuda.stream(torch.cuda.Stream()):
        graph.capture_begin()
        model(x)
        graph.capture_end()
    graph.replay()
    for _ in range(3):
        model(x)
torch.cuda.synchronize()
for module in handle.module_records().modules:
    assert (module.calls, module.timed) == (4, 3), module
    assert (module.captured, module.lost) == (1, 0), module
kinds = [warning.kind for warning in handle.table().warnings]
assert kinds == ["captured", "no_parameters"], kinds
steps = handle.step_records()
assert (steps.count, steps.device.count) == (4, 2), steps  # "other" began in the capture
""",
        forking_with_gpus,
    )


def test_short_host_bound_steps_are_host_bound(forking_with_gpus: Forking) -> None:
    """The steps end before the first second has given a precise ratio of the clocks."""
    run(
        """
import binding


class Slow(nn.Module):
    def forward(self, x):
        x = x * 2.0
        sim.advance(self.ns)
        return x


binding.use_clock_of(sim.lib)
model = nn.Sequential(Slow(), Slow())
sim.set_launch_time(5_000)
with fasttime.instrument(model) as handle, torch.no_grad():
    for step in range(200):
        sim.set_host_cost(3_000 if step else 30_000)
        Slow.ns = 500_000 if step else 120_000_000
        model(x)
        sim.advance(100_000)
torch.cuda.synchronize()
checks = {m.path: m.checks for m in handle.module_records().modules}
checks.update((p.name, p.checks) for p in handle.step_records().parts if p.timed)
assert checks.keys() == {"", "0", "1", "forward", "other"}
assert all(each.near > 0.9 * each.number > 0 for each in checks.values()), checks
assert fasttime.modules.step_limit.step_limit(handle.step_records()).limit == "host"
""",
        forking_with_gpus,
    )

# SPDX-License-Identifier: BSD-3-Clause
"""State of the process that users change: fasttime is immune, refuses, or warns."""

from __future__ import annotations

import cProfile
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

import fasttime
from fasttime.measuring import accelerators, process_state


def kinds(measurement: fasttime.Measurement) -> list[str]:
    return [warning.kind for warning in measurement.warnings]


CALLS: dict[str, Callable[[], object]] = {
    "measure": lambda: repr(fasttime.measure(sorted, [3, 1], budget=0.05)),
    "many runs": lambda: fasttime.measure(sorted, [3], warmup=0, repeat=5000).median_interval,
    "compare": lambda: repr(
        fasttime.compare({"a": sorted, "b": sum}, [3, 1], rounds=6, budget=0.3)
    ),
    "compare_methods": lambda: repr(fasttime.compare_methods(sorted, [3, 1], repeat=20, rounds=1)),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_environment_variable_stops_scopes_only(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTTIME", "0")
    CALLS[name]()


@pytest.mark.parametrize("name", CALLS)
def test_numpy_may_raise_on_underflow(name: str) -> None:
    with np.errstate(all="raise"):
        CALLS[name]()


def test_the_callable_keeps_its_own_error_state() -> None:
    seen = []
    with np.errstate(under="raise"):
        fasttime.measure(lambda: seen.append(np.geterr()["under"]), warmup=0, repeat=2)
    assert seen == ["raise", "raise"]


def freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clocks of the module `time`, in every module that has imported one."""
    for clock in ("perf_counter", "perf_counter_ns", "monotonic", "time"):
        real = getattr(time, clock)
        for module_name, module in list(sys.modules.items()):
            if module_name == "time" or module_name.startswith("fasttime."):
                for name, value in list(vars(module).items()):
                    if value is real:
                        monkeypatch.setattr(module, name, lambda: 0)


@pytest.mark.parametrize("name", CALLS)
def test_the_time_module_may_stand_still(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze(monkeypatch)
    assert time.perf_counter() == 0
    CALLS[name]()


def test_other_defaults_of_torch_change_nothing() -> None:
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        found = fasttime.measure(sorted, [3, 1], warmup=1, repeat=12)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(dtype)
    assert len(found) == 11


@pytest.mark.parametrize("name", CALLS)
def test_warnings_may_be_errors(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CALLS[name]()


def test_a_trace_function_is_told() -> None:
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        found = fasttime.measure(sorted, [3, 1], warmup=1, repeat=12)
        compared = fasttime.compare({"a": sorted, "b": sum}, [3, 1], rounds=1)
    finally:
        sys.settrace(before)
    [warning] = [warning for warning in found.warnings if warning.kind == "traced"]
    assert "a trace function (sys.settrace" in warning.message
    assert "traced" in kinds(compared.measurements["a"])
    assert "traced" not in kinds(fasttime.measure(sorted, [3, 1], warmup=1, repeat=12))


def test_a_profiler_is_told() -> None:
    profile = cProfile.Profile()
    profile.enable()
    try:
        found = process_state.judge_process()
    finally:
        profile.disable()
    assert found is not None
    assert "profile function" in found.message or "cProfile" in found.message


def test_torchs_profiler_is_told() -> None:
    with torch.autograd.profiler.profile():
        found = process_state.judge_process()
    assert found is not None
    assert "torch's profiler" in found.message
    assert process_state.judge_process() is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in Python 3.12")
def test_a_monitoring_tool_is_told() -> None:
    monitoring = sys.monitoring  # type: ignore[attr-defined]
    monitoring.use_tool_id(monitoring.COVERAGE_ID, "cover")
    try:
        assert process_state.judge_process() is None
        monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)
        found = process_state.judge_process()
        monitoring.set_events(monitoring.COVERAGE_ID, 0)
    finally:
        monitoring.free_tool_id(monitoring.COVERAGE_ID)
    assert found is not None
    assert "the monitoring tool 'cover'" in found.message


# --- accelerators other than CUDA ---


class FakeAccelerator:
    """An accelerator that queues work, and waits in `synchronize`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str = "mps") -> None:
        self.now = self.done = 0.0
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind))
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.accelerator, "synchronize", self.synchronize)
        monkeypatch.setattr("fasttime.measuring.machine.clock", lambda: self.now)

    def work(self) -> None:
        self.now += 0.0625
        self.done = max(self.now, self.done) + 1.0

    def synchronize(self) -> None:
        self.now = max(self.now, self.done)


def test_sync_waits_for_another_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeAccelerator(monkeypatch)
    found = fasttime.measure(fake.work, method="sync", warmup=1, repeat=12)
    assert found.times.tolist() == [1.0625] * 11
    assert found.device == "mps"
    [warning] = [warning for warning in found.warnings if warning.kind == "accelerator"]
    assert "Only the current device was waited for" in warning.message


def test_naive_on_another_accelerator_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeAccelerator(monkeypatch)
    found = fasttime.measure(fake.work, method="naive", warmup=1, repeat=12)
    assert found.warnings[0].kind == "queued_only"
    assert "Use method='sync'" in found.warnings[0].message


def test_events_on_another_accelerator_time_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeAccelerator(monkeypatch)
    found = fasttime.measure(fake.work, warmup=1, repeat=12)
    assert "accelerator" in kinds(found)
    assert "cpu" not in kinds(found)
    assert "how long the host took to queue the work" in found.warnings[0].message


def test_methods_on_another_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeAccelerator(monkeypatch)
    findings = fasttime.compare_methods(fake.work, repeat=12, rounds=1).findings
    readings = {method: finding.reading for method, finding in findings.items()}
    assert readings == {"naive": "wrong", "sync": "right", "event": "unclear"}


def test_torch_2_6_raises_without_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_available() -> None:
        raise RuntimeError("Cannot access accelerator device when none is available.")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", none_available)
    assert "cpu" in kinds(fasttime.measure(sorted, [1], warmup=1, repeat=12))


def test_an_accelerator_that_has_not_started_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeAccelerator(monkeypatch, "xpu")
    assert accelerators.in_use() is None  # torch.xpu.is_initialized() is False here
    assert "cpu" in kinds(fasttime.measure(sorted, [1], warmup=1, repeat=12))

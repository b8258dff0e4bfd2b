# SPDX-License-Identifier: BSD-3-Clause
"""The environment of a result, and the state of a GPU from a fake NVML."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import fasttime
from fasttime.documents import Fields
from fasttime.environment import describe as environment
from fasttime.environment import nvml, origin
from fasttime.environment.describe import Environment, describe, gpu_state
from fasttime.environment.differences import environment_differences
from fasttime.environment.gpu_state import GpuState, throttle_reasons
from fasttime.environment.origin import origin_now

UUID = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
SETTINGS = ("threads", "matmul_precision", "cudnn_tf32", "cudnn_benchmark")
CACHES = (nvml._library, nvml._handle, environment.driver_version)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    for cache in CACHES:
        cache.cache_clear()
    yield
    for cache in CACHES:
        cache.cache_clear()


class NotSupported(Exception):
    """Raised for questions that the GPU does not answer."""


class FakeNvml:
    """The parts of pynvml that fasttime uses, with one GPU that is torch's device 0."""

    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    NVML_TEMPERATURE_GPU = 0

    def __init__(self) -> None:
        self.opened = 0
        self.handles = {f"GPU-{UUID}": "ours", f"GPU-{OTHER}": "another"}
        self.by_bus: dict[str, str] = {}
        self.unsupported: set[str] = set()
        self.reasons = 0x5

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvml") and name in self.unsupported:

            def refuse(*_: object) -> None:
                raise NotSupported(name)

            return refuse
        return super().__getattribute__(name)

    def nvmlInit(self) -> None:
        self.opened += 1

    def nvmlSystemGetDriverVersion(self) -> object:
        return "580.95.05"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return self.handles[uuid]

    def nvmlDeviceGetHandleByPciBusId(self, bus: str) -> str:
        return self.by_bus[bus]

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:
        assert handle == "ours"
        return {1: 1755, 2: 2619}[kind]

    def nvmlDeviceGetMaxClockInfo(self, handle: str, kind: int) -> int:
        assert (handle, kind) == ("ours", 1)
        return 1980

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        return 412_500

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: str) -> int:
        return 700_000

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        return 61

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:
        return self.reasons

    def nvmlDeviceGetComputeMode(self, handle: str) -> int:
        return 3

    def nvmlDeviceGetMigMode(self, handle: str) -> list[int]:
        return [0, 1]

    def nvmlDeviceGetEccMode(self, handle: str) -> list[int]:
        return [1, 0]

    def nvmlDeviceGetPersistenceMode(self, handle: str) -> int:
        return 1


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake CUDA device of torch."""
    properties = SimpleNamespace(uuid=UUID, pci_domain_id=0, pci_bus_id=0x1B, pci_device_id=0)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Fake GPU {index}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, gpu: None) -> FakeNvml:
    made = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", made)
    return made


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)


def test_the_state_of_a_gpu_is_read_from_nvml(library: FakeNvml) -> None:
    assert gpu_state(0) == GpuState(
        sm_clock_mhz=1755,
        sm_clock_max_mhz=1980,
        memory_clock_mhz=2619,
        power_w=412.5,
        power_limit_w=700.0,
        temperature_c=61,
        throttle_reasons=("gpu idle", "power cap"),
    )


def test_nvml_is_opened_once(library: FakeNvml) -> None:
    gpu_state(0), gpu_state(0), nvml.gpu_modes(0), nvml.driver_version()
    assert library.opened == 1


def test_a_gpu_is_found_by_its_uuid(library: FakeNvml) -> None:
    assert gpu_state(5) is not None  # the fake asserts the right handle


def test_a_gpu_without_a_uuid_is_found_by_its_bus(library: FakeNvml) -> None:
    del library.handles[f"GPU-{UUID}"]
    library.by_bus["00000000:1B:00.0"] = "ours"
    state = gpu_state(0)
    assert state is not None
    assert state.sm_clock_mhz == 1755


def test_an_instance_of_a_gpu_is_found(library: FakeNvml) -> None:
    library.handles = {f"MIG-{UUID}": "ours"}
    assert gpu_state(0) is not None


def test_a_gpu_that_nvml_does_not_know_has_no_state(library: FakeNvml) -> None:
    library.handles.clear()
    assert gpu_state(0) is None
    assert nvml.gpu_modes(0) is None


def test_unsupported_values_are_none(library: FakeNvml) -> None:
    library.unsupported = {
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetTemperature",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
    }
    state = gpu_state(0)
    assert state is not None
    assert (state.power_w, state.temperature_c, state.throttle_reasons) == (None, None, ())
    assert (state.sm_clock_mhz, state.power_limit_w) == (1755, 700.0)


def test_reasons_are_read_by_their_newer_name(
    library: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.unsupported = {"nvmlDeviceGetCurrentClocksThrottleReasons"}
    library.nvmlDeviceGetCurrentClocksEventReasons = lambda handle: 0x40  # type: ignore[attr-defined]
    state = gpu_state(0)
    assert state is not None
    assert state.throttle_reasons == ("thermal (hardware)",)


def test_without_nvidia_ml_py_there_is_no_state(gpu: None, no_library: None) -> None:
    assert gpu_state(0) is None
    assert nvml.driver_version() is None


def test_a_library_that_does_not_open_returns_none(library: FakeNvml) -> None:
    library.unsupported = {"nvmlInit"}
    assert gpu_state(0) is None


def test_there_is_no_state_before_cuda_is_up(
    library: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert gpu_state(0) is None
    assert library.opened == 0


def test_modes_are_the_current_ones(library: FakeNvml) -> None:
    assert nvml.gpu_modes(0) == ("exclusive process", "off", "on", "on")


def test_modes_without_a_word_keep_their_number(
    library: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "nvmlDeviceGetComputeMode", lambda handle: 9, raising=False)
    library.unsupported = {"nvmlDeviceGetEccMode"}
    modes = nvml.gpu_modes(0)
    assert modes is not None
    assert (modes.compute, modes.ecc) == ("mode 9", None)


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0, ()),
        (0x8 | 0x40, ("hardware slowdown", "thermal (hardware)")),
        (0x20 | 0x80, ("thermal (software)", "power brake (hardware)")),
        (1 << 12, ("reason 0x1000",)),
    ],
)
def test_reasons_are_words(bits: int, words: tuple[str, ...]) -> None:
    assert throttle_reasons(bits) == words


def test_idle_and_set_clocks_are_not_a_slowdown() -> None:
    state = GpuState(None, None, None, None, None, None, throttle_reasons(0x1 | 0x2 | 0x100))
    assert len(state.throttle_reasons) == 3
    assert state.slowdowns == ()
    assert state._replace(throttle_reasons=throttle_reasons(0x1 | 0x4)).slowdowns == ("power cap",)


# --- the environment of a result ---


def test_the_environment_of_a_cpu_has_no_gpu() -> None:
    here = describe("cpu")
    assert (here.gpu, here.driver, here.gpu_index, here.gpu_uuid) == (None, None, None, None)
    assert here.compute_capability is None
    assert here.fasttime == fasttime.__version__
    assert here.torch == torch.__version__
    assert here.cpu_count == os.cpu_count()
    assert here.device == f"{here.cpu}, {here.cpu_count} cores"


@pytest.mark.parametrize(("device", "index"), [("cuda", 1), ("cuda:0", 0), ("cuda:3", 3)])
def test_the_environment_of_a_gpu_says_which_one(
    library: FakeNvml, monkeypatch: pytest.MonkeyPatch, device: str, index: int
) -> None:
    monkeypatch.setattr(Path, "read_text", no_such_file)
    here = describe(device)
    assert (here.gpu, here.gpu_index) == (f"Fake GPU {index}", index)
    assert (here.gpu_uuid, here.compute_capability) == (UUID, "9.0")
    assert here.driver == "580.95.05"
    assert here.device == here.gpu


def of_json(content: dict[str, Any]) -> Environment:
    return Environment.from_fields(Fields(json.loads(json.dumps(content))))


def test_json_gives_the_environment_back(library: FakeNvml) -> None:
    here = describe(torch.device("cuda", 0))
    assert of_json(dataclasses.asdict(here)) == here


def test_json_with_unknown_fields_can_be_read() -> None:
    here = describe("cpu")
    assert of_json({**dataclasses.asdict(here), "moon": "full"}) == here


def test_json_without_a_needed_field_is_refused() -> None:
    with pytest.raises(ValueError, match="date is missing"):
        of_json({"fasttime": "1.0"})


LATER = ("gpu_index", "gpu_uuid", "compute_capability", *SETTINGS)


def test_an_older_environment_can_be_read() -> None:
    known = dataclasses.asdict(describe("cpu"))
    for name in LATER:
        del known[name]
    assert of_json(known).gpu_uuid is None


def test_settings_of_torch_are_part_of_it(
    library: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    found = [[getattr(describe(device), name) for name in SETTINGS] for device in ("cpu", "cuda")]
    assert found == [[3, "medium", None, None], [3, "medium", False, True]]


def test_settings_by_newer_names_are_known() -> None:
    code = """
import torch
from fasttime.environment.describe import describe
torch.backends.cuda.matmul.fp32_precision = "tf32"
assert describe("cpu").matmul_precision == "high"
torch.backends.cuda.matmul.fp32_precision = "ieee"
assert describe("cpu").matmul_precision == "highest"
"""
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("this torch has only the older names")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_only_settings_that_both_know_differ() -> None:
    here = describe("cpu")
    other = dataclasses.replace(here, threads=1 + (here.threads or 0))
    (difference,) = environment_differences(here, other)
    assert str(difference) == f"threads was {here.threads}, is {other.threads}"
    older = dataclasses.replace(here, **dict.fromkeys(LATER))
    assert environment_differences(older, here) == environment_differences(here, older) == ()


def no_such_file(path: Path, *_: object, **__: object) -> str:
    raise FileNotFoundError(path)


def test_the_driver_version_comes_from_the_kernel(
    no_library: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n"
    monkeypatch.setattr(Path, "read_text", lambda path: told)
    assert environment.driver_version() == "580.95.05"


def test_the_driver_version_comes_from_nvml_otherwise(
    library: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", no_such_file)
    assert environment.driver_version() == "580.95.05"


def test_a_driver_version_in_bytes_is_read(
    library: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", no_such_file)
    library.nvmlSystemGetDriverVersion = lambda: b"470.57"  # type: ignore[method-assign]
    assert environment.driver_version() == "470.57"


def test_a_driver_without_a_version_is_unknown(
    gpu: None, no_library: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", no_such_file)
    monkeypatch.setattr(environment.platform, "platform", lambda: "made up")
    assert describe("cuda:0").driver == "unknown"


# --- the origin of a process ---


def test_processes_have_different_origins() -> None:
    code = (
        "from dataclasses import astuple; from fasttime.environment.origin import origin_now; "
        "print(astuple(origin_now())[1:])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    process, start, boot, machine = ast.literal_eval(done.stdout)
    here = origin_now()
    assert (here.boot, here.machine) == (boot, machine)
    assert here.process_id == os.getpid() != process
    assert here.process_start is None or here.process_start <= start
    assert here.process == origin_now().process != (boot, process, start)


def test_an_origin_hides_the_id_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "_read", lambda path: f"secret of {path}")
    for cached in (origin._boot, origin._machine):
        cached.cache_clear()
    try:
        found = origin_now()
        assert found.boot == "secret of /proc/sys/kernel/random/boot_id"
        assert found.machine is not None
        assert "secret" not in found.machine
        assert len(found.machine) == 16
    finally:
        for cached in (origin._boot, origin._machine):
            cached.cache_clear()


def test_the_sm_clock_is_one_question(library: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nvml.sm_clock(0) == 1755
    library.unsupported = {"nvmlDeviceGetClockInfo"}
    assert nvml.sm_clock(0) is None
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    library.unsupported = set()
    assert nvml.sm_clock(0) is None

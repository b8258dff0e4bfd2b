# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime env`: on this machine, on made-up machines, and on simulated GPUs."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Forking
from simulated_cuda import torch_can_be_simulated

import fasttime
from fasttime.cli import env, main
from fasttime.environment import nvml
from fasttime.environment.gpu_state import GpuModes, GpuState
from fasttime.environment.variables import TIMING_VARIABLES

STATE = GpuState(1755, 1980, 2619, 412.5, 700.0, 61, ("gpu idle", "power cap"))
MODES = GpuModes("default", "off", "on", None)
GPU: dict[str, Any] = {
    "index": 0,
    "name": "Fake GPU",
    "compute_capability": "9.0",
    "memory_bytes": 80 * 2**30,
    "multiprocessors": 132,
    "uuid": "1111",
    "state": {**STATE._asdict(), "slowdowns": STATE.slowdowns},
    "modes": MODES._asdict(),
}
FACTS: dict[str, Any] = {
    "fasttime": "1.2",
    "python": "3.11.7",
    "executable": "/bin/python",
    "platform": "Linux",
    "cpu": "Fake CPU",
    "cpu_count": 16,
    "cpus_allowed": 16,
    "cpu_governor": "performance",
    "torch": "2.9",
    "torch_cuda": "13.0",
    "torch_hip": None,
    "driver": "580.95",
    "variables": {},
    "cuda": "up",
    "warnings": [],
    "cuda_runtime": "13.0",
    "backend": "cuda",
    "backend_reason": "it is there",
    "gpus": [GPU],
}


def lines(**changed: Any) -> dict[str, str]:
    text = env.as_text({**FACTS, **changed})
    return {key: value for key, _, value in (line.partition("  ") for line in text.splitlines())}


def value(key: str, **changed: Any) -> str:
    return lines(**changed)[key].strip()


def of_gpu(key: str, **changed: Any) -> str:
    return value(key, gpus=[{**GPU, **changed}])


def test_each_line_has_a_key_and_a_value() -> None:
    assert value("cpu") == "Fake CPU, 16 cores, governor performance"
    assert value("torch") == "2.9, built for CUDA 13.0"
    assert value("backend") == "cuda: it is there"
    assert value("gpu 0") == ("Fake GPU, compute capability 9.0, 132 multiprocessors, 80.0 GiB")
    assert value("gpu 0 clocks") == "multiprocessors 1755 of 1980 MHz, memory 2619 MHz"
    assert value("gpu 0 power") == "412 of 700 W"
    assert value("gpu 0 temperature") == "61 °C"
    assert value("gpu 0 modes") == "compute default, mig off, persistence on, ecc n/a"


def test_values_are_aligned() -> None:
    text = env.as_text({**FACTS, "gpus": []})
    starts = {len(line) - len(line.split("  ", 1)[1].lstrip()) for line in text.splitlines()}
    assert len(starts) == 1


def test_throttling_has_its_reasons() -> None:
    assert value("gpu 0 throttled") == "yes: power cap"
    idle = {**GPU["state"], "throttle_reasons": ("gpu idle",), "slowdowns": ()}
    assert of_gpu("gpu 0 throttled", state=idle) == "no (gpu idle)"
    free = {**idle, "throttle_reasons": ()}
    assert of_gpu("gpu 0 throttled", state=free) == "no"


def test_an_unknown_state_says_why() -> None:
    told = of_gpu("gpu 0 state", state=None, modes=None)
    assert told.startswith("unknown: NVIDIA's management library does not answer (clocks, ")


def test_unknown_values_are_shown_as_not_known() -> None:
    silent = {**GPU["state"], "power_w": None, "sm_clock_max_mhz": None}
    assert of_gpu("gpu 0 power", state=silent) == "unknown"
    assert of_gpu("gpu 0 clocks", state=silent).startswith("multiprocessors 1755 MHz, ")


def test_a_failing_gpu_shows_its_failure() -> None:
    told = lines(gpus=[{"index": 0, "failure": "RuntimeError: lost"}, {**GPU, "index": 1}])
    assert told["gpu 0"].strip() == "RuntimeError: lost"
    assert "Fake GPU" in told["gpu 1"]


def test_a_limit_of_cores_is_shown() -> None:
    assert "16 cores, 4 of them for this process" in value("cpu", cpus_allowed=4)


@pytest.mark.parametrize(
    ("cuda", "hip", "told"), [(None, None, "no CUDA"), (None, "6.2", "ROCm 6.2")]
)
def test_the_build_of_torch_is_shown(cuda: str | None, hip: str | None, told: str) -> None:
    assert value("torch", torch_cuda=cuda, torch_hip=hip) == f"2.9, built for {told}"


def test_set_variables_are_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in TIMING_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "0")
    assert main(["env"]) == 0
    shown = capsys.readouterr().out
    assert "CUDA_LAUNCH_BLOCKING  0  (1 makes the host wait for each kernel" in shown
    unset = next(line for line in shown.splitlines() if line.startswith("not set"))
    assert "CUDA_LAUNCH_BLOCKING" not in unset
    assert "CUDA_SCALE_LAUNCH_QUEUES" in unset


def test_every_variable_of_fasttime_is_listed() -> None:
    package = Path(fasttime.__file__).parent
    read = {
        name
        for path in package.rglob("*.py")
        for name in re.findall(r'environ\.get\("(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert "FASTTIME" in read
    without_effect = {"RANK", "TORCHELASTIC_RESTART_COUNT", "XDG_CACHE_HOME"}
    assert read - without_effect <= set(TIMING_VARIABLES)


def test_env_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "--json"]) == 0
    loaded = json.loads(capsys.readouterr().out)
    assert loaded["torch"] == torch.__version__
    assert set(loaded) == set(FACTS)


def test_this_machine_is_shown_without_escape_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env"]) == 0
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out
    assert shown.err == ""


def test_cuda_that_does_not_start_is_not_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise RuntimeError("the driver\nis too old")

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "init", fail)
    said = env.find()
    assert said["cuda"] == "not up: RuntimeError: the driver is too old"
    assert said["gpus"] == []


def test_warnings_of_torch_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def warn() -> bool:
        warnings.warn("no driver", UserWarning, stacklevel=1)
        return False

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", warn)
    said = env.find()
    assert said["cuda"] == "not up: torch finds no CUDA device"
    assert said["warnings"] == ["no driver"]
    assert value("warning", warnings=["no driver"]) == "no driver"


def test_a_torch_without_cuda_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert env.find()["cuda"] == "not up: this torch is built without CUDA"


class Properties:
    name = "Fake GPU"
    major = 9
    minor = 0
    total_memory = 80 * 2**30
    multi_processor_count = 132
    uuid = "1111"


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties)
    monkeypatch.setattr(nvml, "gpu_state", lambda index: None)
    monkeypatch.setattr(nvml, "gpu_modes", lambda index: None)


def test_the_state_of_a_gpu_comes_from_nvml(monkeypatch: pytest.MonkeyPatch, a_gpu: None) -> None:
    monkeypatch.setattr(nvml, "gpu_state", lambda index: STATE)
    monkeypatch.setattr(nvml, "gpu_modes", lambda index: MODES)
    assert env._gpu_facts(0) == GPU


def test_an_unknown_gpu_has_no_state(a_gpu: None) -> None:
    gpu = env._gpu_facts(0)
    assert (gpu["state"], gpu["modes"]) == (None, None)


def test_a_gpu_that_does_not_answer_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(index: int) -> None:
        raise RuntimeError("device lost")

    monkeypatch.setattr(torch.cuda, "get_device_properties", fail)
    assert env._gpu_facts(0) == {"index": 0, "failure": "RuntimeError: device lost"}


@pytest.mark.skipif(not torch_can_be_simulated(), reason="needs torch built for CUDA 13")
def test_simulated_gpus_are_found(forking_with_gpus: Forking) -> None:
    done = forking_with_gpus.run(
        "from fasttime.cli import main; raise SystemExit(main(['env', '--json']))"
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert (said["cuda"], said["backend"]) == ("up", "cuda")
    assert [gpu["index"] for gpu in said["gpus"]] == [0, 1]
    assert said["cuda_runtime"].startswith("13.")

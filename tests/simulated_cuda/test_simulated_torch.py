# SPDX-License-Identifier: BSD-3-Clause
"""torch on the simulation, and the simulation's replacement for torch's shim."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
from pathlib import Path

import pytest
import simulated_cuda as cuda
from simulated_cuda import Simulated, in_thread


def test_the_shim_knows_thread_and_device(sim: Simulated) -> None:
    ask = sim.lib.aoti_torch_get_current_cuda_stream
    ask.argtypes = [ctypes.c_int32, ctypes.c_void_p]
    found, stream = ctypes.c_void_p(), sim.create_stream(device=1)
    sim.set_current_stream(stream, device=1)
    assert ask(1, ctypes.byref(found)) == 0
    assert found.value == stream
    assert ask(-1, ctypes.byref(found)) == 0
    assert found.value is None
    with sim.on_device(1):
        assert ask(-1, ctypes.byref(found)) == 0
        assert found.value == stream
        assert in_thread(lambda: ask(1, ctypes.byref(found))) == 0
        assert found.value is None
    assert ask(2, ctypes.byref(found)) != 0


@pytest.mark.skipif(not cuda.torch_can_be_simulated(), reason="torch here is not built for CUDA 13")
def test_torch_runs_on_simulated_devices(library: Path) -> None:
    done = cuda.run_under_simulation(
        """
import torch
from simulated_cuda import Simulated

sim = Simulated.preloaded()
assert torch.cuda.is_available() and torch.cuda.device_count() == 2
assert torch.cuda.get_device_properties(1).name == "Simulated"

x = torch.ones(1000, device="cuda")
stream = torch.cuda.Stream()
torch.cuda.synchronize()
a, b, c = (torch.cuda.Event(enable_timing=True) for _ in range(3))
with torch.cuda.stream(stream):
    a.record()
    sim.enqueue(stream.cuda_stream, 2_500_000)
    b.record()
    sim.set_launch_time(250_000)
    y = x + x
    z = y * 2
    c.record()
assert not c.query()
c.synchronize()
assert (a.elapsed_time(b), b.elapsed_time(c)) == (2.5, 0.5), (a.elapsed_time(b), b.elapsed_time(c))

assert torch.arange(3).cuda(1).cpu().tolist() == [0, 1, 2]
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    z = x + x
graph.replay()
torch.cuda.synchronize()
""",
        library,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not cuda.torch_can_be_simulated(), reason="torch here is not built for CUDA 13")
def test_the_preloaded_library_leaves_torch_its_shim(library: Path) -> None:
    done = cuda.run_under_simulation(
        """
import ctypes
import torch

torch.cuda.init()
assert not hasattr(ctypes.CDLL(None), "aoti_torch_get_current_cuda_stream")
library = ctypes.CDLL("libtorch_cuda.so", mode=4)  # 4: RTLD_NOLOAD
ask = library.aoti_torch_get_current_cuda_stream
stream, found = torch.cuda.Stream(), ctypes.c_void_p()
with torch.cuda.stream(stream):
    assert ask(-1, ctypes.byref(found)) == 0
assert found.value == stream.cuda_stream

ask, index = library._ZN3c104cuda9GetDeviceEPa, ctypes.c_int8(-1)  # found through libc10_cuda
with torch.cuda.device(1):
    assert ask(ctypes.byref(index)) == 0
assert index.value == 1

driver = ctypes.CDLL("libcuda.so.1")
assert ctypes.cast(driver.cuStreamIsCapturing, ctypes.c_void_p).value == (
    ctypes.cast(ctypes.CDLL(None).cuStreamIsCapturing, ctypes.c_void_p).value
)
""",
        library,
    )
    assert done.returncode == 0, done.stderr


# The headers that triton brings, if it is installed.
def _cuda_headers() -> Path | None:
    triton = importlib.util.find_spec("triton")
    if triton is None or triton.origin is None:
        return None
    headers = Path(triton.origin).parent / "backends" / "nvidia" / "include"
    text = headers / "cuda_runtime_api.h"
    return (
        headers
        if text.exists() and "CUDART_VERSION 13" in " ".join(text.read_text().split())
        else None
    )


@pytest.mark.skipif(_cuda_headers() is None, reason="no CUDA 13 headers here")
def test_layouts_agree_with_the_headers_of_nvidia(tmp_path: Path) -> None:
    offsets = {
        "cudaDeviceProp": (
            "device_properties",
            "name totalGlobalMem sharedMemPerBlock regsPerBlock warpSize maxThreadsPerBlock "
            "maxThreadsDim maxGridSize "
            "major minor multiProcessorCount l2CacheSize maxThreadsPerMultiProcessor "
            "sharedMemPerMultiprocessor "
            "regsPerMultiprocessor sharedMemPerBlockOptin",
        ),
        "cudaFuncAttributes": ("function_attributes", "maxThreadsPerBlock numRegs"),
        "cudaLaunchConfig_t": ("launch_config", "stream"),
    }
    errors = {
        "kInvalidHandle": "cudaErrorInvalidResourceHandle",
        "kIllegalState": "cudaErrorIllegalState",
        "kNotReady": "cudaErrorNotReady",
        "kCaptureUnsupported": "cudaErrorStreamCaptureUnsupported",
        "kCaptureInvalidated": "cudaErrorStreamCaptureInvalidated",
        "kCaptureIsolation": "cudaErrorStreamCaptureIsolation",
        "kCaptureImplicit": "cudaErrorStreamCaptureImplicit",
        "kCapturedEvent": "cudaErrorCapturedEvent",
        "kUnknownError": "cudaErrorUnknown",
        "kCaptureWrongThread": "cudaErrorStreamCaptureWrongThread",
        "kNodeEventRecord": "cudaGraphNodeTypeEventRecord",
    }
    lines = ["#include <cuda_runtime_api.h>", '#include "cuda_abi.h"']
    for struct, (space, fields) in offsets.items():
        for field in fields.split():
            ours = f"simulated::{space}::k{field[0].upper()}{field[1:]}"
            lines.append(f'static_assert({ours} == offsetof({struct}, {field}), "");')
    for ours, theirs in errors.items():
        lines.append(
            f'static_assert(static_cast<int>(simulated::{ours}) == static_cast<int>({theirs}), "");'
        )
    lines.append("static_assert(simulated::device_properties::kSize == sizeof(cudaDeviceProp));")
    lines.append(
        "static_assert(simulated::function_attributes::kSize == sizeof(cudaFuncAttributes));"
    )
    lines.append(
        "static_assert(sizeof(simulated::PointerAttributes) == sizeof(cudaPointerAttributes));"
    )
    source = tmp_path / "layout.cpp"
    source.write_text("\n".join(lines) + "\n")
    command = [
        "g++",
        "-std=c++17",
        "-fsyntax-only",
        f"-I{_cuda_headers()}",
        f"-I{cuda.HERE}",
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

# SPDX-License-Identifier: BSD-3-Clause
"""The environment variables that affect the times of GPU code, and their effects."""

from __future__ import annotations

import os

TIMING_VARIABLES = {
    "CUDA_LAUNCH_BLOCKING": "1 makes the host wait for each kernel, so nothing overlaps and times "
    "differ from production",
    "CUDA_VISIBLE_DEVICES": "selects and numbers the GPUs",
    "CUDA_DEVICE_ORDER": "numbers the GPUs by speed or by PCI bus",
    "CUDA_DEVICE_MAX_CONNECTIONS": "sets how many hardware queues streams share; with few queues "
    "streams wait for each other",
    "CUDA_SCALE_LAUNCH_QUEUES": "sets how much work can be queued before the host waits",
    "CUDA_MODULE_LOADING": "EAGER loads all kernels at the start, LAZY loads each kernel at its "
    "first call, which is slow",
    "CUDA_CACHE_DISABLE": "1 compiles PTX in each process, so first calls are slow",
    "CUDA_INJECTION64_PATH": "loads a profiler or another tool into CUDA, so calls take longer",
    "CUDA_MPS_PIPE_DIRECTORY": "may share the GPU with other processes through MPS",
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "limits the part of the GPU for this process",
    "NVIDIA_TF32_OVERRIDE": "0 switches TF32 off and 1 on, regardless of the program",
    "CUBLAS_WORKSPACE_CONFIG": "limits the workspace of cuBLAS and thereby the choice of kernels",
    "PYTORCH_CUDA_ALLOC_CONF": "controls the memory cache; a flush or a new segment makes the host "
    "wait",
    "PYTORCH_ALLOC_CONF": "the newer name of PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING": "if set, each allocation calls the driver and may wait",
    "TORCHDYNAMO_DISABLE": "1 switches torch.compile off",
    "OMP_NUM_THREADS": "sets the number of CPU threads",
    "FASTTIME": "0, false, off or no switches scopes off from the start",
    "FASTTIME_NVTX": "1 also makes each scope a range in profilers, which takes a microsecond",
}


def timing_variables() -> dict[str, str]:
    """Return the variables that are set, with their values."""
    return {name: os.environ[name] for name in TIMING_VARIABLES if name in os.environ}

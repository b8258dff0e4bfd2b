# SPDX-License-Identifier: BSD-3-Clause
"""The environment variables that affect the times of GPU code, and what each does to them."""

from __future__ import annotations

import os

TIMING_VARIABLES = {
    "CUDA_LAUNCH_BLOCKING": "1 makes the host wait for each kernel: nothing overlaps, no times are "
    "as in production",
    "CUDA_VISIBLE_DEVICES": "which GPUs there are, and their numbers",
    "CUDA_DEVICE_ORDER": "how GPUs are numbered: the fastest first, or by PCI bus",
    "CUDA_DEVICE_MAX_CONNECTIONS": "how many hardware queues streams share; with few of them "
    "streams wait for one another",
    "CUDA_SCALE_LAUNCH_QUEUES": "how much work can be queued before the host is held back",
    "CUDA_MODULE_LOADING": "EAGER loads all kernels at the start, LAZY each at its first call, "
    "which is then slow",
    "CUDA_CACHE_DISABLE": "1 compiles PTX anew in each process: slow first calls",
    "CUDA_INJECTION64_PATH": "a profiler or another tool is loaded into CUDA: calls take longer",
    "CUDA_MPS_PIPE_DIRECTORY": "the GPU may be shared with other processes through MPS",
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "what part of the GPU this process may use",
    "NVIDIA_TF32_OVERRIDE": "0 switches TF32 off, 1 on, whatever the program says",
    "CUBLAS_WORKSPACE_CONFIG": "limits the workspace of cuBLAS, and with it the choice of kernels",
    "PYTORCH_CUDA_ALLOC_CONF": "how memory is cached; a flush or a new segment makes the host wait",
    "PYTORCH_ALLOC_CONF": "the same, by its newer name",
    "PYTORCH_NO_CUDA_MEMORY_CACHING": "set: each allocation goes to the driver and may wait",
    "TORCHDYNAMO_DISABLE": "1 switches torch.compile off",
    "OMP_NUM_THREADS": "how many threads work on the CPU",
    "FASTTIME": "0, false, off or no starts with scopes switched off",
    "FASTTIME_NVTX": "1 makes each scope a range of profilers too, which takes a microsecond",
}


def timing_variables() -> dict[str, str]:
    """Return those that are set, with their values."""
    return {name: os.environ[name] for name in TIMING_VARIABLES if name in os.environ}

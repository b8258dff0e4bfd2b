# SPDX-License-Identifier: BSD-3-Clause
"""A kernel that writes to an invalid address. After it, every call on the device fails."""

from __future__ import annotations

import ctypes

import torch

# The driver compiles this, so no compiler is needed.
_PTX = b"""
.version 7.0
.target sm_75
.address_size 64
.visible .entry fault()
{
    .reg .b64 %address;
    .reg .b32 %value;
    mov.u64 %address, 16;
    mov.u32 %value, 1;
    st.global.u32 [%address], %value;
    ret;
}
\0"""


class Fault:
    """Load the kernel now, because a stream may be held later. `launch` queues it on a stream."""

    def __init__(self) -> None:
        torch.cuda.init()
        torch.cuda.synchronize()
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._module, self._kernel = ctypes.c_void_p(), ctypes.c_void_p()
        status = self._driver.cuModuleLoadData(ctypes.byref(self._module), _PTX)
        assert status == 0, f"cuModuleLoadData returned {status}"
        status = self._driver.cuModuleGetFunction(
            ctypes.byref(self._kernel), self._module, b"fault"
        )
        assert status == 0, f"cuModuleGetFunction returned {status}"

    def launch(self, stream: torch.cuda.Stream) -> None:
        handle = ctypes.c_void_p(stream.cuda_stream)
        one = (1,) * 6
        status = self._driver.cuLaunchKernel(self._kernel, *one, 0, handle, None, None)
        assert status == 0, f"cuLaunchKernel returned {status}"

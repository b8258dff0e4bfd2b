# SPDX-License-Identifier: BSD-3-Clause
"""Put another CUDA runtime behind fasttime in this process; see csrc/python/testing.cpp."""

from __future__ import annotations

import ctypes
import os

from fasttime import _C

_EXTENSION = ctypes.PyDLL(_C.__file__)  # PyDLL keeps the GIL during calls
_bind = _EXTENSION.fasttime_testing_bind_library
_bind.restype, _bind.argtypes = ctypes.c_char_p, [ctypes.c_char_p]
_unbind = _EXTENSION.fasttime_testing_unbind
_unbind.restype, _unbind.argtypes = None, []
_use_clock = _EXTENSION.fasttime_testing_use_clock
_use_clock.restype, _use_clock.argtypes = None, [ctypes.c_void_p]


def bind_library(library: str | os.PathLike[str]) -> None:
    """Bind a library that has the functions of the CUDA runtime, and forget everything recorded.

    No scope may be open. Raises RuntimeError if the library cannot be loaded or lacks a function.
    """
    reason = _bind(os.fsencode(library))
    if reason is not None:
        raise RuntimeError(reason.decode())


def use_clock_of(library: ctypes.CDLL) -> None:
    """Let fasttime's host clock be the simulation's, in a process where torch uses the simulation.

    CUDA must be up, and no scope may have begun.
    """
    _C.bind_if_cuda_is_up()
    _use_clock(ctypes.cast(library.fasttime_host_now_ns, ctypes.c_void_p))


def unbind() -> None:
    """Go back to the host backend, and forget everything recorded. No scope may be open."""
    _unbind()

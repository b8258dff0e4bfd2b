# SPDX-License-Identifier: BSD-3-Clause
"""Import the compiled extension ``fasttime._C``; no other module does.

Torch is imported first, because the extension finds the CUDA runtime among the libraries that torch
has loaded. Nothing here starts CUDA.
"""

from __future__ import annotations

import atexit
import functools
import re
import sys

import torch
import torch.cuda

from .decorating import decorate
from .pickling import reduce

_OLDEST_TORCH = (2, 6)

_REINSTALL = "reinstall with this Python: python -m pip install --force-reinstall --no-deps ."


def _check_platform() -> None:
    """Raise ImportError where fasttime has never been tested."""
    if not sys.platform.startswith("linux"):
        raise ImportError(f"fasttime supports Linux only, and this is {sys.platform!r}")
    has_gil = getattr(sys, "_is_gil_enabled", None)  # from Python 3.13 on
    if has_gil is not None and not has_gil():
        raise ImportError(
            "fasttime needs Python's global interpreter lock, and this Python runs without it; "
            "use a standard build of Python, such as python3.13 instead of python3.13t"
        )
    release = tuple(map(int, re.findall(r"\d+", torch.__version__)[:2]))
    if release < _OLDEST_TORCH:  # by the release alone: a build of 2.6.0a0 has what 2.6 has
        raise ImportError(
            f"fasttime needs torch >= {_OLDEST_TORCH[0]}.{_OLDEST_TORCH[1]}, found "
            f"{torch.__version__}. Upgrade it: pip install --upgrade torch"
        )


_check_platform()

try:
    from . import _C
except ImportError as error:
    raise ImportError(
        f"fasttime's compiled part could not be loaded: {error}. Likely causes, and what to do:\n"
        "  * it was never built (running from a source tree): pip install .\n"
        f"  * it was built for another Python: {_REINSTALL}\n"
        "  * a C++ library is older here than where it was built: reinstall from source, "
        "pip install --no-binary fasttime fasttime"
    ) from error

try:
    _C.set_scope_hooks(vars(torch.cuda), functools.partial(decorate, _C.suspend, _C.resume), reduce)
    Core = _C.Recorder
    ModuleHooks = _C.ModuleHooks
    Phases = _C.Phases
    Scope = _C.Scope
    Series = _C.Series
    SiteEntry = _C.SiteEntry
    StreamHold = _C.StreamHold
    StreamWatch = _C.StreamWatch
    backend = _C.backend
    bind_if_cuda_is_up = _C.bind_if_cuda_is_up
    bucket_middles_ns = _C.bucket_middles_ns
    busy_streams = _C.busy_streams
    cancel = _C.cancel
    clock = _C.clock
    current_stream = _C.current_stream
    devices_in_use = _C.devices_in_use
    exchange_capture_mode = _C.exchange_capture_mode
    host_now_ns = _C.host_now_ns
    is_bound = _C.is_bound
    is_capturing = _C.is_capturing
    is_enabled = _C.is_enabled
    module_hooks = _C.module_hooks
    module_self = _C.module_self
    resume = _C.resume
    retire = _C.retire
    set_autograd = _C.set_autograd
    set_enabled = _C.set_enabled
    set_marks = _C.set_marks
    set_stream_finder = _C.set_stream_finder
    step_series = _C.step_series
    take_step_times = _C.take_step_times
    suspend = _C.suspend
    wait_for_device = _C.wait_for_device
    wait_for_devices = _C.wait_for_devices
    wait_for_stream = _C.wait_for_stream
except (AttributeError, TypeError) as error:
    raise ImportError(
        f"fasttime's Python files and its compiled part belong to different versions ({error}); "
        f"{_REINSTALL}"
    ) from error

# At exit the CUDA runtime may be unloaded before the last daemon thread ends: stop calling it.
atexit.register(retire, "the interpreter is shutting down")

# SPDX-License-Identifier: BSD-3-Clause
"""Time scopes inside CUDA graphs: one sample per replay."""

from __future__ import annotations

import operator
import warnings
from types import TracebackType
from typing import TYPE_CHECKING

from . import _native
from .timing_warning import TimingWarning

if TYPE_CHECKING:
    from ._native import Core

MAX_SCOPES = 4_096
MAX_DEPTH = 32_768


class GraphTiming:
    """Times scopes inside CUDA graphs that are captured in its ``with`` block.

    See `Recorder.graph_timing`.
    """

    def __init__(self, core: Core, max_scopes: int, depth: int) -> None:
        self._core = core
        self._max_scopes = _checked("max_scopes", max_scopes, MAX_SCOPES)
        # The kernels need a power of two.
        self._depth = 1 << (_checked("depth", depth, MAX_DEPTH) - 1).bit_length()

    def __enter__(self) -> GraphTiming:
        """Prepare the devices, and time scopes in captures from now on."""
        self.start()
        return self

    def start(self) -> None:
        """Do what the ``with`` statement does. A warning names the caller of the caller."""
        if not _native.is_bound():
            warnings.warn(
                TimingWarning(
                    "graphs_untimed",
                    "CUDA is not in use, so graph_timing() has prepared nothing and scopes in CUDA "
                    "graphs will have no time. If there is a GPU, call torch.cuda.init() first.",
                ),
                stacklevel=3,
            )
        self._core.prepare_graphs(self._max_scopes, self._depth)
        self._core.time_graphs(True)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave later captures as torch makes them. Graphs captured inside are still timed."""
        self._core.time_graphs(False)


def _checked(name: str, value: int, most: int) -> int:
    value = operator.index(value)
    if not 1 <= value <= most:
        raise ValueError(f"{name} must lie between 1 and {most:,}, got {value:,}")
    return value

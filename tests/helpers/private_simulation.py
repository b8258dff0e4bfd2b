# SPDX-License-Identifier: BSD-3-Clause
"""A private simulated runtime, for tests that use thousands of events and streams.

The shared runtime never forgets a handle, and each call looks at all streams ever created.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import binding
from simulated_cuda import Simulated


@contextmanager
def private_simulation(library: Path, folder: Path) -> Iterator[Simulated]:
    """Yield a second instance of the library with its own state. Unbinds fasttime at the end.

    Call `rebind` to bind fasttime to it.
    """
    yield Simulated(shutil.copy(library, folder / "private_simulation.so"))
    binding.unbind()


def rebind(simulated: Simulated) -> None:
    """Bind fasttime to it as in a new process: without old recorders or known devices."""
    binding.unbind()
    binding.bind_library(simulated.path)

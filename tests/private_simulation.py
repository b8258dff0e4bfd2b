# SPDX-License-Identifier: BSD-3-Clause
"""A simulated runtime of one's own, for tests that use up thousands of events and streams.

The shared one never forgets a handle, and each call looks at every stream there ever was.
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
    """A second instance of the library, with a world of its own; unbound from fasttime at the end.

    It is not bound yet: that is `rebind`.
    """
    yield Simulated(shutil.copy(library, folder / "private_simulation.so"))
    binding.unbind()


def rebind(simulated: Simulated) -> None:
    """Let fasttime begin anew on it, as in a new process: no recorder's past, no device known."""
    binding.unbind()
    binding.bind_library(simulated.path)

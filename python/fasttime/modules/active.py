# SPDX-License-Identifier: BSD-3-Clause
"""The handles that time a model at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._native import Core
    from .handle import Handle

# A strong reference: the hooks of a model must keep working when the program drops the handle.
_active: list[Handle] = []


def active_handles() -> tuple[Handle, ...]:
    """Return the handles whose hooks are on."""
    return tuple(_active)


def active_cores() -> tuple[Core, ...]:
    """Return the cores of these handles."""
    return tuple(handle._core for handle in _active)


def activate(handle: Handle) -> None:
    """Add a handle."""
    _active.append(handle)


def deactivate(handle: Handle) -> None:
    """Remove a handle; do nothing if it is not active."""
    _active[:] = [other for other in _active if other is not handle]


def begin_data_wait() -> None:
    """Begin the part ``data wait`` of each active handle's step, if this is the step's thread."""
    for handle in _active:
        handle._hooks.begin_data()


def end_data_wait() -> None:
    """End the part ``data wait`` of each active handle's step."""
    for handle in _active:
        handle._hooks.end_data()

# SPDX-License-Identifier: BSD-3-Clause
"""Pickling of scopes and recorders, as parts of models, data sets and functions.

Measured data is not pickled. An unpickled scope has the same name. A scope of the default recorder
belongs to the default recorder of the new process. Any other scope gets a new, empty recorder.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .recorder import Recorder

# By core, because scopes know only their core.
_recorders: weakref.WeakKeyDictionary[object, weakref.ref[Recorder]] = weakref.WeakKeyDictionary()


def adopt(recorder: Recorder, core: object) -> None:
    """Let this recorder's scopes be pickled, as long as the recorder lives."""
    _recorders[core] = weakref.ref(recorder)


def reduce(core: object, kind: str, name: str | None) -> tuple[Any, ...]:
    """Return the value of ``__reduce__`` for a scope or another object of a recorder.

    Args:
        core: the recorder's core.
        kind: the recorder's attribute that makes the object, such as ``scope``.
        name: the object's name. None pickles the recorder, for functions such as `Recorder.scope`.

    Raises TypeError if the recorder no longer exists.
    """
    reference = _recorders.get(core)
    recorder = reference() if reference else None
    if recorder is None:
        raise TypeError(f"{kind} {name!r} cannot be pickled: its recorder is gone")
    if name is None:
        return itself, (recorder,)
    return made_by, (recorder, kind, name)


def itself(recorder: Recorder) -> Recorder:
    """Return the recorder, whose functions are its attributes."""
    return recorder


def made_by(recorder: Recorder, kind: str, name: str) -> object:
    """Return a new object of that kind and name, such as a scope."""
    return getattr(recorder, kind)(name)

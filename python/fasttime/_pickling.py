# SPDX-License-Identifier: BSD-3-Clause
"""Scopes and recorders that are pickled: as parts of models, data sets and functions.

What was measured stays where it was. A scope becomes one of the same name there, of the default
recorder if it was that one's, otherwise of a recorder that begins empty.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .recorder import Recorder

# By their cores, which is what scopes know.
_recorders: weakref.WeakKeyDictionary[object, weakref.ref[Recorder]] = weakref.WeakKeyDictionary()


def adopt(recorder: Recorder, core: object) -> None:
    """Let scopes of this recorder be pickled, for as long as it lives."""
    _recorders[core] = weakref.ref(recorder)


def reduce(core: object, kind: str, name: str | None) -> tuple[Any, ...]:
    """Return how to pickle a scope, phases, or, for what their functions belong to, a recorder.

    Raises TypeError where the recorder is gone.
    """
    reference = _recorders.get(core)
    recorder = reference() if reference else None
    if recorder is None:
        raise TypeError(f"{kind} {name!r} cannot be pickled: its recorder is gone")
    if name is None:
        return itself, (recorder,)
    return made_by, (recorder, kind, name)


def itself(recorder: Recorder) -> Recorder:
    """Return the recorder: its functions are attributes of it."""
    return recorder


def made_by(recorder: Recorder, kind: str, name: str) -> object:
    """Return a scope or phases of that name."""
    return getattr(recorder, kind)(name)

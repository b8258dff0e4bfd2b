# SPDX-License-Identifier: BSD-3-Clause
"""What torch.compile traces in place of the scope functions: stand-ins that time nothing.

The scope functions are built in, so the tracer cannot look inside them. The stand-ins leave nothing
in the graph.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

_log = logging.getLogger("fasttime")
_scopes_met = 0
_modules_met = 0


def scopes_met() -> int:
    """Return how many scopes torch.compile has met so far in this process. None is timed.

    Compiled code runs without any call to fasttime, so only compiling counts.
    """
    return _scopes_met


def note_scope() -> None:
    """Note that a scope is in a compiled region, and log the first one.

    Dynamo calls this function while it traces, and takes the result for a constant.
    """
    global _scopes_met
    _scopes_met += 1
    if _scopes_met == 1:
        _log.warning(
            "a fasttime scope is in a region that torch.compile compiles, and is not timed there. "
            "Put the scope around the compiled call."
        )


def modules_met() -> int:
    """Return how often torch.compile has met a hook of a module. It is not timed there."""
    return _modules_met


def note_module() -> None:
    """Note that a module with hooks is in a compiled region, and log it once, as `note_scope`."""
    global _modules_met
    _modules_met += 1
    if _modules_met == 1:
        _log.warning(
            "torch.compile compiles a model that fasttime instruments, and its modules are not "
            "timed there. Compile first, then call fasttime.instrument."
        )


class Untimed:
    """The result of scope() in a compiled region: a context manager and decorator for nothing."""

    def __enter__(self) -> Untimed:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def __call__(self, argument: Any) -> Any:
        return argument


class UntimedPhases(Untimed):
    """The result of phases() in a compiled region: the value of the block takes names, or None."""

    def __call__(self, name: str | None) -> None:
        return None


UNTIMED = Untimed()
UNTIMED_PHASES = UntimedPhases()


def _scope(name: str, *, stream: object = None, streams: object = None) -> Untimed:
    note_scope()
    return UNTIMED


def _phases(name: str, *, stream: object = None) -> UntimedPhases:
    note_scope()
    return UNTIMED_PHASES


def _begin(name: str, *, stream: object = None, streams: object = None) -> None:
    note_scope()


def _nothing(token: object) -> None:
    return None


def _before_forward(module: object, arguments: object) -> None:
    note_module()


def _after_forward(module: object, arguments: object, result: object) -> None:
    note_module()


# For a dynamo that rejects our variables. Such a dynamo resumes after a graph break only inside
# context managers that it knows.
def _scope_without_variable(
    name: str, *, stream: object = None, streams: object = None
) -> contextlib.nullcontext[None]:
    note_scope()
    return contextlib.nullcontext()


def _phases_without_variable(name: str, *, stream: object = None) -> UntimedPhases:
    note_scope()
    return UntimedPhases()


def by_name(*, has_variables: bool) -> dict[str, Callable[..., Any]]:
    """Return the stand-in of each scope function.

    Args:
        has_variables: whether dynamo knows the classes above; see `dynamo_private.teach_types`.
    """
    phases = _phases if has_variables else _phases_without_variable
    return {
        "scope": _scope if has_variables else _scope_without_variable,
        "phases": phases,
        "begin": _begin,
        "end": _nothing,
        "before_forward": _before_forward,
        "after_forward": _after_forward,
        "suspend": _nothing,
        "resume": _nothing,
    }

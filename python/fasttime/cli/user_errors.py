# SPDX-License-Identifier: BSD-3-Clause
"""What the user's own code raised."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from .output import flush_if_possible

# What runs a user's code: this command, and what it has Python run and import by.
_RUNNERS = ("fasttime", "runpy", "importlib")


def is_message(error: Exception) -> bool:
    """Say whether fasttime itself raised `error`, so that its message says all there is to say.

    What a user's function raises has a frame of that function below ours, and is no message.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    name = str(frames[-1].f_globals.get("__name__"))
    return isinstance(error, (RuntimeError, TypeError, ValueError)) and name.startswith("fasttime.")


def user_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback from the first frame of the user's code on; None where there is none."""
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__"))
        if module.partition(".")[0] not in _RUNNERS:
            break
        trace = trace.tb_next
    return trace


def show_error(error: BaseException) -> None:
    """Show what the user's code raised as Python would, without the frames that ran it."""
    error = error.with_traceback(user_frames(error))
    flush_if_possible()
    sys.excepthook(type(error), error, error.__traceback__)

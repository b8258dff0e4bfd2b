# SPDX-License-Identifier: BSD-3-Clause
"""What ends a command with one line instead of a traceback."""

from __future__ import annotations

import difflib
import re
import sys
import traceback
from collections.abc import Iterable
from types import TracebackType

from .output import flush_if_possible

# What runs a user's code: this command, and what it has Python run and import by.
_RUNNERS = ("fasttime", "runpy", "importlib")

# The exit code where there is no result, or nobody can have seen it: not 1, which of `compare` says
# that there is a regression.
NO_RESULT = 3


class Failure(Exception):
    """Something that the user can mend, and how.

    Attributes:
        code: the command's exit code: 2 for bad usage, 1 for what failed at its work, `NO_RESULT`
            for a result that could not be written.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code


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


def first_sentence(error: Exception) -> str:
    """Return the beginning of what torch says of its errors at length."""
    return re.split(r"\n|(?<=\.) ", str(error), maxsplit=1)[0].rstrip(".")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question to append to a message, with the known names next to `name`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""

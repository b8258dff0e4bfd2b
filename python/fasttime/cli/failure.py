# SPDX-License-Identifier: BSD-3-Clause
"""What ends a command with one line instead of a traceback."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable


class Failure(Exception):
    """Something that the user can mend, and how.

    Attributes:
        code: the command's exit code: 2 for bad usage, 1 for what failed at its work.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code


def raised_in(error: BaseException, package: str) -> bool:
    """Say whether it was code of this package that raised `error`, rather than what it called."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__")).partition(".")[0] == package


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question to append to a message, with the known names next to `name`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""

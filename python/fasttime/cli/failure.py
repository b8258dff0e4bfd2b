# SPDX-License-Identifier: BSD-3-Clause
"""What ends a command with one line instead of a traceback."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

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


def first_sentence(error: Exception) -> str:
    """Return the beginning of what torch says of its errors at length."""
    return re.split(r"\n|(?<=\.) ", str(error), maxsplit=1)[0].rstrip(".")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question to append to a message, with the known names next to `name`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""

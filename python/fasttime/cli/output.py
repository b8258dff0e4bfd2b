# SPDX-License-Identifier: BSD-3-Clause
"""What the commands print: results on stdout, messages on stderr, failures in one line."""

from __future__ import annotations

import contextlib
import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from ..text import encodable

# The exit code if there is no result, or the result could not be written. It differs from 1, which
# means a regression for `compare`.
NO_RESULT = 3


class Failure(Exception):
    """A failure that the user can fix. It is shown as one line without a traceback.

    Attributes:
        code: the exit code: 2 for bad usage, 1 if the work itself failed, `NO_RESULT` if a result
            could not be written.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code


def first_sentence(error: Exception) -> str:
    """Return the first sentence of an error; torch's errors have many."""
    return re.split(r"\n|(?<=\.) ", str(error), maxsplit=1)[0].rstrip(".")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question with the known names closest to `name`, to end a message; or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""


# A stream that was closed before the start is None in Python. Output to it is dropped.


def say(text: str) -> None:
    """Print a message on stderr."""
    if sys.stderr is not None:
        print(f"fasttime: {text}", file=sys.stderr)


def say_saved(path: Path | str) -> None:
    """Print which file was saved."""
    say(f"saved {path}")


def console(file: TextIO | None = None) -> Console:
    """Return the console through which a command prints with colours; stdout by default."""
    return Console(file=file)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Raise Failure if a result cannot be written, but let BrokenPipeError pass."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(f"could not write the result: {error.strerror}", NO_RESULT) from error


def put(text: str, file: TextIO | None = None) -> None:
    """Print a result as plain text; replace characters that the file's encoding lacks.

    Args:
        text: the result.
        file: where to print; stdout by default.
    """
    file = sys.stdout if file is None else file
    if file is None:
        return
    with _writing():
        print(encodable(text, file.encoding), file=file)


def show(result: Any, file: TextIO | None) -> None:
    """Print a result: with colours on a terminal, otherwise as plain text."""
    if file is None:
        return
    # Rich writes µ to any terminal, even if the encoding lacks it.
    if file.isatty() and encodable("µ├", getattr(file, "encoding", None)) == "µ├":
        with _writing():
            console(file).print(result)
    else:
        # Rich would wrap at 80 columns, but a pipe has no width.
        put(str(result), file)


def flush() -> None:
    """Flush stdout, unless it is closed or was replaced by something that cannot be closed."""
    if not getattr(sys.stdout, "closed", True):
        with _writing():
            sys.stdout.flush()


def flush_if_possible() -> None:
    """Flush stdout before other output follows. A failure will show up again at the end."""
    with contextlib.suppress(OSError, Failure):
        flush()

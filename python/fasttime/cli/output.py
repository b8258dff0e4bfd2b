# SPDX-License-Identifier: BSD-3-Clause
"""Where the commands' words go: results to stdout, all talk to stderr."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, TextIO

from ..text import encodable
from .failure import NO_RESULT, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# A stream that was closed before the start is None to Python; what would go there goes nowhere.


def say(text: str) -> None:
    """Tell the user something that is no result, on stderr."""
    if sys.stderr is not None:
        print(f"fasttime: {text}", file=sys.stderr)


def say_saved(path: Path | str) -> None:
    """Tell the user where a file is."""
    say(f"saved {path}")


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Raise Failure where a result cannot be written; that a reader has gone is another matter."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(f"could not write the result: {error.strerror}", NO_RESULT) from error


def put(text: str, file: TextIO | None = None) -> None:
    """Print a result, to stdout unless told otherwise, also where that knows no µ and no °."""
    file = sys.stdout if file is None else file
    if file is None:
        return
    with _writing():
        print(encodable(text, file.encoding), file=file)


def show(result: Any, file: TextIO | None) -> None:
    """Print what rich can render: with colours on a terminal, otherwise as its plain text."""
    if file is None:
        return
    # Rich writes µ to a terminal whatever its encoding, which may not know it.
    if file.isatty() and encodable("µ├", getattr(file, "encoding", None)) == "µ├":
        from rich.console import Console

        with _writing():
            Console(file=file).print(result)
    else:
        # Rich would wrap it at 80 columns, which a pipe does not have.
        put(str(result), file)


def flush() -> None:
    """Write out what was printed to stdout; nothing where that is closed, or no stream any more."""
    if not getattr(sys.stdout, "closed", True):
        with _writing():
            sys.stdout.flush()


def flush_if_possible() -> None:
    """Let what was printed come before what comes now; a failure is met again at the end."""
    with contextlib.suppress(OSError, Failure):
        flush()
